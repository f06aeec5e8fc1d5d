package text

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/tune"
)

// tunings are the ways to fine-tune.
var tunings = []variant{
	{"all weights", func(*Config) {}},
	{"adapters", func(c *Config) {
		c.Tune.LoRA = model.LoRAConfig{Rank: 3, Alpha: 6, Dropout: 0.1, Targets: model.Targets{"all"}}
	}},
	{"a short window, blocks above", func(c *Config) { c.Tune.Window, c.Tune.Freeze = 20, 2 }},
	{"adapters above", func(c *Config) {
		c.Tune.Freeze, c.Tune.LoRA = 1, model.LoRAConfig{Rank: 2, Alpha: 2, Targets: model.Targets{"qkv", "fc2"}}
	}},
	{"micro-batches", func(c *Config) { c.Loop.MicroBatch = 2 }},
}

// familyTunings are ways to fine-tune the families that their names begin with.
var familyTunings = []variant{
	{"qwen3 all weights", func(*Config) {}},
	{"llama adapters at queries and values", func(c *Config) { c.Tune.LoRA.Rank = 2 }},
	{"granite adapters at queries and values", func(c *Config) { c.Tune.LoRA.Rank = 2 }},
	{"olmo2 all weights", func(*Config) {}},
}

// TestTuneText: text goes on from a model's weights in windows shorter than its
// context, whatever way it is carried out.
func TestTuneText(t *testing.T) {
	t.Parallel()
	gpt2 := traintest.GPTFolder(t, nil)
	for i, tc := range append(slices.Clone(tunings), familyTunings...) {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			from := gpt2
			if i >= len(tunings) {
				from = traintest.FamilyFolder(t, model.Family(strings.Fields(tc.name)[0]))
			}
			cfg := tinyConfig()
			cfg.Schedule.LR = 1e-3
			if err := cfg.StartFrom(from); err != nil {
				t.Fatal(err)
			}
			if m := cfg.Model; m.Context != 32 || m.ResidualDropout != 0.1 || cfg.Data.Tokenizer != from {
				t.Fatalf("the model to start from is %+v, its tokenizer %s", m, cfg.Data.Tokenizer)
			}
			cfg.Data.Path = traintest.TextFile(t, traintest.Text(3000))
			tc.change(&cfg)
			cfg.Tune.Separator, cfg.Loop.EvalTrain, cfg.Loop.SampleEvery, cfg.Loop.Patience = "", true, 4, 3
			if cfg.Tune.Window == 0 {
				cfg.Tune.Window = 11
			}
			want := create(t, cfg)
			sum := traintest.Trained(t, want, traintest.Listener{})
			traintest.AsPlanned(t, sum)
			if !(sum.LastVal.Loss < sum.FirstVal.Loss) {
				t.Errorf("validation loss %v after %v", sum.LastVal.Loss, sum.FirstVal.Loss)
			}
			cfg.Engine.Threads, cfg.Loop.Update = 2, train.WhenEnd
			r := create(t, cfg)
			ctx, obs := traintest.CancelAt(5)
			if _, err := r.Train(ctx, obs); err != nil {
				t.Fatal(err)
			}
			r = traintest.Open(t, r.Dir)
			traintest.AsPlanned(t, traintest.Trained(t, r, traintest.Listener{}))
			names := []string{train.WeightsFile, train.ConfigFile, bestDir + "/" + train.WeightsFile, optimizerFile}
			if cfg.Tune.LoRA.Rank > 0 {
				names = []string{convert.AdapterFile, convert.AdapterConfigFile, train.ConfigFile, bestDir + "/" + convert.AdapterFile, optimizerFile}
			}
			for _, name := range names {
				traintest.SameFile(t, name, r.Dir, want.Dir)
			}
			traintest.SameMetrics(t, r.Dir, want.Dir)
		})
	}
}

// TestCalibrationLosses: they are those of the model on the first batches of text.
func TestCalibrationLosses(t *testing.T) {
	t.Parallel()
	from := traintest.GPTFolder(t, func(be backend.Backend, m *model.GPT) {
		p := m.Params()[0] // an outlier of every token
		w := make([]float32, p.Value.Len())
		be.Download(w, p.Value)
		for i := 5; i < len(w); i += m.Config.Width {
			w[i] = 70_000
		}
		be.Upload(p.Value, w)
	})
	for _, change := range []func(*Config){
		func(*Config) {},
		func(c *Config) {
			c.Tune.LoRA = model.LoRAConfig{Rank: 2, Alpha: 2, Dropout: 0.2, Targets: model.Targets{"all"}}
		},
		func(c *Config) { c.Tune.Freeze, c.Tune.Window = 2, 20 },
	} {
		cfg := tinyConfig()
		if err := cfg.StartFrom(from); err != nil {
			t.Fatal(err)
		}
		cfg.Tune.AutoGrid = true
		change(&cfg)
		r := create(t, cfg)
		c, _, err := tune.Fit(t.Context(), r.Task, settings(r).Tune, r.State, train.Quiet{})
		if err != nil {
			t.Fatal(err)
		}
		plan, err := backend.Fit(backend.Options{Threads: 1}, func(be backend.Backend) error {
			m, err := model.NewGPT(be, settings(r).Model, bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid})
			if err != nil {
				return err
			}
			b := model.NewBatch(cfg.Loop.SamplesAtOnce(), cfg.SampleLength())
			if _, err = m.Loss(b, bdia.NoGrid); err != nil {
				return err
			}
			if err = hub.LoadGPT(be, m, from); err != nil {
				return err
			}
			var onGrid, inFloat float64
			losses := 0
			for step := 1; step <= 4; step++ {
				if err := r.Task.(*Task).StepBatch(step, b); err != nil {
					return err
				}
				if err := testkit.AddTo(&onGrid)(m.Loss(b, c.Grid)); err != nil {
					return err
				}
				if err := testkit.AddTo(&inFloat)(m.Loss(b, bdia.NoGrid)); err != nil {
					return err
				}
				losses += len(b.Targets)
			}
			if _, real := be.(backend.Device); !real {
				return nil
			}
			if n := float64(losses); losses != c.Losses || c.GridLoss != onGrid/n || c.FloatLoss != inFloat/n {
				t.Errorf("calibration %+v, %d losses %v and %v", c, losses, onGrid/n, inFloat/n)
			}
			if d := math.Abs(c.GridLoss - c.FloatLoss); d == 0 || d > 1 {
				t.Errorf("a grid of %v changes the loss by %v", c.Grid, d)
			}
			return nil
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		plan.Close()
	}
}
