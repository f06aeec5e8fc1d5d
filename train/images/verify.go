package images

import (
	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/verify"
)

// Check returns a check of the first micro-batch of a step, with the weights in dir, a folder of the run. With an empty
// dir it checks initial weights on random images, and needs no data.
func (t *Task) Check(step int, dir string) (verify.Check, error) {
	return t.check(t.Settings, step, dir)
}

// CheckTwoStream is Check of the RevViT with the same sizes, weights and images, which is inverted in floating point.
func (t *Task) CheckTwoStream(step int, dir string) (verify.Check, error) {
	c := t.Settings
	c.ViT.TwoStream = true
	c.Method = bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid}
	return t.check(c, step, dir)
}

func (t *Task) check(c Config, step int, dir string) (verify.Check, error) {
	b := model.NewImageBatch(c.ViT, c.Loop.SamplesAtOnce())
	if dir == "" {
		t.RandomBatch(step, b)
	} else if err := t.StepBatch(step, b); err != nil {
		return verify.Check{}, err
	}
	return verify.Check{Method: c.Method, Device: c.Engine, Pass: backend.Pass{Seed: c.Loop.Seed, Step: step},
		Make: func(be backend.Backend) (verify.Subject, func() error, error) {
			m, err := model.NewViT(be, c.ViT, bdia.Options{Memory: bdia.Store, Grid: c.Method.Grid})
			if err != nil {
				return verify.Subject{}, nil, err
			}
			return verify.OfViT(m, b), func() error {
				if dir == "" {
					m.Init(c.Loop.Seed)
					return nil
				}
				return hub.LoadViT(be, m, dir)
			}, nil
		}}, nil
}
