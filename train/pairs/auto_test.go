package pairs

import "testing"

// TestChosen: few pairs get small batches and many passes.
func TestChosen(t *testing.T) {
	t.Parallel()
	c := Default()
	last := 1e9
	for _, n := range []int{10, 100, 1000, 30_000, 1_000_000} {
		a := Amount{Pairs: n, Tokens: int64(n) * 30, Longest: 90}
		passes, d := c.choice(a)
		batch := a.BatchTokens(4096)
		if batch < 90 || batch > 4096 || passes > last || passes < 1 || d.LR != 2e-3 || d.Warmup > 0.1 {
			t.Errorf("%d pairs: batches of %d, %v passes, %+v", n, batch, passes, d)
		}
		last = passes
	}
	if n := (Amount{Pairs: 1, Tokens: 9000, Longest: 9000}).BatchTokens(4096); n != 9000 {
		t.Errorf("a batch of %d for a pair of 9000", n)
	}
}
