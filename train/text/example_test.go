package text_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/text"
)

// A small language model learns the letters of a text. The run's folder is a model folder.
func Example() {
	dir, err := os.MkdirTemp("", "text-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	c := text.Default()
	c.Data.Path = filepath.Join(dir, "input.txt")
	if err := os.WriteFile(c.Data.Path, []byte(strings.Repeat("to be or not to be\n", 100)), 0o666); err != nil {
		panic(err)
	}
	c.Model.Layers, c.Model.Heads, c.Model.Width, c.Model.Context = 2, 2, 16, 16
	c.Schedule.Steps, c.Schedule.Warmup, c.Schedule.LR = 50, 5, 0.01
	c.Loop.Batch = 16
	run, err := train.Create(context.Background(), filepath.Join(dir, "run"), text.New(c), nil)
	if err != nil {
		panic(err)
	}
	defer run.Close()
	sum, err := run.Train(context.Background(), nil)
	fmt.Printf("loss %.2f, then %.2f, %v\n", sum.FirstVal.Loss, sum.LastVal.Loss, err)
	// Output: loss 2.12, then 0.81, <nil>
}
