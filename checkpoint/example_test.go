package checkpoint_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/checkpoint"
)

// The files of a transaction change together, or not at all.
func ExampleSave() {
	dir, err := os.MkdirTemp("", "run-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	write := func(text string, fail error) error {
		return checkpoint.Save(dir, func(t *checkpoint.Txn) error {
			for _, name := range []string{"weights", "state/counters"} {
				w, err := t.Create(name)
				if err != nil {
					return err
				}
				fmt.Fprint(w, text)
			}
			return fail
		})
	}
	fmt.Println(write("step 1", nil))
	fmt.Println(write("step 2", errors.New("the loss is not finite")))
	text, err := os.ReadFile(filepath.Join(dir, "state", "counters"))
	fmt.Println(string(text), err)
	// Output:
	// <nil>
	// the loss is not finite
	// step 1 <nil>
}
