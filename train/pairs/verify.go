package pairs

import (
	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/eval"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/verify"
)

// Check returns a check of the decoder, or of the encoder, on the batch of a step, with the weights in dir, a folder of
// the run. With an empty dir it checks initial weights on random tokens, and needs no data.
func (t *Task) Check(step int, dir string, encoder bool) (verify.Check, error) {
	c, b := t.Settings, &pairs.Batch{}
	if dir == "" {
		b = t.RandomBatch(step)
	} else if err := t.StepBatch(step, b); err != nil {
		return verify.Check{}, err
	}
	return verify.Check{Method: c.Method, Device: c.Engine, Pass: backend.Pass{Seed: c.Loop.Seed, Step: step},
		Make: func(be backend.Backend) (verify.Subject, func() error, error) {
			m, err := model.NewSeq2Seq(be, c.Seq2Seq, bdia.Options{Memory: bdia.Store, Grid: c.Method.Grid})
			if err != nil {
				return verify.Subject{}, nil, err
			}
			return verify.OfSeq2Seq(m, eval.PairBatch(b), !encoder), func() error {
				if dir == "" {
					m.Init(c.Loop.Seed)
					return nil
				}
				return hub.LoadSeq2Seq(be, m, dir)
			}, nil
		}}, nil
}
