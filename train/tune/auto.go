package tune

import (
	"math"

	"github.com/bdia-go/bdia/train"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
)

// Assume closes what is open as it is without data: batches of 4096 tokens, 2000 steps.
func (c *Config) Assume() {
	c.Pairs.Assume()
	c.Choose(train.Choice{LR: 1e-4, Steps: 2000, Warmup: 0.025})
}

// Rate returns the learning rate of fine-tuning a model of the width on so many samples: smaller for wider models and
// for few samples, which are soon known by heart, and larger for adapters than for all weights.
func Rate(width int, adapters bool, samples int64) float64 {
	if adapters {
		return train.Readable(min(1e-2, 1/float64(width)))
	}
	few := min(2, max(0.4, math.Sqrt(float64(samples)/500)))
	return train.Readable(min(3e-3, few*0.128/float64(width)))
}

// Clip returns the largest norm of gradients, 0 for none. All weights are not clipped: their norm is known after the
// last gradient only, so all gradients would have to be kept, and the method does not keep them. Adapters have few.
func Clip(adapters bool) float64 {
	if adapters {
		return 1
	}
	return 0
}

// choice is what prompts and completions are learned with: passes and the rest.
func (c Config) choice(a trainpairs.Amount) (passes float64, d train.Choice) {
	adapters := c.Tune.LoRA.Rank > 0
	passes = math.Round(min(30, max(3, 250/math.Sqrt(float64(a.Pairs)))))
	return passes, train.Choice{LR: Rate(c.Model.Width, adapters, int64(a.Pairs)), Warmup: 0.05, Clip: Clip(adapters), Patience: 5}
}
