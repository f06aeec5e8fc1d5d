package tune

import (
	"math"

	"github.com/bdia-go/bdia/internal/pmath"
	"github.com/bdia-go/bdia/train"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
)

// Assume closes what is open as it is without data: batches of 4096 tokens, 2000 steps.
func (c *Config) Assume() {
	c.Pairs.Assume()
	c.Choose(train.Choice{LR: 1e-4, Steps: 2000, Warmup: 0.025})
}

// Rate returns the learning rate of fine-tuning a model of the width on so many tokens that have losses: smaller for
// wider models and for few tokens, which are soon known by heart, and larger for adapters than for all weights.
func Rate(width int, adapters bool, tokens int64) float64 {
	if adapters {
		return train.Readable(min(1e-2, 1/float64(width)))
	}
	few := min(2.5, max(0.2, pmath.Pow(float64(tokens)/25_000, 0.75)))
	return train.Readable(min(5e-3, few*1e-3*pmath.Pow(128/float64(width), 1.25)))
}

// Passes returns how often fine-tuning goes through so many tokens that have losses: 22 times through 5,000, 8 times
// through 100,000, 4 times through a million, and twice at least.
func Passes(tokens int64) float64 {
	return math.Round(min(25, max(2, 370/math.Cbrt(float64(max(tokens, 1))))))
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
	learned := a.Targets
	if c.Tune.LossOnPrompt {
		learned = a.Tokens
	}
	return Passes(learned), train.Choice{LR: Rate(c.Model.Width, adapters, learned), Warmup: 0.05, Clip: Clip(adapters), Patience: 5}
}
