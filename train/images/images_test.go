package images

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/train"
)

// tinyImageConfig is a run of a few images a step, with every source of
// randomness in use: augmentation, dropout, stochastic depth, gamma.
func tinyImageConfig() Config {
	c := Default()
	c.Images.ValFraction, c.Images.LabelSmoothing, c.Images.Epochs = 0.25, 0.1, 0
	c.Augment = images.Augment{Crop: 1, Flip: true, RandOps: 2, RandMagnitude: 9, Erase: 0.5, Mixup: 0.4, CutMix: 1}
	c.ViT = model.ViTConfig{Image: 8, Patch: 4, Classes: 3, Layers: 4, Heads: 2, Width: 24, GELU: c.ViT.GELU,
		EmbeddingDropout: 0.1, AttentionDropout: 0.1, ResidualDropout: 0.1, StochasticDepth: 0.3}
	c.Schedule = optim.Schedule{Kind: "cosine", LR: 1e-2, Final: 0.1, Warmup: 2, Steps: 8}
	c.Loop = train.LoopConfig{Batch: 6, Update: train.WhenAuto, EMA: 0.8, Seed: 7, EvalEvery: 3, LogEvery: 1}
	c.Engine.Threads = 1
	return c
}

// stripes are the classes of imageFolder.
var stripes = traintest.Stripes

// imageFolder writes a folder of n images of 8x8 pixels for each class.
var imageFolder = traintest.ImageFolder

// twoStream makes cfg a RevViT.
func twoStream(m bdia.Memory) func(*Config) {
	return func(c *Config) { c.ViT.TwoStream, c.Method = true, traintest.NoGrid(m, 0) }
}

// TestSameImageBits is the contract on bits for vision transformers: threads,
// instructions, memory modes and micro-batches change no bit of weights, their
// average, optimiser state or losses, with everything random switched on.
func TestSameImageBits(t *testing.T) {
	t.Parallel()
	for _, tc := range []variant{
		{"adamw", func(*Config) {}},
		{"set-adam, clipped, gamma 0.25, mean pool", func(c *Config) {
			c.Optimizer, c.Loop.Clip, c.Method.Gamma, c.ViT.MeanPool = traintest.Optimizer(t, "set-adam"), 0.1, 0.25, true
		}},
		{"two streams", twoStream(bdia.Store)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := tinyImageConfig()
			tc.change(&cfg)
			want, losses := steps(t, cfg, 4)
			for _, v := range variants(cfg) {
				changed := cfg
				v.change(&changed)
				if cfg.ViT.TwoStream && changed.Method.Memory == bdia.Reversible {
					continue // rounds
				}
				got, l := steps(t, changed, 4)
				traintest.SameSteps(t, v.name, got, want, l, losses)
			}
		})
	}
}

// TestTwoStreamBits: a reversible RevViT is not that of stored activations, but
// is the same for threads, instructions and micro-batches, and learns alike.
func TestTwoStreamBits(t *testing.T) {
	t.Parallel()
	cfg := tinyImageConfig()
	twoStream(bdia.Reversible)(&cfg)
	want, losses := steps(t, cfg, 4)
	cfg.Engine.Threads, cfg.Engine.ISA = 3, cpufeat.Supported()[0].String()
	if got, _ := steps(t, cfg, 4); got != want {
		t.Errorf("weights and optimiser state %s, want %s", got, want)
	}
	cfg.Method.Memory = bdia.Store
	_, stored := steps(t, cfg, 4)
	for i, l := range stored {
		if math.Abs(l-losses[i]) > 1e-4 {
			t.Errorf("loss of step %d is %v, with stored activations %v", i+1, losses[i], l)
		}
	}
}

