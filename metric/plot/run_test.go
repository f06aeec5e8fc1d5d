package plot

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bdia-go/bdia/metric"
)

// TestRun: the figures of a run directory show its losses and nothing else of its records.
func TestRun(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "shakespeare")
	if err := Run(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without records: %v", err)
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	r, err := metric.OpenRun(dir, metric.Start{After: -1})
	if err != nil {
		t.Fatal(err)
	}
	for step, loss := range []float64{4, 3, 2} {
		err := r.Record(step, metric.Field{Name: "train/loss", Value: loss}, metric.Field{Name: "train/eval_loss", Value: loss + 1},
			metric.Field{Name: "val/loss", Value: loss + 2}, metric.Field{Name: "lr", Value: 0.1},
			metric.Field{Name: "val/accuracy", Value: 1 - loss*0.15})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Run(dir); err != nil {
		t.Fatal(err)
	}
	got := texts(t, filepath.Join(dir, "loss.svg"))
	for _, want := range []string{"shakespeare", "training batches", "training data (best 3.0000 at step 2)", "validation (best 4.0000 at step 2)",
		"accuracy (%)", "validation (best 70.00 at step 2)"} {
		if !slices.Contains(got, want) {
			t.Errorf("loss.svg says %q, want %q among it", got, want)
		}
	}
	if slices.Contains(got, "lr") {
		t.Error("loss.svg shows the learning rate")
	}
	if pixels(t, filepath.Join(dir, "loss.png"), figureColours[2]) == 0 {
		t.Error("loss.png has no curve of the validation loss")
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
