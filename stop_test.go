package bdia_test

import (
	"errors"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// TestStop: a pass that is broken off between blocks, on the way up or back, leaves memory as it was, and done again it
// has the bits of a pass that nothing disturbed.
func TestStop(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	for name, make := range map[string]func(t *testing.T, be backend.Backend) stoppable{
		"reversible": func(t *testing.T, be backend.Backend) stoppable { return stoppableGPT(t, be, bdia.Reversible) },
		"store":      func(t *testing.T, be backend.Backend) stoppable { return stoppableGPT(t, be, bdia.Store) },
		"pairs": func(t *testing.T, be backend.Backend) stoppable {
			c := smallPairs(3, 2)
			m, err := model.NewSeq2Seq(be, c.model, c.opt)
			if err != nil {
				t.Fatal(err)
			}
			m.Init(3)
			b := newPairs(c.model, 3, 0)
			return stoppable{5, m.Params(), m.SetStop, func(sink bdia.Sink) ([]float32, error) {
				return m.MicroStep(b, trainPass, 1, sink)
			}}
		},
		"two streams": func(t *testing.T, be backend.Backend) stoppable {
			c := twoStreamViT(2, bdia.Reversible)
			m := newViT(t, be, c.model, c.opt)
			b := newImages(c.model, vitSamples)
			return stoppable{4, m.Params(), m.SetStop, func(sink bdia.Sink) ([]float32, error) {
				return m.MicroStep(b, trainPass, 1, sink)
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			be := newCPU(t, cpu.Options{Threads: 1})
			s := make(t, be)
			sink := newKeepAll(be, s.params)
			pass := func() (losses []float32, grads [][]float32, err error) {
				for _, p := range s.params {
					be.Zero(p.Grad)
					if rows := p.Lookups; rows != nil {
						be.Zero(rows.Grad)
						rows.Begin(rows.Grad)
					}
				}
				losses, err = s.step(sink)
				for _, p := range s.params {
					grads = append(grads, read(be, p.Grad))
				}
				return append([]float32(nil), losses...), grads, err
			}
			losses, grads, err := pass()
			if err != nil {
				t.Fatal(err)
			}
			mark := be.Mark()
			for after := range 2 * s.blocks {
				asked := 0
				s.setStop(func() error {
					if asked++; asked > after {
						return enough
					}
					return nil
				})
				if _, _, err := pass(); !errors.Is(err, enough) || asked != after+1 {
					t.Errorf("stopped at question %d of %d: %v", asked, after+1, err)
				}
				if be.Mark() != mark {
					t.Errorf("stopped at question %d: memory is left", after+1)
				}
			}
			s.setStop(nil)
			gotLosses, gotGrads, err := pass()
			if err != nil {
				t.Fatal(err)
			}
			testkit.EqualBits(t, "losses", gotLosses, losses)
			for i, p := range s.params {
				testkit.EqualBits(t, "gradient of "+p.Name, gotGrads[i], grads[i])
			}
		})
	}
}

// stoppable is a model and a batch.
type stoppable struct {
	blocks  int
	params  []*tensor.Param
	setStop func(func() error)
	step    func(sink bdia.Sink) ([]float32, error)
}

func stoppableGPT(t *testing.T, be backend.Backend, memory bdia.Memory) stoppable {
	c := small(4)
	c.opt.Memory = memory
	m := newModel(t, be, c.model, c.opt)
	b := newBatch(c.model, c.samples)
	return stoppable{4, m.Trainable(), m.SetStop, func(sink bdia.Sink) ([]float32, error) {
		return m.MicroStep(b, trainPass, 1, sink)
	}}
}
