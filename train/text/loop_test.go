package text

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

func TestObserver(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"everything", func(c *Config) {
			c.Loop.SampleEvery, c.Loop.EvalTrain, c.Loop.EvalEvery, c.Loop.SaveEvery = 2, true, 3, 3
		}, []string{
			"start 1-4", "eval 0 train=false", "step 1", "step 2", "sample 2", "step 3", "eval 3 train=true", "save 3",
			"step 4", "eval 4 train=true", "sample 4", "save 4"}},
		{"the end only", func(c *Config) { c.Loop.EvalEvery = 0 }, []string{
			"start 1-4", "eval 0 train=false", "step 1", "step 2", "step 3", "step 4", "eval 4 train=false", "save 4"}},
		{"nothing held out", func(c *Config) { c.Data.ValFraction, c.Loop.SaveEvery, c.Loop.EvalEvery = 0, 2, 1 }, []string{
			"start 1-4", "step 1", "step 2", "save 2", "step 3", "step 4", "save 4"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := tinyConfig()
			cfg.Schedule.Steps = 4
			tc.change(&cfg)
			var d traintest.Diary
			r := create(t, cfg)
			sum := traintest.Trained(t, r, &d)
			if !slices.Equal(d.Lines, tc.want) {
				t.Errorf("heard\n%q\nwant\n%q", d.Lines, tc.want)
			}
			if sum.Peak != sum.Planned || d.Memory != sum.Planned || sum.Planned.Total == 0 {
				t.Errorf("peak %v, planned %v, announced %v", sum.Peak, sum.Planned, d.Memory)
			}
			for _, s := range d.Samples {
				if n := len([]rune(s)); n != promptTokens+cfg.Loop.SampleTokens {
					t.Errorf("a sample of %d characters: %q", n, s)
				}
			}
			if (sum.LastTrain.Loss > 0) != cfg.Loop.EvalTrain {
				t.Errorf("training text evaluated as %v", sum.LastTrain)
			}
		})
	}
}

// TestBest: best/ holds the weights of the step with the lowest validation loss,
// as an independent evaluation of it shows, and the run itself the last ones.
func TestBest(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	cfg.Schedule.Kind, cfg.Schedule.LR, cfg.Loop.EvalEvery, cfg.Loop.Patience = "constant", 0.03, 1, 3
	cfg.Schedule.Steps, cfg.Schedule.Warmup = 60, 0
	cfg.Model.EmbeddingDropout, cfg.Loop.TensorBoard, cfg.Loop.SaveEvery = 0, false, 1000
	r := create(t, cfg)
	var d traintest.Diary
	sum := traintest.Trained(t, r, &d)
	if !sum.Stopped || sum.Interrupted {
		t.Fatalf("the run did not stop early: %+v", sum)
	}
	lowest := math.Inf(1)
	for step, v := range d.Vals {
		if step > 0 {
			lowest = min(lowest, v)
		}
	}
	if sum.BestVal.Loss != lowest || sum.BestStep != d.Best || d.Vals[d.Best] != lowest || sum.Steps != d.Best+cfg.Loop.Patience {
		t.Errorf("best %v at step %d of %d; heard of %v at %d", sum.BestVal, sum.BestStep, sum.Steps, lowest, d.Best)
	}
	r = traintest.Open(t, r.Dir)
	if r.State.BestLoss != lowest || r.State.BestStep != d.Best || r.State.BadEvals != cfg.Loop.Patience || r.State.Step != sum.Steps {
		t.Errorf("state %+v", r.State)
	}
	for dir, want := range map[string]float64{r.BestDir(): lowest, r.Dir: sum.LastVal.Loss} {
		got := evaluate(t, r, dir)
		if got != want {
			t.Errorf("the weights in %s have validation loss %v, want %v", filepath.Base(dir), got, want)
		}
	}
	if evaluate(t, r, r.Dir) == evaluate(t, r, r.BestDir()) {
		t.Error("the best weights are the last ones: nothing was tested")
	}
	if _, err := tokenizer.Load(r.BestDir()); err != nil {
		t.Errorf("the best folder is no model folder: %v", err)
	}
}

