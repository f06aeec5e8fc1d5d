package text

import (
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
)

// adapters are random tokens from which only adapters above frozen blocks learn,
// or for rank 0 only the other blocks.
type adapters struct {
	frozen int
	lora   model.LoRAConfig
}

func (a adapters) learner(be backend.Backend, cfg Config) (train.Learner, error) {
	l, err := newLanguage(be, cfg, windows{batches: randomTokens{uint32(cfg.Model.Vocab)}})
	if err != nil {
		return nil, err
	}
	if a.frozen > 0 {
		if err := l.Freeze(a.frozen); err != nil {
			return nil, err
		}
	}
	if a.lora.Rank > 0 {
		if err := l.AddLoRA(a.lora); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// TestSessionLearnsPart: what does not learn keeps its bits and takes no memory
// beside its own, everything else changes, and the plan is the peak.
func TestSessionLearnsPart(t *testing.T) {
	t.Parallel()
	lora := model.LoRAConfig{Rank: 3, Alpha: 6, Dropout: 0.1, Targets: model.Targets{"qkv", "fc1"}}
	for _, tc := range []struct {
		variant
		adapters
	}{
		{variant{"adapters", func(*Config) {}}, adapters{lora: lora}},
		{variant{"adapters, recompute, averaged", func(c *Config) { c.Method.Memory, c.Loop.EMA = bdia.Recompute, 0.9 }}, adapters{lora: lora}},
		{variant{"adapters above, clipped", func(c *Config) { c.Loop.Clip = 0.1 }}, adapters{lora: lora, frozen: 2}},
		{variant{"adapters, store, accumulated, 8 bits", func(c *Config) { c.Method.Memory, c.Loop.MicroBatch, c.Optimizer.StateBits = bdia.Store, 2, 8 }}, adapters{lora: lora}},
		{variant{"blocks above", func(*Config) {}}, adapters{frozen: 3}},
		{variant{"blocks above, untied, accumulated", func(c *Config) { c.Model.Untied, c.Loop.MicroBatch = true, 3 }}, adapters{frozen: 1}},
		{variant{"blocks above, store, set-adam", func(c *Config) { c.Method.Memory, c.Optimizer = bdia.Store, traintest.Optimizer(t, "set-adam") }}, adapters{frozen: 2}},
		{variant{"the final norm", func(*Config) {}}, adapters{frozen: 4}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := tinyConfig()
			tc.change(&cfg)
			build := func(be backend.Backend) (train.Learner, error) { return tc.adapters.learner(be, cfg) }
			planned, err := train.PlanOf(build, train.Options{Common: cfg.Common})
			if err != nil {
				t.Fatal(err)
			}
			be, err := backend.Open(cfg.Engine, planned.Total)
			if err != nil {
				t.Fatal(err)
			}
			defer be.Close()
			l, err := build(be)
			if err != nil {
				t.Fatal(err)
			}
			s, err := train.NewSession(be, l, train.Options{Common: cfg.Common})
			if err != nil {
				t.Fatal(err)
			}
			m := s.Learner.(*language)
			m.InitLoRA(5)
			if err := s.Init(); err != nil {
				t.Fatal(err)
			}
			before := map[string][]float32{}
			all := append(m.Params(), m.Adapters()...)
			for _, p := range all {
				before[p.Name] = make([]float32, p.Value.Len())
				be.Download(before[p.Name], p.Value)
			}
			for step := 1; step <= 2; step++ {
				if _, err := s.Step(step); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Finite(2); err != nil {
				t.Fatal(err)
			}
			if err := s.Learner.(train.Rehearser).Rehearse(); err != nil {
				t.Fatal(err)
			}
			if peak := be.Peak(); peak != planned {
				t.Errorf("the arena's peak was\n%v\nthe plan\n%v", peak, planned)
			}
			learned := map[string]bool{}
			for _, p := range m.Trainable() {
				learned[p.Name] = true
			}
			for _, mo := range s.Optimizer.Moments() {
				name := mo.Name
				for _, suffix := range []string{".absmax", ".m", ".v"} {
					name = strings.TrimSuffix(name, suffix)
				}
				if !learned[name] {
					t.Errorf("there are moments %s of what does not learn", mo.Name)
				}
			}
			for _, p := range all {
				after := make([]float32, p.Value.Len())
				be.Download(after, p.Value)
				if !learned[p.Name] {
					testkit.EqualBits(t, p.Name, after, before[p.Name])
					continue
				}
				changed := false
				for i := range after {
					changed = changed || after[i] != before[p.Name][i]
				}
				if !changed {
					t.Errorf("%s has not changed", p.Name)
				}
			}
		})
	}
}

// TestRandomDrawsWeights: what is timed on random tokens needs no weights in the folder that it would start from.
func TestRandomDrawsWeights(t *testing.T) {
	t.Parallel()
	c := tinyConfig()
	c.Tune.From, c.Tune.LoRA = "nowhere", model.LoRAConfig{Rank: 2, Alpha: 2, Targets: model.Targets{"qkv"}}
	plan, err := backend.Fit(c.Engine, func(be backend.Backend) error {
		l, err := New(c).Random(be)
		if err != nil {
			return err
		}
		s, err := train.NewSession(be, l, train.Options{Common: c.Common})
		if err != nil {
			return err
		}
		if err = s.Init(); err != nil {
			return err
		}
		r, err := s.Step(1)
		if _, real := be.(backend.Device); real && !(r.Loss > 1) {
			t.Errorf("the loss is %v", r.Loss)
		}
		return err
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	plan.Close()
}
