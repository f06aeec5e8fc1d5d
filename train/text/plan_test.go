package text

import (
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
)

// TestPlanIsPeak runs everything that a run does with memory and compares the
// arena's peak with the plan, component by component.
func TestPlanIsPeak(t *testing.T) {
	t.Parallel()
	for _, tc := range []variant{
		{"reversible", func(*Config) {}},
		{"store", func(c *Config) { c.Method = traintest.NoGrid(bdia.Store, 0) }},
		{"recompute", func(c *Config) { c.Method = traintest.NoGrid(bdia.Recompute, 0.5) }},
		{"gamma 0.25, update end", func(c *Config) { c.Method.Gamma, c.Loop.Update = 0.25, train.WhenEnd }},
		{"a ramp of gamma", func(c *Config) { c.Method.Ramp = bdia.Ramp{From: 0.125, Steps: 2} }},
		{"gamma 0.6 on a grid", func(c *Config) { c.Method = bdia.Options{Memory: bdia.Store, Gamma: 0.6, Grid: 9} }},
		{"store, update now", func(c *Config) { c.Method.Memory, c.Loop.Update = bdia.Store, train.WhenNow }},
		{"average", func(c *Config) { c.Loop.EMA = 0.9 }},
		{"clipped", func(c *Config) { c.Loop.Clip = 1 }},
		{"accumulation", func(c *Config) { c.Loop.MicroBatch = 2 }},
		{"accumulation, untied", func(c *Config) { c.Loop.MicroBatch, c.Model.Untied = 2, true }},
		{"no bias, one block, threads 3", func(c *Config) { c.Model.NoBias, c.Model.Layers, c.Engine.Threads = true, 1, 3 }},
		{"two blocks, no dropout", func(c *Config) {
			c.Model.Layers, c.Model.EmbeddingDropout, c.Model.AttentionDropout, c.Model.ResidualDropout = 2, 0, 0, 0
		}},
		{"set-adam", func(c *Config) { c.Optimizer = traintest.Optimizer(t, "set-adam") }},
		{"states of 8 bits", func(c *Config) { c.Model.Width, c.Optimizer.StateBits = 50, 8 }},
		{"sgd", func(c *Config) { c.Optimizer = traintest.Optimizer(t, "sgd") }},
		{"logits in chunks", func(c *Config) { c.Model.Vocab, c.Model.Context, c.Model.Width = 12_000, 64, 8 }},
		{"wide vocabulary, batch of 1", func(c *Config) { c.Model.Vocab, c.Model.Width, c.Loop.Batch = 20_000, 8, 1 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := tinyConfig()
			tc.change(&cfg)
			cfg.Loop.SampleEvery, cfg.Loop.SampleTokens = 1, cfg.Model.Context+2
			s := session(t, cfg)
			planned := s.Planned
			for step := 1; step <= 2; step++ {
				if _, err := s.Step(step); err != nil {
					t.Fatal(err)
				}
			}
			set, err := data.NewSequential(someIDs(500, cfg.Model.Vocab), cfg.Model.Context, 4)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Learner.(*language).mean(t.Context(), set); err != nil {
				t.Fatal(err)
			}
			o := s.Learner.(*language).sampled()
			if err := generate.Tokens(s.Learner.(*language).GPT.GPT, []int32{1, 2, 3}, o, func(int32) bool { return true }); err != nil {
				t.Fatal(err)
			}
			if peak := s.Backend.Peak(); peak != planned {
				t.Errorf("the arena's peak was\n%v\nthe plan\n%v", peak, planned)
			}
		})
	}
}