// TestOtherImageBits shows that TestSameImageBits could fail.
func TestOtherImageBits(t *testing.T) {
	t.Parallel()
	cfg := tinyImageConfig()
	base, _ := steps(t, cfg, 3)
	seen := map[string]string{base: "the run itself"}
	for _, v := range []variant{
		{"seed", func(c *Config) { c.Loop.Seed++ }},
		{"stochastic depth", func(c *Config) { c.ViT.StochasticDepth = 0 }},
		{"residual dropout", func(c *Config) { c.ViT.ResidualDropout = 0 }},
		{"smoothing", func(c *Config) { c.Images.LabelSmoothing = 0 }},
		{"split seed", func(c *Config) { c.Images.SplitSeed = 2 }},
		{"subset", func(c *Config) { c.Images.Subset = 30 }},
		{"average", func(c *Config) { c.Loop.EMA = 0.1 }},
		{"crop", func(c *Config) { c.Augment.Crop = 0 }},
		{"flip", func(c *Config) { c.Augment.Flip = false }},
		{"RandAugment", func(c *Config) { c.Augment.RandOps = 0 }},
		{"erasing", func(c *Config) { c.Augment.Erase = 0 }},
		{"mixup", func(c *Config) { c.Augment.Mixup = 0 }},
		{"mixup and CutMix", func(c *Config) { c.Augment.Mixup, c.Augment.CutMix = 0, 0 }},
		{"mean pool", func(c *Config) { c.ViT.MeanPool = true }},
		{"two streams", twoStream(bdia.Store)},
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

// TestImagePlanIsPeak compares the arena's peak with the plan, component by
// component.
func TestImagePlanIsPeak(t *testing.T) {
	t.Parallel()
	for _, tc := range []variant{
		{"reversible", func(*Config) {}},
		{"store", func(c *Config) { c.Method = traintest.NoGrid(bdia.Store, 0) }},
		{"recompute", func(c *Config) { c.Method = traintest.NoGrid(bdia.Recompute, 0.5) }},
		{"update end, threads 3", func(c *Config) { c.Loop.Update, c.Engine.Threads = train.WhenEnd, 3 }},
		{"accumulation, no average", func(c *Config) { c.Loop.MicroBatch, c.Loop.EMA = 2, 0 }},
		{"mean pool, one block, no dropout", func(c *Config) {
			c.ViT.MeanPool, c.ViT.Layers, c.ViT.EmbeddingDropout, c.ViT.AttentionDropout, c.ViT.ResidualDropout, c.ViT.StochasticDepth = true, 1, 0, 0, 0, 0
		}},
		{"many classes", func(c *Config) { c.ViT.Classes, c.ViT.Width = 3000, 8 }},
		{"two streams", twoStream(bdia.Reversible)},
		{"two streams, store", twoStream(bdia.Store)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := tinyImageConfig()
			tc.change(&cfg)
			build := New(cfg).Random
			if cfg.ViT.Classes == len(stripes) {
				build = opened(t, cfg).Learner
			}
			s := traintest.NewSession(t, New(cfg), build)
			planned := s.Planned
			for step := 1; step <= 2; step++ {
				if _, err := s.Step(step); err != nil {
					t.Fatal(err)
				}
			}
			if _, ok, err := s.Learner.(train.Evaluator).Evaluate(t.Context(), false); err != nil || ok != (cfg.ViT.Classes == len(stripes)) {
				t.Fatal(ok, err)
			}
			if peak := s.Backend.Peak(); peak != planned {
				t.Errorf("the arena's peak was\n%v\nthe plan\n%v", peak, planned)
			}
		})
	}
}

// TestImageResume: a run that is interrupted and resumed ends with the bytes of
// one that was not, average and records included.
func TestImageResume(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*Config)
		stops  []int
	}{
		{"update now", func(*Config) {}, []int{6}},
		{"accumulation, threads change", func(c *Config) { c.Loop.MicroBatch = 2 }, []int{1, 7}},
		{"two streams, no average", func(c *Config) { twoStream(bdia.Reversible)(c); c.Loop.EMA = 0 }, []int{4}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := tinyImageConfig()
			cfg.Images.Path = imageFolder(t, 20)
			cfg.Loop.EvalTrain = true
			tc.change(&cfg)
			whole := create(t, cfg)
			wantSum := traintest.Trained(t, whole, traintest.Listener{})
			r := create(t, cfg)
			dir := r.Dir
			for i, at := range tc.stops {
				r = traintest.Interrupted(t, r, at)
				changed := *settings(r)
				changed.Engine.Threads = 2 + i
				if err := r.Reconfigure(New(changed)); err != nil {
					t.Fatal(err)
				}
			}
			sum := traintest.Trained(t, r, traintest.Listener{})
			if sum.LastVal != wantSum.LastVal || sum.BestVal != wantSum.BestVal || sum.LastTrain != wantSum.LastTrain {
				t.Errorf("summary %+v, uninterrupted %+v", sum, wantSum)
			}
			traintest.SameFiles(t, dir, whole.Dir)
			if cfg.Loop.EMA > 0 {
				traintest.SameFile(t, "state/weights.safetensors", dir, whole.Dir)
			}
			traintest.SameState(t, traintest.Open(t, dir).State, traintest.Open(t, whole.Dir).State)
			traintest.SameMetrics(t, dir, whole.Dir)
		})
	}
}

