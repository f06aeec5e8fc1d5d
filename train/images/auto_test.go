package images

import "testing"

// TestChosen: a small set gets small batches and more passes, and what is set stays.
func TestChosen(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 20, 200, 2000, 50_000} {
		c := Default()
		c.choose(n)
		if err := c.Validate(); err != nil {
			t.Errorf("%d images: %v", n, err)
		}
		if b := c.Loop.Batch; b < 16 || b > 128 || n >= 200 && c.Schedule.Steps < 500 || c.Schedule.Warmup*10 > c.Schedule.Steps {
			t.Errorf("%d images: batches of %d, %+v", n, b, c.Schedule)
		}
	}
	c := Default()
	c.Loop.Batch, c.Images.Epochs, c.Loop.EvalEvery = 50, 3, 0
	c.choose(1000)
	if c.Schedule.Steps != 60 || c.Loop.EvalEvery != 20 {
		t.Errorf("%+v, evaluations every %d", c.Schedule, c.Loop.EvalEvery)
	}
}
