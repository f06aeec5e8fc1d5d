package tune

import (
	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/verify"
)

// Check returns a check of the batch of a step, with the weights in dir, a folder of the run. With an empty dir it
// checks initial weights on one sample of random tokens, and needs no data.
func (t *Task) Check(step int, dir string) (verify.Check, error) {
	c := t.Settings
	if dir == "" {
		b := RandomBatch(c.Model, 1, c.Tune.SampleLength(c.Model), c.Loop.Seed)
		return CheckGPT(c.Model, c.Common, b, step, dir), nil
	}
	b, err := t.StepBatch(step)
	return CheckGPT(c.Model, c.Common, b, step, dir), err
}

// CheckGPT returns a check of the GPT m on the batch b of a step, with the weights in dir, adapters beside them, or
// initial weights if dir is empty.
func CheckGPT(m model.GPTConfig, c train.Common, b model.Batch, step int, dir string) verify.Check {
	var weights, adapters string
	return verify.Check{Method: c.Method, Device: c.Engine, Pass: backend.Pass{Seed: c.Loop.Seed, Step: step},
		Make: func(be backend.Backend) (verify.Subject, func() error, error) {
			gpt, err := model.NewGPT(be, m, bdia.Options{Memory: bdia.Store, Grid: c.Method.Grid})
			if err != nil {
				return verify.Subject{}, nil, err
			}
			if dir == "" {
				return verify.OfGPT(gpt, b), func() error { gpt.Init(c.Loop.Seed); return nil }, nil
			}
			if weights == "" { // once: it reads all base weights of adapters
				if weights, err = hub.WeightsDir(dir); weights != dir {
					adapters = dir
				}
			}
			if err == nil && adapters != "" {
				err = convert.AddAdapter(be, gpt, adapters)
			}
			return verify.OfGPT(gpt, b), func() error { return hub.LoadGPT(be, gpt, weights) }, err
		}}
}

// RandomBatch returns n samples of T uniformly random tokens: a function of seed.
func RandomBatch(m model.GPTConfig, n, T int, seed uint64) model.Batch {
	b := model.NewBatch(n, T)
	key := rng.Key{Seed: seed, Site: rng.SiteData}
	for i := range b.Inputs {
		w, vocab := key.At(uint32(i)), uint32(m.Vocab)
		b.Inputs[i], b.Targets[i] = int32(w[0]%vocab), int32(w[1]%vocab)
	}
	return b
}
