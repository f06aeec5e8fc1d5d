package tune

import (
	"testing"

	"github.com/bdia-go/bdia/train/pairs"
)

// TestChosen: rates fall with width, grow with data, and are higher for adapters, which alone are clipped.
func TestChosen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		width    int
		adapters bool
		samples  int64
		want     float64
	}{{128, false, 100, 3.2e-4}, {128, false, 500, 1e-3}, {128, false, 1e9, 2.5e-3}, {768, false, 500, 1.1e-4}, {768, true, 500, 1.3e-3}, {16, true, 1, 1e-2}} {
		if got := Rate(c.width, c.adapters, c.samples); got != c.want {
			t.Errorf("width %d, adapters %v, %d samples: %v, want %v", c.width, c.adapters, c.samples, got, c.want)
		}
	}
	c := Default()
	last := 1e9
	for _, n := range []int{20, 100, 500, 2000, 20_000} {
		passes, d := c.choice(pairs.Amount{Pairs: n, Tokens: int64(n) * 100, Longest: 150})
		if passes > last || passes < 2 || d.Clip != 0 || d.Warmup > 0.1 || d.Patience == 0 {
			t.Errorf("%d pairs: %v passes, %+v", n, passes, d)
		}
		last = passes
	}
	c.Tune.LoRA.Rank = 4
	if _, d := c.choice(pairs.Amount{Pairs: 9}); d.Clip == 0 {
		t.Error("adapters are not clipped")
	}
}
