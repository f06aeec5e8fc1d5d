package tune_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/tune"
)

// A trained model learns to complete prompts. With c.Tune.LoRA.Rank above 0, adapters learn beside its weights.
func Example() {
	dir, err := os.MkdirTemp("", "tune-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	table, err := os.Create(filepath.Join(dir, "pairs.tsv"))
	if err != nil {
		panic(err)
	}
	for i := range 100 {
		fmt.Fprintf(table, "after %d\t%d\n", i, i+1)
	}
	table.Close()
	c := tune.Default()
	if err := c.StartFrom("../testdata/oldruns/base"); err != nil {
		panic(err)
	}
	c.Pairs.Source, c.Pairs.BatchTokens, c.Pairs.Split.Val = table.Name(), 256, 0.1
	c.Pairs.Epochs, c.Schedule.LR, c.Schedule.Warmup = 20, 0.01, 5
	run, err := train.Create(context.Background(), filepath.Join(dir, "run"), tune.New(c), nil)
	if err != nil {
		panic(err)
	}
	defer run.Close()
	sum, err := run.Train(context.Background(), nil)
	fmt.Printf("loss %.2f, then %.2f, %v\n", sum.FirstVal.Loss, sum.LastVal.Loss, err)
	// Output: loss 5.66, then 1.66, <nil>
}