// evaluate loads the model folder dir and measures its loss on r's held-out text,
// window by window from the definition.
func evaluate(t *testing.T, r *train.Run, dir string) float64 {
	t.Helper()
	cfg := *settings(r)
	gpt, err := convert.ReadGPTConfig(filepath.Join(dir, train.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Model = gpt
	cfg.Loop.Batch = 1
	s := session(t, cfg)
	if err := hub.ReadWeights(dir, s.Learner.(train.Folder).ReadWeights); err != nil {
		t.Fatal(err)
	}
	set, err := data.NewSequential(r.Task.(*Task).Tokens(false), gpt.Context, cfg.Loop.EvalSamples)
	if err != nil {
		t.Fatal(err)
	}
	loss, err := s.Learner.(*language).mean(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	return loss
}

// TestEvaluateFromLogits compares the loss with log-softmax of the logits, for
// a number of windows that is no multiple of the micro-batch.
func TestEvaluateFromLogits(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	s := session(t, cfg)
	for step := 1; step <= 3; step++ {
		if _, err := s.Step(step); err != nil {
			t.Fatal(err)
		}
	}
	text := someIDs(133, cfg.Model.Vocab) // 16 windows of 8: two batches of 6 and one of 4
	T, V := cfg.Model.Context, cfg.Model.Vocab
	set, err := data.NewSequential(text, T, 0)
	if err != nil || set.Len() != 16 {
		t.Fatal(set.Len(), err)
	}
	got, err := s.Learner.(*language).mean(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	var want float64
	logits := make([]float32, V)
	for w := range set.Len() {
		for i := range T {
			s.Learner.(*language).NextLogits(logits, text[w*T:w*T+i+1], cfg.Method.Grid)
			var sum float64
			for _, l := range logits {
				sum += math.Exp(float64(l))
			}
			want += math.Log(sum) - float64(logits[text[w*T+i+1]])
		}
	}
	want /= float64(set.Len() * T)
	if math.Abs(got-want) > 1e-5*want {
		t.Errorf("validation loss %v, by the logits %v", got, want)
	}
}

// TestLearns: the loss falls well below that of guessing by frequency, with each
// optimiser and method.
func TestLearns(t *testing.T) {
	t.Parallel()
	for _, tc := range []variant{
		{"reversible, adamw", func(*Config) {}},
		{"reversible gamma 0.25, set-adam, accumulation, clipping", func(c *Config) {
			c.Optimizer, c.Loop.MicroBatch, c.Loop.Clip, c.Method.Gamma = traintest.Optimizer(t, "set-adam"), 8, 1, 0.25
		}},
		{"ordinary, sgd", func(c *Config) {
			c.Method, c.Optimizer, c.Schedule.LR = traintest.NoGrid(bdia.Store, 0), traintest.Optimizer(t, "sgd"), 0.3
		}},
		{"gamma 0.6 without a grid, recompute", func(c *Config) { c.Method = traintest.NoGrid(bdia.Recompute, 0.6) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := tinyConfig()
			cfg.Schedule.Steps, cfg.Schedule.Warmup, cfg.Loop.Batch, cfg.Model.Context = 60, 10, 16, 16
			cfg.Model.EmbeddingDropout, cfg.Model.AttentionDropout, cfg.Model.ResidualDropout = 0, 0, 0
			cfg.Loop.EvalEvery, cfg.Loop.EvalSamples, cfg.Loop.TensorBoard = 0, 0, false
			tc.change(&cfg)
			sum := traintest.Trained(t, create(t, cfg), traintest.Listener{})
			t.Logf("validation loss %.3f at the start, %.3f at the end", sum.FirstVal.Loss, sum.LastVal.Loss)
			if math.Abs(sum.FirstVal.Loss-math.Log(14)) > 0.1 {
				t.Errorf("validation loss %v before training, want about log(14)", sum.FirstVal.Loss)
			}
			if !(sum.LastVal.Loss < 1.9) { // the entropy of a character by itself is 2.5
				t.Errorf("validation loss %v after training", sum.LastVal.Loss)
			}
		})
	}
}

// TestMetrics: every number that the Observer hears is on disk, once.
func TestMetrics(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	cfg.Loop.LogEvery, cfg.Loop.Clip, cfg.Loop.EvalTrain, cfg.Loop.TensorBoard = 2, 0.5, true, true
	r := create(t, cfg)
	var all []metric.Series // as it is when the last figure is drawn
	r.Figure = func(dir string) (err error) {
		all, _, err = metric.ReadSeries(filepath.Join(dir, metric.JSONLName))
		return err
	}
	var d traintest.Diary
	sum := traintest.Trained(t, r, &d)
	got := map[string][]metric.Point{}
	for _, s := range all {
		got[s.Name] = s.Points
	}
	for i, p := range got["train/loss"] {
		if want := (d.Losses[2*i] + d.Losses[2*i+1]) / 2; p.Y != want || p.X != float64(2*i+2) {
			t.Errorf("training loss %v, want %v at step %d", p, want, 2*i+2)
		}
	}
	for _, p := range got["val/loss"] {
		if p.Y != d.Vals[int(p.X)] {
			t.Errorf("validation loss %v, heard of %v", p, d.Vals[int(p.X)])
		}
	}
	for name, n := range map[string]int{"train/loss": 4, "lr": 4, "tokens_per_second": 4, "grad_norm": 4, "max_abs": 4,
		"val/loss": 4, "val/perplexity": 4, "train/eval_loss": 3} {
		if len(got[name]) != n {
			t.Errorf("%s has %d records, want %d", name, len(got[name]), n)
		}
	}
	if last := got["max_abs"]; sum.MaxAbs < last[len(last)-1].Y || sum.MaxAbs <= 0 {
		t.Errorf("largest |x| %v, records %v", sum.MaxAbs, last)
	}
	if files, _ := filepath.Glob(filepath.Join(r.Dir, "tensorboard/*")); len(files) != 1 {
		t.Errorf("event files %v", files)
	}
}

// TestFigure: a figure that cannot be drawn is a warning, told once.
func TestFigure(t *testing.T) {
	t.Parallel()
	r := create(t, tinyConfig())
	broken := errors.New("no ink")
	r.Figure = func(string) error { return broken }
	var d traintest.Diary
	sum, err := r.Train(context.Background(), &d)
	if err != nil || sum.Steps != r.Common().Schedule.Steps {
		t.Errorf("error %v after step %d", err, sum.Steps)
	}
	if want := []string{"no ink"}; !slices.Equal(sum.Warnings, want) || !slices.Equal(d.Warnings, want) {
		t.Errorf("warnings %q, heard %q", sum.Warnings, d.Warnings)
	}
}

// TestInterruptAtACheckpoint: an interrupt during a step that is to be evaluated and
// saved leaves the evaluation to be done, even of the last step, and no checkpoint is
// written twice.
func TestInterruptAtACheckpoint(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	for _, at := range []int{cfg.Schedule.Steps, 3} {
		r := create(t, cfg)
		ctx, cancel := context.WithCancel(context.Background())
		d := traintest.Diary{Hook: func(step int) {
			if step == at {
				cancel()
			}
		}}
		sum, err := r.Train(ctx, &d)
		if err != nil || !sum.Interrupted || sum.Steps != at {
			t.Errorf("interrupted at step %d: %+v, %v", at, sum, err)
		}
		saves := 0
		for _, l := range d.Lines {
			if l == fmt.Sprintf("save %d", at) {
				saves++
			}
		}
		if saves != 1 {
			t.Errorf("interrupted at step %d: saved %d times", at, saves)
		}
		s, err := checkpoint.ReadState(filepath.Join(r.Dir, checkpoint.StateFile))
		if err != nil || s.Step != at || s.Tokens != int64(at*cfg.Loop.Batch*cfg.Model.Context) || !s.EvalDue {
			t.Errorf("state %+v, %v", s, err)
		}
	}
}
