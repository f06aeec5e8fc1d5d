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
		c.Images.Epochs = passes(n)
	}
	if c.Images.Epochs > 0 {
		c.Schedule.Steps = int(math.Ceil(c.Images.Epochs * perEpoch))
	}
	if c.Loop.EvalEvery == 0 {
		c.Loop.EvalEvery = int(math.Ceil(perEpoch))
	}
	d := train.Choice{LR: 1e-3, Warmup: 0.05, EvalEvery: train.Evaluations(c.Schedule.Steps, 20)}
	if c.Images.From != "" {
		d.LR = 1e-4
	}
	c.Choose(d)
}

// batchFor returns the batch, if it is open: of n images so many that a pass has some 40 steps, from 16 to 128.
func batchFor(batch, n, micro int) int {
	if batch == 0 {
		batch = train.FitBatch(min(128, max(16, n/40/8*8)), micro)
	}
	return batch
}

// passes returns how often a run of open length shows n images: 20 times, and up to 100 if they are few.
func passes(n int) float64 {
	return math.Round(min(100, max(20, 2000/math.Sqrt(float64(n)))))
}
