package images

import (
	"math"

	"github.com/bdia-go/bdia/train"
)

// Assume closes what is open as it is without data: batches of 128 images, 2000 steps.
func (c *Config) Assume() {
	train.Fill(&c.Loop.Batch, train.FitBatch(128, c.Loop.MicroBatch))
	c.Choose(train.Choice{LR: 1e-3, Steps: 2000, Warmup: 0.05})
}

// choose closes what the data decide: there are so many images to train on.
func (c *Config) choose(n int) {
	c.Loop.Batch = batchFor(c.Loop.Batch, n, c.Loop.MicroBatch)
	perEpoch := float64(n) / float64(c.Loop.Batch)
	if c.Images.Epochs == 0 && c.Schedule.Steps == 0 {
		c.Images.Epochs = passesOf(n, c.Loop.Batch)
	}
	if c.Images.Epochs > 0 {
		c.Schedule.Steps = int(math.Ceil(c.Images.Epochs * perEpoch))
	}
	if c.Loop.EvalEvery == 0 {
		c.Loop.EvalEvery = int(math.Ceil(perEpoch))
	}
	d := train.Choice{LR: 1e-3, Warmup: warmup(c.Schedule.Steps), EvalEvery: train.Evaluations(c.Schedule.Steps, 20)}
	if c.Images.From != "" {
		d.LR = 1e-4
	}
	c.Choose(d)
}

// passes is how often a run of open length shows each image. More make a model surer of its wrong answers.
const passes = 20

// batchFor returns the batch, if it is open: of n images so many that the passes have some 250 steps, from 16 to 128.
func batchFor(batch, n, micro int) int {
	if batch == 0 {
		batch = train.FitBatch(min(128, max(16, n*passes/250/8*8)), micro)
	}
	return batch
}

// passesOf returns how often a run of open length shows n images: passes, or up to five times as often as it takes to
// have 200 steps.
func passesOf(n, batch int) float64 {
	return math.Round(min(5*passes, max(passes, 200*float64(batch)/float64(n))))
}

// warmup returns the share of so many steps that the rate grows in: 100 steps, or a third of a short run.
func warmup(steps int) float64 { return min(1./3, 100/float64(max(1, steps))) }
