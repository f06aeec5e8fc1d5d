package tune

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/train"
)

// otherWays carry out the same run.
func otherWays() []variant {
	ways := []variant{
		{"store, threads 3", func(c *Config) { c.Method.Memory, c.Engine.Threads = bdia.Store, 3 }},
		{"recompute, threads 2", func(c *Config) { c.Method.Memory, c.Engine.Threads = bdia.Recompute, 2 }},
		{"update end", func(c *Config) { c.Loop.Update = train.WhenEnd }},
		{"micro-batches", func(c *Config) { c.Loop.MicroBatch = 3 }},
	}
	for _, level := range cpufeat.Supported() {
		ways = append(ways, variant{level.String(), func(c *Config) { c.Engine.ISA = level.String() }})
	}
	if testing.Short() {
		ways = ways[:1]
	}
	return ways
}

// TestHalfBase: adapters beside a model whose files are in BF16 learn the same bits as beside the same values in float32,
// and the model takes half the memory.
func TestHalfBase(t *testing.T) {
	t.Parallel()
	for _, f := range []model.Family{model.GPT2, model.Qwen3, model.Granite} {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			from := traintest.HalfFolder(t, f, safetensors.BF16)
			adapters := func(from string) Config {
				cfg := tinyCompletionConfig(t, from)
				cfg.Tune.LoRA = model.LoRAConfig{Rank: 3, Alpha: 6, Dropout: 0.1, Targets: model.Targets{"all"}}
				return cfg
			}
			cfg := adapters(from)
			want := create(t, cfg)
			traintest.AsPlanned(t, traintest.Trained(t, want, traintest.Listener{}))
			for _, way := range otherWays() {
				changed := cfg
				way.change(&changed)
				r := create(t, changed)
				traintest.AsPlanned(t, traintest.Trained(t, r, traintest.Listener{}))
				t.Log(way.name)
				sameTuned(t, r, want)
			}
			float := create(t, adapters(traintest.HalfFolder(t, f, safetensors.F32)))
			traintest.AsPlanned(t, traintest.Trained(t, float, traintest.Listener{}))
			for _, name := range []string{convert.AdapterFile, bestDir + "/" + convert.AdapterFile, optimizerFile} {
				traintest.SameFile(t, name, float.Dir, want.Dir)
			}
			traintest.SameMetrics(t, float.Dir, want.Dir)
			weights := func(r *train.Run) int64 {
				u, err := r.Plan()
				testkit.OK(t, err)
				return u.ByComponent[backend.Weights]
			}
			if half, whole := weights(want), weights(float); half > whole*3/4 {
				t.Errorf("the model takes %d bytes, and %d in float32", half, whole)
			}
		})
	}
}

// TestHalfBaseRefused: F16 is held in float32, which is told; BF16 that was asked for is refused where it would round.
func TestHalfBaseRefused(t *testing.T) {
	t.Parallel()
	cfg := tinyCompletionConfig(t, traintest.HalfFolder(t, model.Llama, safetensors.F16))
	cfg.Tune.LoRA.Rank = 2
	d := &traintest.Diary{}
	traintest.Trained(t, create(t, cfg), d)
	if all := strings.Join(d.Lines, "\n"); !strings.Contains(all, "F16, which BF16 does not hold exactly") {
		t.Error(all)
	}
	cfg.Model.Weights = model.WeightsBF16
	if err := cfg.Validate(); !errors.Is(err, ErrBaseWeights) || !errors.Is(err, train.ErrCombination) {
		t.Error(err)
	}
	cfg.Model.Weights = "f16"
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "use f32 or bf16") {
		t.Error(err)
	}
}

// halfTunings are ways to train weights in BF16.
var halfTunings = []variant{
	{"gpt2 adamw", func(*Config) {}},
	{"llama 8 bits, averaged", func(c *Config) { c.Optimizer.StateBits, c.Loop.EMA = 8, 0.8 }},
	{"qwen3 set-adam, clipped", func(c *Config) { c.Optimizer, _ = optim.Default("set-adam"); c.Loop.Clip = 0.5 }},
	{"granite adamw, clipped", func(c *Config) { c.Loop.Clip = 0.5 }},
	{"olmo2 8 bits", func(c *Config) { c.Optimizer.StateBits = 8 }},
	{"mistral sgd, blocks above", func(c *Config) { c.Optimizer, _ = optim.Default("sgd"); c.Tune.Freeze = 2 }},
}

