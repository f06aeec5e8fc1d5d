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
	few := min(2.5, max(0.3, math.Pow(float64(samples)/500, 0.7)))
	return train.Readable(min(5e-3, few*1e-3*math.Pow(128/float64(width), 1.25)))
}

// Passes returns how often fine-tuning goes through so many samples: 22 times through 100, 8 times through 2,000, 4
// times through 20,000, and twice at least.
func Passes(samples int64) float64 {
	return math.Round(min(25, max(2, 100/math.Cbrt(float64(samples)))))
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
	passes = Passes(int64(a.Pairs))
	return passes, train.Choice{LR: Rate(c.Model.Width, adapters, int64(a.Pairs)), Warmup: 0.05, Clip: Clip(adapters), Patience: 5}
}