func TestPlanModes(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	cfg.Model.Layers, cfg.Model.Context = 16, 64
	modes, err := train.PlanModes(New(cfg))
	if err != nil {
		t.Fatal(err)
	}
	if len(modes) != 3 {
		t.Fatalf("modes %v", modes)
	}
	rev, rec, store := modes["reversible"], modes["recompute"], modes["store"]
	if !(rev.Total < rec.Total && rec.Total < store.Total) {
		t.Errorf("reversible %d, recompute %d, store %d bytes", rev.Total, rec.Total, store.Total)
	}
	state := int64(4 * cfg.Loop.Batch * cfg.Model.Context * cfg.Model.Width)
	K := int64(cfg.Model.Layers)
	for _, c := range []struct {
		name      string
		got, want int64
	}{
		{"reversible: three states, and rests of two", rev.ByComponent[backend.States], 3*state + state/2},
		{"reversible: one bit per activation of K-2 states", rev.ByComponent[backend.SideBits], (K - 2) * state / 32},
		{"recompute: every state", rec.ByComponent[backend.States], (K + 1) * state},
		{"store: every state", store.ByComponent[backend.States], (K + 1) * state},
		{"store: no side information", store.ByComponent[backend.SideBits], 0},
		{"weights alike", rev.ByComponent[backend.Weights], store.ByComponent[backend.Weights]},
		{"gradients of all weights", store.ByComponent[backend.Gradients] / 4, store.ByComponent[backend.Weights] / 4},
	} {
		// Arenas round sizes up to their alignment.
		if c.got < c.want || c.got > c.want+c.want/8+64*K {
			t.Errorf("%s: %d bytes, want about %d", c.name, c.got, c.want)
		}
	}
	again, err := train.Plan(New(cfg))
	if err != nil || again != rev {
		t.Errorf("the run's own mode is planned as %v, %v; PlanModes has %v", again, err, rev)
	}
}

// TestDepthCostsOneBit: a block more costs its weights and one bit for each
// activation, to the byte.
func TestDepthCostsOneBit(t *testing.T) {
	t.Parallel()
	plan := func(layers int) backend.Usage {
		cfg := tinyConfig()
		cfg.Model.Layers, cfg.Model.Width, cfg.Model.Context, cfg.Loop.Batch = layers, 64, 64, 8
		u, err := train.Plan(New(cfg))
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	a, b := plan(10), plan(1000)
	perBlock := func(c backend.Component) int64 { return (b.ByComponent[c] - a.ByComponent[c]) / 990 }
	if got, want := perBlock(backend.SideBits), int64(8*64*64/8); got != want {
		t.Errorf("%d bytes of side information a block, want %d", got, want)
	}
	for _, c := range []backend.Component{backend.States, backend.Activation, backend.Logits, backend.Scratch, backend.Gradients} {
		if b.ByComponent[c] != a.ByComponent[c] {
			t.Errorf("%v grows from %d to %d bytes with depth", c, a.ByComponent[c], b.ByComponent[c])
		}
	}
}

func TestLargestBatch(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	one := cfg
	one.Loop.Batch, one.Loop.MicroBatch = 1, 0
	for _, m := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
		total := func(batch int) int64 {
			c := withMemory(cfg, m)
			c.Loop.Batch, c.Loop.MicroBatch = batch, 0
			u, err := train.Plan(New(c))
			if err != nil {
				t.Fatal(err)
			}
			return u.Total
		}
		for _, budget := range []int64{total(1), total(2) - 1, total(13), total(13) + 1, total(64) - 1} {
			n, u, err := train.LargestBatch(New(cfg), m, budget)
			if err != nil {
				t.Fatal(err)
			}
			if u.Total > budget || u.Total != total(n) {
				t.Errorf("%v: a batch of %d takes %d bytes (%d by its own plan), the budget is %d", m, n, u.Total, total(n), budget)
			}
			if total(n+1) <= budget {
				t.Errorf("%v: a batch of %d is not the largest: one more takes %d of %d bytes", m, n, total(n+1), budget)
			}
		}
		if n, _, err := train.LargestBatch(New(cfg), m, total(1)-1); n != 0 || err != nil {
			t.Errorf("%v: batch %d, %v, for a budget too small for one sample", m, n, err)
		}
	}
}

