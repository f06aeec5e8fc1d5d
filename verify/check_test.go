package verify

import (
	"errors"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/model"
)

// checkOf is a check of a GPT that load fills.
func checkOf(layers int, load func(m *model.GPT) error) Check {
	return Check{Method: bdia.DefaultOptions(), Device: backend.Options{Threads: 1}, Pass: backend.Pass{Seed: 1, Step: 1},
		Make: func(be backend.Backend) (Subject, func() error, error) {
			m, err := model.NewGPT(be, config(layers, 0), bdia.Options{Memory: bdia.Store, Grid: bdia.DefaultGrid})
			if err != nil {
				return Subject{}, nil, err
			}
			return OfGPT(m, model.NewBatch(size, length)), func() error { return load(m) }, nil
		}}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	loaded := 0
	initial := func(m *model.GPT) error { loaded++; m.Init(3); return nil }
	c := checkOf(4, initial)
	r, err := c.Run(NoFault)
	if err != nil || !r.Exact() || r.ReconstructedActivations == 0 {
		t.Errorf("without a fault: %+v, %v", r, err)
	}
	if r, err = c.Run(SideBit); err != nil || r.Exact() {
		t.Errorf("with a fault: %+v, %v", r, err)
	}
	states := 0
	if err := c.Drift(func(int, float64, float64) { states++ }); err != nil || states == 0 {
		t.Errorf("drift of %d states, %v", states, err)
	}
	if loaded != 3 {
		t.Errorf("weights were loaded %d times in three checks", loaded)
	}
	if err := checkOf(2, initial).Drift(func(int, float64, float64) {}); !errors.Is(err, ErrOptions) {
		t.Errorf("drift of two blocks: %v", err)
	}
	gone := errors.New("no weights")
	if _, err := checkOf(4, func(*model.GPT) error { return gone }).Run(NoFault); !errors.Is(err, gone) {
		t.Errorf("weights that cannot be loaded: %v", err)
	}
	c.Device.Threads = -1
	if _, err := c.Run(NoFault); err == nil {
		t.Error("a device that cannot be")
	}
}
