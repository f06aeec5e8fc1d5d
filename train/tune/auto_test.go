package tune

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/pairs"
)

// TestChosen: rates fall with width, grow with data, and are higher for adapters, which alone are clipped.
func TestChosen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		width    int
		adapters bool
		tokens   int64
		want     float64
	}{{128, false, 5000, 3e-4}, {128, false, 25_000, 1e-3}, {128, false, 1e9, 2.5e-3}, {768, false, 25_000, 1.1e-4}, {768, true, 25_000, 1.3e-3}, {16, true, 1, 1e-2}} {
		if got := Rate(c.width, c.adapters, c.tokens); got != c.want {
			t.Errorf("width %d, adapters %v, %d tokens: %v, want %v", c.width, c.adapters, c.tokens, got, c.want)
		}
	}
	c := Default()
	last := 1e9
	for _, n := range []int{20, 100, 500, 2000, 20_000} {
		passes, d := c.choice(pairs.Amount{Pairs: n, Tokens: int64(n) * 100, Targets: int64(n) * 40, Longest: 150})
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

// TestFewPairs: a set of 112 pairs, for which a run used to have 3 steps, all of them warm-up, is learned, and the run
// keeps what was chosen as numbers.
func TestFewPairs(t *testing.T) {
	t.Parallel()
	c := Default()
	if err := c.StartFrom(traintest.GPTFolder(t, nil)); err != nil {
		t.Fatal(err)
	}
	c.Pairs.Source, c.Pairs.Target = traintest.Sentences(t, 112)
	r := create(t, c)
	defer r.Close()
	is := settings(r)
	if s := is.Schedule; s.Steps < 100 || s.Warmup < 1 || s.Warmup*10 > s.Steps || s.LR == 0 || is.Pairs.BatchTokens == 0 || is.Pairs.Epochs == 0 {
		t.Errorf("schedule %+v, pairs %+v", s, is.Pairs)
	}
	if m := is.Method; m.Gamma != 0.5 || m.Ramp != (bdia.Ramp{From: 0.125, Steps: is.Schedule.Steps}) || is.Pairs.Epochs <= train.RampPasses {
		t.Errorf("gamma %s, in %d steps of %v passes", m.GammaText(), is.Schedule.Steps, is.Pairs.Epochs)
	}
	kept, err := train.ReadRun(filepath.Join(r.Dir, "bdia.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(any(is), kept.Config()); diff != "" {
		t.Errorf("the run keeps other settings: %s", diff)
	}
	// Of three passes the first quarter of the ramp is seen. A ramp that is named takes the whole run.
	for ramp, want := range map[bdia.Ramp]int{DefaultMethod().Ramp: train.RampPasses / 3, {From: 0.25}: 1} {
		c.Pairs.Epochs, c.Method.Ramp = 3, ramp
		r := create(t, c)
		if is := settings(r); is.Method.Ramp != (bdia.Ramp{From: ramp.From, Steps: want * is.Schedule.Steps}) {
			t.Errorf("%+v of %d steps becomes %+v, want %d times the run", ramp, is.Schedule.Steps, is.Method.Ramp, want)
		}
		r.Close()
	}
}