// TestPlanOfShortSamples: what a run plans for goes with its samples. The context of the model that it starts from may
// be a hundred times as long.
func TestPlanOfShortSamples(t *testing.T) {
	t.Parallel()
	for _, every := range []int{0, 5} {
		plan := func(context int) backend.Usage {
			cfg := tinyConfig()
			cfg.Model.Context, cfg.Tune.Window, cfg.Loop.SampleEvery, cfg.Model.Family, cfg.Model.Rope.Theta = context, 16, every, model.Llama, 1e4
			u, err := train.Plan(New(cfg))
			if err != nil {
				t.Fatal(err)
			}
			u.Total -= u.ByComponent[backend.Weights] // the table of angles is as long as the context
			return u
		}
		if short, long := plan(32), plan(4096); short.Total != long.Total {
			t.Errorf("samples every %d steps: %d bytes beside the weights; with a context of 4096 %d", every, short.Total, long.Total)
		}
	}
}

// TestTablesGradients: beside the head's, whose gradient is as large as the table, no look-up takes so much: the share of
// a tied table has a row for each token of a micro-batch, or of the step, and the gradients of two tables do not meet.
func TestTablesGradients(t *testing.T) {
	t.Parallel()
	const V, C, T, batch = 20_000, 8, 16, 6
	const table, row = 4 * V * C, 4 * C
	for _, tc := range []struct {
		variant
		rows int64 // beside one table
	}{
		{variant{"tied", func(*Config) {}}, T * batch},
		{variant{"untied", func(c *Config) { c.Model.Untied = true }}, 0},
		{variant{"tied, to the end", func(c *Config) { c.Loop.Update = train.WhenEnd }}, T * batch},
		{variant{"tied, micro-batches", func(c *Config) { c.Loop.MicroBatch = 2 }}, T * batch},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := tinyConfig()
			cfg.Model.Vocab, cfg.Model.Context, cfg.Model.Width, cfg.Model.Heads, cfg.Loop.Batch = V, T, C, 2, batch
			tc.change(&cfg)
			u, err := train.Plan(New(cfg))
			if err != nil {
				t.Fatal(err)
			}
			// Blocks, norms and positions have a few thousand parameters.
			if got, most := u.ByComponent[backend.Gradients], table+tc.rows*row+40_000; got < table || got > most {
				t.Errorf("gradients take %d bytes; a table takes %d, and they may take %d", got, table, most)
			}
		})
	}
}

// TestBars: the memory of a step of 2,048 tokens of published models, all weights trained, with all that the process
// takes. A tied table has one gradient as large as itself.
func TestBars(t *testing.T) {
	t.Parallel()
	for _, bar := range []struct {
		preset  string
		weights model.WeightType
		bits    int // of moments
		most    float64
	}{
		{"smollm2-135m", "", 32, 2.0}, {"smollm2-135m", "", 8, 1.2}, {"qwen2.5-0.5b", "", 32, 6.5}, {"qwen2.5-0.5b", "", 8, 3.9},
		{"llama-3.2-1b", "", 32, 15.5}, {"llama-3.2-1b", "", 8, 8.6}, {"qwen3-1.7b", "", 32, 21.5}, {"qwen3-1.7b", "", 8, 12},
		{"llama-3.2-3b", model.WeightsBF16, 8, 15.5},
	} {
		c := Default()
		var err error
		if c.Model, err = model.GPTPreset(bar.preset); err != nil {
			t.Fatal(err)
		}
		c.Model.Weights, c.Loop.Batch, c.Optimizer.StateBits, c.Engine.Threads = bar.weights, 1, bar.bits, 2
		task := New(c)
		u, err := train.Plan(task)
		if err != nil {
			t.Fatal(err)
		}
		gib := float64(u.Total+train.HostOf(task).Total()) / (1 << 30)
		t.Logf("%s, weights %s, moments of %d bits: %.2f GiB", bar.preset, c.Model.Weights.DType(), bar.bits, gib)
		if gib > bar.most {
			t.Errorf("%s, weights %s, moments of %d bits, takes %.2f GiB, and at most %v are allowed", bar.preset, c.Model.Weights.DType(), bar.bits, gib, bar.most)
		}
	}
}
