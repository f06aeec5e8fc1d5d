package text

import (
	"errors"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
)

// variant is a change of a run that must not change a bit of its result.
type variant struct {
	name   string
	change func(*Config)
}

// variants of cfg. Updating now excludes clipping.
func variants(cfg Config) (v []variant) {
	for _, one := range traintest.Variants(cfg.Common) {
		v = append(v, variant{one.Name, func(c *Config) { one.Change(&c.Common) }})
	}
	return v
}

// steps trains a fresh session of cfg for n steps and returns its fingerprint
// and the losses.
func steps(t *testing.T, cfg Config, n int) (hash string, losses []float64) {
	t.Helper()
	return session(t, cfg).Steps(t, n)
}

// TestSameBits is the contract on bits: the same run, however it is carried out,
// ends with the same weights and the same optimiser state, and has the same
// losses on the way.
func TestSameBits(t *testing.T) {
	t.Parallel()
	cases := []variant{
		{"adamw", func(*Config) {}},
		{"adamw, clipped, gamma 0.25, untied", func(c *Config) {
			c.Loop.Clip, c.Method.Gamma, c.Model.Untied = 0.1, 0.25, true
		}},
		{"a ramp of gamma, smaller in the first blocks", func(c *Config) { c.Method.Ramp = bdia.Ramp{From: 0.125, Steps: 4, Lower: 0.0625} }},
		{"states of 8 bits", func(c *Config) { c.Model.Width, c.Optimizer.StateBits = 36, 8 }},
		{"set-adam", func(c *Config) { c.Optimizer = traintest.Optimizer(t, "set-adam") }},
		{"set-adam, clipped, no bias", func(c *Config) {
			c.Optimizer, c.Loop.Clip, c.Model.NoBias = traintest.Optimizer(t, "set-adam"), 0.1, true
		}},
		{"sgd, two blocks", func(c *Config) { c.Optimizer, c.Model.Layers = traintest.Optimizer(t, "sgd"), 2 }},
		{"sgd, clipped, one block, erf", func(c *Config) {
			c.Optimizer, c.Loop.Clip, c.Model.Layers, c.Model.GELU = traintest.Optimizer(t, "sgd"), 0.1, 1, backend.GELUErf
		}},
		{"logits in chunks", func(c *Config) { c.Model.Vocab, c.Model.Context, c.Model.Width, c.Model.Layers = 12_000, 64, 8, 3 }},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := tinyConfig()
			tc.change(&cfg)
			large, n := cfg.Model.Vocab > 1000, 4
			if large {
				n = 1
			}
			want, losses := steps(t, cfg, n)
			for _, v := range variants(cfg) {
				if large && v.name == cpufeat.Portable.String() {
					continue // slow
				}
				changed := cfg
				v.change(&changed)
				got, l := steps(t, changed, n)
				traintest.SameSteps(t, v.name, got, want, l, losses)
			}
		})
	}
}

// TestOtherBits shows that TestSameBits could fail: what is part of a run's
// definition does change its result.
func TestOtherBits(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	base, _ := steps(t, cfg, 3)
	seen := map[string]string{base: "the run itself"}
	for _, v := range []variant{
		{"seed", func(c *Config) { c.Loop.Seed++ }},
		{"gamma", func(c *Config) { c.Method.Gamma = 0.25 }},
		{"a ramp of gamma", func(c *Config) { c.Method.Ramp = bdia.Ramp{From: 0.25, Steps: 2} }},
		{"a longer ramp of gamma", func(c *Config) { c.Method.Ramp = bdia.Ramp{From: 0.25, Steps: 4} }},
		{"gamma of the first blocks", func(c *Config) { c.Method.Ramp.Lower = 0.25 }},
		{"grid", func(c *Config) { c.Method.Grid = 10 }},
		{"embedding dropout", func(c *Config) { c.Model.EmbeddingDropout = 0 }},
		{"attention dropout", func(c *Config) { c.Model.AttentionDropout = 0 }},
		{"residual dropout", func(c *Config) { c.Model.ResidualDropout = 0 }},
		{"batch", func(c *Config) { c.Loop.Batch++ }},
		{"clipping", func(c *Config) { c.Loop.Clip = 0.1 }},
		{"learning rate", func(c *Config) { c.Schedule.LR *= 1.0001 }},
		{"decay", func(c *Config) { c.Optimizer.Decay += 0.01 }},
		{"ordinary transformer", func(c *Config) { c.Method = traintest.NoGrid(bdia.Store, 0) }},
		{"gamma 0.6 on a grid", func(c *Config) { c.Method = bdia.Options{Memory: bdia.Store, Gamma: 0.6, Grid: 9} }},
		{"gamma 0.5 without a grid", func(c *Config) { c.Method = traintest.NoGrid(bdia.Store, 0.5) }},
	} {
		changed := cfg
		v.change(&changed)
		got, _ := steps(t, changed, 3)
		if other, ok := seen[got]; ok {
			t.Errorf("a change of %s gives the same bits as %s", v.name, other)
		}
		seen[got] = v.name
	}
}

