package plot_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/metric/plot"
)

// The records of a run become loss.png and loss.svg beside them.
func ExampleRun() {
	dir, err := os.MkdirTemp("", "run-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	records, err := metric.OpenRun(dir, metric.Start{After: -1})
	if err != nil {
		panic(err)
	}
	for step, loss := range []float64{3.2, 2.9, 2.8} {
		if err := records.Record(step, metric.Field{Name: "train/loss", Value: loss}); err != nil {
			panic(err)
		}
	}
	if err := records.Close(); err != nil {
		panic(err)
	}
	if err := plot.Run(dir); err != nil {
		panic(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		fmt.Println(filepath.Base(f))
	}
	// Output:
	// loss.png
	// loss.svg
	// metrics.jsonl
}