// TestHalfWeights: weights held in BF16 are trained to the same bits however the run is carried out, interrupted or not,
// in the memory that was planned, and their checkpoints hold BF16.
func TestHalfWeights(t *testing.T) {
	t.Parallel()
	for _, tc := range halfTunings {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			family := model.Family(strings.Fields(tc.name)[0])
			if family == "gpt2" {
				family = model.GPT2
			}
			cfg := tinyCompletionConfig(t, traintest.HalfFolder(t, family, safetensors.F32))
			cfg.Model.Weights = model.WeightsBF16
			tc.change(&cfg)
			want := create(t, cfg)
			traintest.AsPlanned(t, traintest.Trained(t, want, traintest.Listener{}))
			for _, way := range otherWays() {
				changed := cfg
				way.change(&changed)
				r := create(t, changed)
				traintest.AsPlanned(t, traintest.Trained(t, r, traintest.Listener{}))
				t.Log(way.name)
				sameTuned(t, r, want)
			}
			r := create(t, cfg)
			ctx, obs := traintest.CancelAt(3)
			if sum, err := r.Train(ctx, obs); err != nil || !sum.Interrupted {
				t.Fatal(sum, err)
			}
			r = traintest.Open(t, r.Dir)
			traintest.Trained(t, r, traintest.Listener{})
			sameTuned(t, r, want)

			f, err := hub.Open(r.Dir, hub.Options{})
			testkit.OK(t, err)
			held, err := f.WeightType()
			testkit.OK(t, err)
			if averaged := cfg.Loop.EMA > 0; (held == model.WeightsBF16) == averaged {
				t.Errorf("the weights of the folder are held in %q", held)
			}
			w, err := convert.OpenWeights(r.Dir)
			testkit.OK(t, err)
			defer w.Close()
			for _, name := range w.Names() {
				if info, _ := w.Info(name); len(info.Shape) == 1 && info.DType != safetensors.F32 {
					t.Errorf("%s is %v", name, info.DType)
				}
			}
			if u, _ := r.Plan(); u.Total == 0 {
				t.Error("no plan")
			}
		})
	}
}

// TestOtherHalfBits: seed and type change what weights in BF16 become.
func TestOtherHalfBits(t *testing.T) {
	t.Parallel()
	from := traintest.HalfFolder(t, model.Llama, safetensors.BF16)
	run := func(change func(*Config)) string {
		cfg := tinyCompletionConfig(t, from)
		cfg.Schedule.Steps, cfg.Model.Weights = 1, model.WeightsBF16
		cfg.Loop.Batch, cfg.Model.EmbeddingDropout, cfg.Model.AttentionDropout, cfg.Model.ResidualDropout = 1, 0, 0, 0
		change(&cfg)
		r := create(t, cfg)
		traintest.Trained(t, r, traintest.Listener{})
		return traintest.Read(t, filepath.Join(r.Dir, train.WeightsFile))
	}
	first := run(func(*Config) {})
	if run(func(*Config) {}) != first {
		t.Error("the same run has other weights")
	}
	if run(func(c *Config) { c.Loop.Seed++ }) == first {
		t.Error("another seed has the same weights")
	}
	if run(func(c *Config) { c.Model.Weights = model.WeightsF32 }) == first {
		t.Error("weights in float32 are the same file")
	}
}

// TestHalfSettings: a run keeps the type of its weights, which cannot change.
func TestHalfSettings(t *testing.T) {
	t.Parallel()
	cfg := tinyCompletionConfig(t, traintest.HalfFolder(t, model.Llama, safetensors.F32))
	cfg.Model.Weights = model.WeightsBF16
	r := create(t, cfg)
	if got := settings(traintest.Open(t, r.Dir)).Model.Weights; got != model.WeightsBF16 {
		t.Fatalf("the run keeps %q", got)
	}
	to := New(*settings(r))
	to.Settings.Model.Weights = model.WeightsF32
	if err := train.Unchanged(r.Task, to); err == nil || !strings.Contains(err.Error(), "model.weights") {
		t.Error(err)
	}
}

// TestHalfOptimiser: an optimiser that cannot round is refused before anything is trained.
func TestHalfOptimiser(t *testing.T) {
	t.Parallel()
	cfg := tinyCompletionConfig(t, traintest.HalfFolder(t, model.Llama, safetensors.BF16))
	cfg.Model.Weights = model.WeightsBF16
	r := create(t, cfg)
	o := train.Options{Common: *r.Common(), Maker: optim.Func(func(backend.Backend, []*tensor.Param, int, float64) {})}
	_, err := train.PlanOf(r.Task.Learner, o)
	if !errors.Is(err, train.ErrCombination) || !strings.Contains(err.Error(), "BF16") {
		t.Error(err)
	}
}
