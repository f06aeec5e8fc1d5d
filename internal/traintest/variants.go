package traintest

import (
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/train"
)

// Variant is a change of a run that must not change a bit of its result.
type Variant struct {
	Name   string
	Change func(*train.Common)
}

// Variants are ways to carry out a run with the settings cfg that change no bit. Updating now excludes clipping.
func Variants(cfg train.Common) []Variant {
	v := []Variant{
		{"threads 2", func(c *train.Common) { c.Engine.Threads = 2 }},
		{"threads 3", func(c *train.Common) { c.Engine.Threads = 3 }},
		{"store", func(c *train.Common) { c.Method.Memory = bdia.Store }},
		{"recompute", func(c *train.Common) { c.Method.Memory = bdia.Recompute }},
		{"micro-batches of 1", func(c *train.Common) { c.Loop.MicroBatch = 1 }},
		{"micro-batches of 2", func(c *train.Common) { c.Loop.MicroBatch = 2 }},
		{"micro-batches of 3, store, threads 2", func(c *train.Common) {
			c.Loop.MicroBatch, c.Method.Memory, c.Engine.Threads = 3, bdia.Store, 2
		}},
		{"update end", func(c *train.Common) { c.Loop.Update = train.WhenEnd }},
	}
	if cfg.Loop.Clip == 0 {
		v = append(v,
			Variant{"update now", func(c *train.Common) { c.Loop.Update = train.WhenNow }},
			Variant{"update now, store", func(c *train.Common) { c.Loop.Update, c.Method.Memory = train.WhenNow, bdia.Store }},
			Variant{"update now, recompute, threads 3", func(c *train.Common) {
				c.Loop.Update, c.Method.Memory, c.Engine.Threads = train.WhenNow, bdia.Recompute, 3
			}})
	}
	for _, level := range cpufeat.Supported() {
		if level != cpufeat.Best() {
			v = append(v, Variant{level.String(), func(c *train.Common) { c.Engine.ISA = level.String() }})
		}
	}
	return v
}

// Steps trains s for n steps and returns its fingerprint and the losses.
func (s *Session) Steps(t testing.TB, n int) (hash string, losses []float64) {
	t.Helper()
	for step := 1; step <= n; step++ {
		r, err := s.Step(step)
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, r.Loss)
	}
	return s.Hash(), losses
}

// SameSteps fails unless the session called name ended with the fingerprint wanted, after the losses wanted (see
// Session.Steps).
func SameSteps(t testing.TB, name, hash, want string, losses, wantLosses []float64) {
	t.Helper()
	if hash != want {
		t.Errorf("%s: weights and optimiser state %s, want %s", name, hash, want)
	}
	for i := range losses {
		if losses[i] != wantLosses[i] {
			t.Errorf("%s: loss of step %d is %v, want %v", name, i+1, losses[i], wantLosses[i])
		}
	}
}
