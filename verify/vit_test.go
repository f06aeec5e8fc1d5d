package verify

import (
	"errors"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/model"
)

// vision makes a small vision transformer with initial weights.
func vision(twoStream bool) func(be backend.Backend) (Subject, error) {
	return func(be backend.Backend) (Subject, error) {
		c := model.ViTConfig{Image: 8, Patch: 4, Classes: 5, Layers: 6, Heads: 2, Width: 24, TwoStream: twoStream, ResidualDropout: 0.1, StochasticDepth: 0.2}
		m, err := model.NewViT(be, c, bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid})
		if err != nil {
			return Subject{}, err
		}
		m.Init(4)
		b := model.NewImageBatch(c, size)
		for i := range b.Pixels {
			b.Pixels[i] = float32(i*37%100)/50 - 1
		}
		return OfViT(m, b), nil
	}
}

// on returns the subject on a backend of the planned size.
func on(t *testing.T, fresh func(be backend.Backend) (Subject, error), planned backend.Usage) (*cpu.Backend, Subject) {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 1, ArenaBytes: planned.Total})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	s, err := fresh(be)
	if err != nil {
		t.Fatal(err)
	}
	return be, s
}

// TestVision: a vision transformer is exact, with a fault it is not, and without
// a grid it drifts; two streams only drift.
func TestVision(t *testing.T) {
	t.Parallel()
	planned, err := Plan(vision(false), reversible(0.5), backend.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range Faults() {
		be, s := on(t, vision(false), planned)
		r, err := Run(be, s, reversible(0.5), pass, fault)
		if err != nil {
			t.Fatal(err)
		}
		if r.Exact() != (fault == NoFault) || r.ReconstructedActivations != 4*size*5*24 {
			t.Errorf("fault %s: %+v", fault, r)
		}
	}
	if _, err := Plan(vision(true), reversible(0.5), backend.Options{Threads: 1}); err == nil {
		t.Error("two streams on a grid were planned")
	}
	be, two := on(t, vision(true), planned)
	if _, err := Run(be, two, reversible(0.5), pass, NoFault); err == nil {
		t.Error("two streams were verified")
	}
	if _, err := two.exact(bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid}); !errors.Is(err, ErrOptions) {
		t.Errorf("error %v, want ErrOptions", err)
	}
	for twoStream, gamma := range map[bool]bdia.Gamma{false: 0.5, true: 0} {
		planned, err := PlanDrift(vision(twoStream), gamma, backend.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, s := on(t, vision(twoStream), planned)
		last := 0.0
		if err := Drift(s, gamma, pass, func(k int, rms, largest float64) { last = rms }); err != nil {
			t.Fatal(err)
		}
		if !(last > 0 && last < 1e-3) {
			t.Errorf("two streams %v: error %v at the start", twoStream, last)
		}
	}
}