// TestRecomputeIsStore covers the methods that cannot be reversed.
func TestRecomputeIsStore(t *testing.T) {
	t.Parallel()
	for _, o := range []bdia.Options{
		{Gamma: 0, Grid: bdia.NoGrid}, {Gamma: 0, Grid: 9}, {Gamma: 0.5, Grid: bdia.NoGrid}, {Gamma: 0.6, Grid: 9}, {Gamma: 0.6, Grid: bdia.NoGrid},
	} {
		cfg := tinyConfig()
		o.Memory = bdia.Store
		cfg.Method = o
		want, _ := steps(t, cfg, 3)
		cfg.Method.Memory = bdia.Recompute
		if got, _ := steps(t, cfg, 3); got != want {
			t.Errorf("gamma %v, grid %v: recompute gives %s, store %s", o.Gamma, o.Grid, got, want)
		}
	}
}

// failing gives one good micro-batch of step 2 and then an error, once.
type failing struct {
	tokenSource
	failed *bool
}

var errNoMore = errors.New("no more")

func (f failing) Batch(step, first, n int, inputs, targets []int32) error {
	if step == 2 && first > 0 && !*f.failed {
		*f.failed = true
		return errNoMore
	}
	return f.tokenSource.Batch(step, first, n, inputs, targets)
}

func TestFailedStepChangesNothing(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*Config)
		spoil  float32 // factor on the weights
		want   error
	}{
		{"data end within a step", func(c *Config) { c.Loop.MicroBatch = 2 }, 1, errNoMore},
		{"states past the range", func(*Config) {}, 1e7, bdia.ErrRange},
		{"states past the range, update end", func(c *Config) { c.Loop.Update = train.WhenEnd }, 1e7, bdia.ErrRange},
		{"loss not finite", func(c *Config) { c.Method = traintest.NoGrid(bdia.Store, 0) }, 1e38, model.ErrDiverged},
		{"loss not finite, update now", func(c *Config) { c.Method, c.Loop.Update = traintest.NoGrid(bdia.Recompute, 0.5), train.WhenNow }, 1e38, model.ErrDiverged},
	} {
		cfg := tinyConfig()
		tc.change(&cfg)
		s := session(t, cfg)
		l := s.Learner.(*language)
		l.batches = failing{l.batches, new(bool)}
		if _, err := s.Step(1); err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Params() {
			s.Backend.Scale(p.Value, tc.spoil)
		}
		before := s.Hash()
		_, err := s.Step(2)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: error %v, want %v", tc.name, err, tc.want)
		}
		if s.Hash() != before {
			t.Errorf("%s: the failed step changed weights or optimiser state", tc.name)
		}
		if tc.want == errNoMore { // and the session goes on as if nothing had been
			want, _ := steps(t, cfg, 2)
			if _, err := s.Step(2); err != nil || s.Hash() != want {
				t.Errorf("%s: repeated step: %v, %s, want %s", tc.name, err, s.Hash(), want)
			}
		}
	}
}
