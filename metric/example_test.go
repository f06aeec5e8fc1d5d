package metric_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/metric"
)

// Records go to metrics.jsonl. A run that resumes drops the records after its checkpoint and makes them again.
func ExampleRun() {
	dir, err := os.MkdirTemp("", "run-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	for _, part := range []struct{ checkpoint, to int }{{-1, 5}, {3, 6}} {
		r, err := metric.OpenRun(dir, metric.Start{After: part.checkpoint})
		if err != nil {
			panic(err)
		}
		for step := part.checkpoint + 1; step <= part.to; step++ {
			if err := r.Record(step, metric.Field{Name: "train/loss", Value: float64(part.to)}); err != nil {
				panic(err)
			}
		}
		if err := r.Close(); err != nil {
			panic(err)
		}
	}
	series, _, err := metric.ReadSeries(filepath.Join(dir, metric.JSONLName))
	if err != nil {
		panic(err)
	}
	for _, p := range series[0].Points {
		fmt.Printf("step %.0f: %.0f\n", p.X, p.Y)
	}
	// Output:
	// step 0: 5
	// step 1: 5
	// step 2: 5
	// step 3: 5
	// step 4: 6
	// step 5: 6
	// step 6: 6
}
