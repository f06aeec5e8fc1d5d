package tune

import (
	"context"
	"os"
	"testing"

	"github.com/bdia-go/bdia"
	_ "github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/train"
)

// variant is a change of a run.
type variant struct {
	name   string
	change func(*Config)
}

// create makes a run of cfg.
func create(t testing.TB, cfg Config) *train.Run {
	t.Helper()
	return traintest.Create(t, New(cfg))
}

// task is what a run learns.
func task(r *train.Run) *Task { return r.Task.(*Task) }

// settings are those of a run.
func settings(r *train.Run) *Config { return &task(r).Settings }

// Names inside a run directory.
const (
	bestDir       = traintest.Best
	optimizerFile = traintest.OptimizerFile
)

// asPlanned fails unless a run took the memory planned, to the byte.
func asPlanned(t *testing.T, sum train.Summary) {
	t.Helper()
	if sum.Peak != sum.Planned {
		t.Errorf("the arena's peak was\n%v\nthe plan\n%v", sum.Peak, sum.Planned)
	}
}

func noGrid(m bdia.Memory, g bdia.Gamma) bdia.Options {
	return bdia.Options{Memory: m, Gamma: g, Grid: bdia.NoGrid}
}

// read returns the content of a file.
func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// calibrated measures the model of r.
func calibrated(ctx context.Context, r *train.Run, progress train.Progress) (train.Calibration, error) {
	return calibrate(ctx, r.Task, settings(r).Tune, progress)
}
