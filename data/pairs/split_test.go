package pairs

import (
	"fmt"
	"strings"
	"testing"
)

// TestSplitIsExact: a share is exact of the distinct sources, and of few of them some are held out all the same.
func TestSplitIsExact(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n                       int
		auto, two, tenth, third int // held out: by default, of 0.02, 0.1 and 1/3
	}{
		{1, 0, 0, 0, 0}, {2, 1, 1, 1, 1}, {3, 1, 1, 1, 1}, {5, 1, 1, 1, 2}, {10, 3, 1, 1, 3}, {20, 6, 1, 2, 7}, {50, 16, 1, 5, 17}, {60, 20, 1, 6, 20},
		{100, 20, 2, 10, 33}, {120, 20, 2, 12, 40}, {200, 20, 4, 20, 67}, {400, 40, 8, 40, 133}, {2000, 200, 40, 200, 667},
	} {
		var text strings.Builder
		for i := range 2 * c.n { // every source twice
			fmt.Fprintf(&text, "question %d\tanswer %d\n", i/2, i)
		}
		path := write(t, "a.tsv", text.String())
		for share, want := range map[Share]int{AutoShare: c.auto, 0.02: c.two, 0.1: c.tenth, 1. / 3: c.third, 0: 0} {
			r := newReader(t, Options{Files: Files{Source: path}, Split: Split{Val: share, Seed: 1}})
			if _, err := readAll(r); err != nil {
				t.Fatal(err)
			}
			if kept := r.Report().Kept; kept != [3]int{Train: 2 * (c.n - want), Val: 2 * want} {
				t.Errorf("%v of %d sources: %v pairs", share, c.n, kept)
			}
		}
	}
	draws := []float64{0.3, 0.1, 0.2, 0.1}
	cuts := Split{Val: 0.4, Test: 0.4}.Cut(draws)
	for draw, want := range map[float64]Part{0.1: Val, 0.2: Test, 0.3: Train} {
		if got := cuts.Part(draw); got != want {
			t.Errorf("a draw of %v is in %v", draw, got)
		}
	}
}
