package train_test

import (
	"fmt"

	"github.com/bdia-go/bdia"
	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/text"
)

// The memory of a run is known before it starts: here that of the 124 million
// parameter GPT-2 on batches of 4 times 512 tokens.
func ExamplePlanModes() {
	cfg := text.Default()
	cfg.Model.Vocab, cfg.Model.Layers, cfg.Model.Heads, cfg.Model.Width, cfg.Model.Context = 50257, 12, 12, 768, 512
	cfg.Loop.Batch = 4
	cfg.Engine.Threads = 2
	modes, err := train.PlanModes(text.New(cfg))
	if err != nil {
		panic(err)
	}
	for _, m := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
		fmt.Printf("%-10s %.1f GiB\n", m, float64(modes[m.String()].Total)/(1<<30))
	}
	// Output:
	// reversible 1.7 GiB
	// store      3.0 GiB
	// recompute  2.1 GiB
}
