package pairs

import (
	"testing"

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

// settings returns the settings of a run.
var settings = traintest.Settings[Config]
