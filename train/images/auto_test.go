package images

import "testing"

// TestChosen: a small set gets small batches, and more passes where there would be few steps; what is set stays.
func TestChosen(t *testing.T) {
	t.Parallel()
	for _, want := range []struct{ images, batch, epochs, steps, warmup int }{
		{1, 16, 100, 7, 2}, {20, 16, 100, 125, 42}, {100, 16, 32, 200, 67}, {200, 16, 20, 250, 83},
		{1000, 80, 20, 250, 83}, {2000, 128, 20, 313, 100}, {50_000, 128, 20, 7813, 100},
	} {
		c := Default()
		c.choose(want.images)
		if err := c.Validate(); err != nil {
			t.Errorf("%d images: %v", want.images, err)
		}
		got := want
		got.batch, got.epochs, got.steps, got.warmup = c.Loop.Batch, int(c.Images.Epochs), c.Schedule.Steps, c.Schedule.Warmup
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	c := Default()
	c.Loop.Batch, c.Images.Epochs, c.Loop.EvalEvery = 50, 3, 0
	c.choose(1000)
	if c.Schedule.Steps != 60 || c.Loop.EvalEvery != 20 {
		t.Errorf("%+v, evaluations every %d", c.Schedule, c.Loop.EvalEvery)
	}
}
