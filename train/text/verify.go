package text

import (
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train/tune"
	"github.com/bdia-go/bdia/verify"
)

// Check returns a check of the first micro-batch of a step, with the weights in dir, a folder of the run. With an empty
// dir it checks initial weights on random tokens, and needs no data.
func (t *Task) Check(step int, dir string) (verify.Check, error) {
	c := t.Settings
	n, T := c.Loop.SamplesAtOnce(), c.SampleLength()
	if dir == "" {
		return tune.CheckGPT(c.Model, c.Common, tune.RandomBatch(c.Model, n, T, c.Loop.Seed), step, dir), nil
	}
	b := model.NewBatch(n, T)
	err := t.StepBatch(step, b)
	return tune.CheckGPT(c.Model, c.Common, b, step, dir), err
}