// TestImageRun: a classifier learns the stripes; its best weights are those of
// the best accuracy, and the run's own the average of the last ones, as an
// independent evaluation of both folders shows.
func TestImageRun(t *testing.T) {
	t.Parallel()
	cfg := tinyImageConfig()
	cfg.Augment, cfg.ViT.StochasticDepth = images.Augment{Crop: 1}, 0
	cfg.ViT.EmbeddingDropout, cfg.ViT.AttentionDropout, cfg.ViT.ResidualDropout = 0, 0, 0
	cfg.Schedule.Steps, cfg.Loop.Batch, cfg.Loop.EvalEvery, cfg.Schedule.LR = 80, 15, 20, 3e-3
	r := create(t, cfg)
	var d traintest.Diary
	sum := traintest.Trained(t, r, &d)
	t.Logf("%+v", sum)
	if sum.BestVal.Accuracy < 0.9 || sum.Peak != sum.Planned {
		t.Errorf("accuracy %v; peak %v, planned %v", sum.BestVal.Accuracy, sum.Peak, sum.Planned)
	}
	r = traintest.Open(t, r.Dir)
	if err := task(r).Open(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	val := task(r).Set(false)
	if n := val.Len(); n != 15 {
		t.Fatalf("%d images are held out", n)
	}
	for dir, want := range map[string]train.Score{r.Dir: sum.LastVal, r.BestDir(): sum.BestVal} {
		info, err := convert.ReadViTConfig(dir)
		if err != nil || strings.Join(info.Labels, " ") != strings.Join(stripes, " ") || info.Mean != settings(r).Pixels.Mean || info.Std != settings(r).Pixels.Std {
			t.Fatalf("%s: %+v, %v", dir, info, err)
		}
		got := imageScore(t, *settings(r), dir, val)
		if got.Loss != want.Loss || got.Accuracy != want.Accuracy {
			t.Errorf("the weights in %s come to %+v, want %+v", filepath.Base(dir), got, want)
		}
	}
	all, _, err := metric.ReadSeries(filepath.Join(r.Dir, metric.JSONLName))
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, s := range all {
		n[s.Name] = len(s.Points)
	}
	if n["val/accuracy"] != 5 || n["val/top5"] != 5 || n["val/loss"] != 5 || n["images_per_second"] != 80 || n["val/perplexity"] != 0 {
		t.Errorf("records %v", n)
	}
}

// imageScore measures the model folder dir on set, image by image from the
// logits.
func imageScore(t *testing.T, cfg Config, dir string, set *images.Set) train.Score {
	t.Helper()
	cfg.Loop.EMA, cfg.Loop.Batch = 0, 1
	planned, err := train.Plan(New(cfg))
	if err != nil {
		t.Fatal(err)
	}
	be, err := backend.Open(cfg.Engine, planned.Total)
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	m, err := model.NewViT(be, cfg.ViT, cfg.Method)
	if err != nil {
		t.Fatal(err)
	}
	if err := hub.LoadViT(be, m, dir); err != nil {
		t.Fatal(err)
	}
	c, b, labels, logits := metric.NewClassification(cfg.ViT.Classes), model.NewImageBatch(cfg.ViT, 1), make([]int32, 1), make([]float32, cfg.ViT.Classes)
	for i := range set.Len() {
		if err := errors.Join(set.Fill(i, 1, b.Pixels, labels), m.Logits(logits, b, cfg.Method.Grid, 0)); err != nil {
			t.Fatal(err)
		}
		c.Add(logits, int(labels[0]))
	}
	return train.Score{Loss: c.Loss(), Accuracy: c.Accuracy()}
}

// TestEpochs: epochs become steps, and evaluations come once an epoch.
func TestEpochs(t *testing.T) {
	t.Parallel()
	cfg := tinyImageConfig()
	cfg.Images.Epochs, cfg.Loop.EvalEvery, cfg.Loop.Batch = 2.5, 0, 7
	c := *settings(create(t, cfg)) // of 45 images
	if c.Schedule.Steps != 17 || c.Loop.EvalEvery != 7 {
		t.Errorf("%d steps, an evaluation every %d", c.Schedule.Steps, c.Loop.EvalEvery)
	}
	cfg.Images.ValFraction, cfg.Images.Subset = 0, 9
	r := create(t, cfg)
	if n := settings(r).Schedule.Steps; n != 4 || task(r).Set(false) != nil {
		t.Errorf("%d steps for 2.5 epochs of 9 images; held out: %v", n, task(r).Set(false))
	}
	if sum := traintest.Trained(t, r, traintest.Listener{}); !math.IsNaN(sum.LastVal.Loss) || sum.Steps != 4 {
		t.Errorf("%+v", sum)
	}
}

// TestFrom starts from the weights of another run: with all of its settings the
// first evaluation is the other's last, and with another image size and other
// classes it is still that of a trained model's body.
func TestFrom(t *testing.T) {
	t.Parallel()
	cfg := tinyImageConfig()
	cfg.Images.Path = imageFolder(t, 20)
	first := create(t, cfg)
	was := traintest.Trained(t, first, traintest.Listener{})
	cfg = *settings(first)
	cfg.Images.From, cfg.Schedule.Steps = first.Dir, 1
	if sum := traintest.Trained(t, create(t, cfg), traintest.Listener{}); sum.FirstVal != was.LastVal {
		t.Errorf("the run begins with %+v, the one it starts from ended with %+v", sum.FirstVal, was.LastVal)
	}
	if err := os.RemoveAll(filepath.Join(cfg.Images.Path, stripes[1])); err != nil {
		t.Fatal(err)
	}
	cfg.ViT.Image, cfg.ViT.Classes = 16, 2
	r := create(t, cfg)
	var d traintest.Diary
	traintest.Trained(t, r, &d)
	if want := "note: Starting from " + first.Dir + ", with a new head for 2 classes, with positions interpolated from 2x2 to 4x4 patches"; d.Lines[0] != want {
		t.Errorf("heard %q, want %q", d.Lines[0], want)
	}
	if settings(r).ViT.Classes != 2 || settings(r).Pixels != settings(first).Pixels {
		t.Errorf("%+v", *settings(r))
	}
	cfg.ViT.Width = 48
	_, err := create(t, cfg).Train(context.Background(), traintest.Listener{})
	if !errors.Is(err, convert.ErrMismatch) {
		t.Errorf("error %v for weights of another width", err)
	}
	traintest.OneLine(t, err, first.Dir, "patch_embed.proj.weight", "48")
}

// TestBadImages is what can be wrong with the images of a run.
func TestBadImages(t *testing.T) {
	t.Parallel()
	folder := imageFolder(t, 4)
	damaged := imageFolder(t, 4)
	if err := os.WriteFile(filepath.Join(damaged, stripes[0], "000.png"), []byte("no image"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		change func(*Config)
		is     error
		says   []string
	}{
		{"no images named", func(c *Config) { c.Images.Path = "" }, ErrNoImages, []string{"train: ", "no images"}},
		{"absent", func(c *Config) { c.Images.Path += "x" }, os.ErrNotExist, []string{"x"}},
		{"one class", func(c *Config) { c.Images.Path = filepath.Join(folder, stripes[0]) }, images.ErrClasses, []string{"class"}},
		{"damaged image", func(c *Config) { c.Images.Path = damaged }, images.ErrCorrupt, []string{"000.png"}},
		{"image smaller than a patch", func(c *Config) { c.ViT.Image = 2 }, nil, []string{"smaller than a patch"}},
		{"two streams on a grid", func(c *Config) { c.ViT.TwoStream = true }, nil, []string{"neither gamma (0.5) nor grid (9)", "use gamma 0 and no grid"}},
		{"samples of text", func(c *Config) { c.Loop.SampleEvery = 2 }, train.ErrCombination, []string{"samples of text"}},
		{"smoothing", func(c *Config) { c.Images.LabelSmoothing = 1 }, nil, []string{"label smoothing"}},
		{"smoothing that is no number", func(c *Config) { c.Images.LabelSmoothing = math.NaN() }, nil, []string{"label smoothing is NaN"}},
		{"rate that is no number", func(c *Config) { c.Schedule.LR = math.NaN() }, nil, []string{"learning rate is NaN"}},
		{"crop", func(c *Config) { c.Augment.Crop = -1 }, nil, []string{"images: "}},
		{"subset", func(c *Config) { c.Images.Subset = -1 }, nil, []string{"subset"}},
		{"deviation", func(c *Config) { c.Pixels.Mean[0] = 0.5 }, nil, []string{"images: "}},
		{"from nowhere", func(c *Config) { c.Images.From = folder }, os.ErrNotExist, []string{"config.json"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := tinyImageConfig()
			cfg.Images.Path, cfg.Images.ValFraction = folder, 0
			tc.change(&cfg)
			dir := filepath.Join(t.TempDir(), "run")
			_, err := train.Create(context.Background(), dir, New(cfg), nil)
			traintest.OneLine(t, err, tc.says...)
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("error %v is not %v", err, tc.is)
			}
			if _, err := train.Open(dir); err == nil {
				t.Error("the failed Create left something that opens as a run")
			}
		})
	}

	cfg := tinyImageConfig()
	cfg.Images.Path, cfg.Images.ValFraction, cfg.Images.OnCorrupt, cfg.Schedule.Steps = damaged, 0, images.Skip, 2
	r := create(t, cfg)
	var d traintest.Diary
	traintest.Trained(t, r, &d)
	if !strings.HasPrefix(d.Lines[0], "note: Images left out, for they cannot be decoded: 1, first ") || !strings.Contains(d.Lines[0], "000.png") {
		t.Errorf("heard %q", d.Lines[0])
	}
	if n, first := task(r).Skipped(); n != 1 || len(first) != 1 || !strings.Contains(first[0], "000.png") {
		t.Errorf("%d images left out: %q", n, first)
	}
	r = traintest.Open(t, r.Dir)
	if err := os.Rename(filepath.Join(damaged, stripes[1]), filepath.Join(damaged, "zigzag")); err != nil {
		t.Fatal(err)
	}
	longer := *settings(r)
	longer.Schedule.Steps = 4
	if err := r.Reconfigure(New(longer)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Train(context.Background(), traintest.Listener{}); !errors.Is(err, images.ErrClasses) {
		t.Errorf("error %v for other classes than the model's", err)
	}
}

// TestAverageBelongs: a run whose weights are averaged does not go on without.
func TestAverageBelongs(t *testing.T) {
	t.Parallel()
	r := create(t, tinyImageConfig())
	traintest.Trained(t, r, traintest.Listener{})
	r = traintest.Open(t, r.Dir)
	without := *settings(r)
	without.Loop.EMA = 0
	var change *train.ChangeError
	if err := r.Reconfigure(New(without)); !errors.As(err, &change) || change.Setting != "loop.ema" {
		t.Errorf("error %v for another average", err)
	}
	settings(r).Loop.EMA = 0
	_, err := r.Train(context.Background(), traintest.Listener{})
	if !errors.Is(err, convert.ErrMismatch) {
		t.Errorf("error %v", err)
	}
	traintest.OneLine(t, err, r.Dir, "averaged")
}
