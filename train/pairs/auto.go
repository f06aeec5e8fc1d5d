package pairs

import (
	"math"

	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/train"
)

// Assume closes what is open as it is without data: batches of 4096 tokens, 2000 steps.
func (c *Config) Assume() {
	c.Pairs.Assume()
	c.Choose(train.Choice{LR: 2e-3, Steps: 2000, Warmup: 0.2})
}

// Assume closes what is open of c as it is without data.
func (c *DataConfig) Assume() {
	train.Fill(&c.BatchTokens, 4096)
}

// Amount is how much there is to train on.
type Amount struct {
	Pairs   int
	Tokens  int64 // of both sides, ends included
	Targets int64 // tokens of targets, ends included
	Longest int   // positions of the longest pair, with its ends
}

// Amount returns how much there is to train on. The sets are open.
func (p *Sets) Amount() (a Amount) {
	set := p.sets[pairs.Train]
	a.Pairs = set.Len()
	for i := range a.Pairs {
		n, m := set.Lengths(i)
		a.Tokens += int64(n + m)
		a.Targets += int64(m + 1)
		a.Longest = max(a.Longest, n+m+2)
	}
	return a
}

// LeastTokens are the tokens of the smallest batch that a run chooses.
const LeastTokens = 512

// BatchTokens returns the tokens of a batch, of which a pass has some 64: from 512, or the longest pair, to most.
func (a Amount) BatchTokens(most int) int {
	return max(a.Longest, int(min(int64(most), max(LeastTokens, a.Tokens/64))))
}

// Settle closes the open settings of c and o by the amount of data: the tokens of a batch, at most so many, the length
// of so many passes unless epochs or steps are given, and the choice d, of which Settle knows the steps. It evaluates
// once a pass if that is asked for (0), else some 20 times.
func (p *Sets) Settle(c *DataConfig, o *train.Common, tokens int, passes float64, d train.Choice) error {
	a := p.Amount()
	if o.Loop.Batch > 0 { // which is what limits a batch
		a.Tokens = math.MaxInt64
	}
	train.Fill(&c.BatchTokens, a.BatchTokens(tokens))
	b, err := p.Batches(*c, o.Loop)
	if err != nil {
		return err
	}
	if c.Epochs == 0 && o.Schedule.Steps == 0 {
		c.Epochs = passes
	}
	if c.Epochs > 0 {
		whole, part := math.Modf(c.Epochs)
		steps := b.Steps(int(whole))
		if part > 0 {
			steps += int(math.Ceil(part * float64(b.Steps(int(whole)+1)-steps)))
		}
		o.Schedule.Steps = steps
	}
	if o.Loop.EvalEvery == 0 {
		o.Loop.EvalEvery = b.Steps(1)
	}
	d.EvalEvery, d.Pass = train.Evaluations(o.Schedule.Steps, 20), b.Steps(1)
	o.Choose(d)
	return nil
}

// choice is what an encoder-decoder learns so many pairs with, from nothing or from a trained one on: passes and the
// rest.
func (c Config) choice(a Amount) (passes float64, d train.Choice) {
	if c.From.Dir != "" {
		passes = math.Round(min(20, max(3, 250/math.Sqrt(float64(a.Pairs)))))
		return passes, train.Choice{LR: train.Readable(min(5e-4, 0.0256/float64(c.Seq2Seq.Width))), Warmup: 0.05, Patience: 5}
	}
	passes = math.Round(min(20, max(10, 4000/math.Sqrt(float64(a.Pairs)))))
	return passes, train.Choice{LR: train.Readable(min(2e-3, 0.256/float64(c.Seq2Seq.Width))), Warmup: 0.1, Patience: 5}
}
