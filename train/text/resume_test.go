package text

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/train"
)

// TestResume: interrupted and resumed, once or twice, a run ends with the bytes
// of the run that went through.
func TestResume(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*Config)
		stops  []int
	}{
		{"reversible, update now", func(*Config) {}, []int{5}},
		{"set-adam, accumulation, clipping, threads change", func(c *Config) {
			c.Optimizer, c.Loop.MicroBatch, c.Loop.Clip = traintest.Optimizer(t, "set-adam"), 2, 0.5
		}, []int{1, 7}},
		{"states of 8 bits", func(c *Config) { c.Model.Width, c.Optimizer.StateBits = 48, 8 }, []int{2, 6}},
		{"a ramp of gamma", func(c *Config) { c.Method.Ramp.From = 0.125 }, []int{2, 5}},
		{"means of several steps, events", func(c *Config) { c.Loop.LogEvery, c.Loop.TensorBoard = 3, true }, []int{1, 5, 7}},
		{"store, sgd, no evaluation before the end", func(c *Config) {
			c.Method, c.Optimizer, c.Loop.EvalEvery = traintest.NoGrid(bdia.Store, 0), traintest.Optimizer(t, "sgd"), 0
		}, []int{4}},
		{"average", func(c *Config) { c.Loop.EMA = 0.7 }, []int{2, 5}},
		{"early stopping", func(c *Config) {
			c.Schedule.LR, c.Loop.Patience, c.Loop.EvalEvery = 1e-12, 2, 2
		}, []int{3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := tinyConfig()
			cfg.Data.Path = traintest.TextFile(t, traintest.Text(3000))
			tc.change(&cfg)
			whole := create(t, cfg)
			wantSum := traintest.Trained(t, whole, traintest.Listener{})
			if wantSum.Stopped != (cfg.Loop.Patience > 0) {
				t.Fatalf("stopped early: %v", wantSum.Stopped)
			}

			r := create(t, cfg)
			dir := r.Dir
			for i, at := range tc.stops {
				r = traintest.Interrupted(t, r, at)
				cfg := *settings(r)
				cfg.Engine.Threads = 2 + i
				if err := r.Reconfigure(New(cfg)); err != nil {
					t.Fatal(err)
				}
			}
			// Records of steps after the checkpoint are of a process that died.
			f, err := os.OpenFile(filepath.Join(dir, metric.JSONLName), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(f, `{"step":8,"time":"2026-01-01T00:00:00.000Z","train/loss":9}`)
			f.Close()

			sum := traintest.Trained(t, r, traintest.Listener{})
			if sum.Interrupted || sum.Stopped != wantSum.Stopped || sum.LastVal != wantSum.LastVal || sum.BestVal != wantSum.BestVal {
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

// countdown is a context that ends when its end has been looked for so many times.
type countdown struct {
	context.Context
	left *int
}

func endsAfter(checks int) countdown { return countdown{context.Background(), &checks} }

func (c countdown) Err() error {
	if *c.left--; *c.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestResumeInEvaluation: interrupted wherever it looks for that, also within the
// evaluation that an earlier process left undone, a run ends as the one that went
// through; and so it does where a process dies between the records of such an
// evaluation and the checkpoint that counts it.
func TestResumeInEvaluation(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	cfg.Data.Path = traintest.TextFile(t, traintest.Text(3000))
	cfg.Loop.Batch, cfg.Loop.EvalSamples, cfg.Loop.EvalTrain, cfg.Loop.SaveEvery = 2, 2, true, 100
	cfg.Schedule.LR, cfg.Loop.Patience, cfg.Loop.EvalEvery = 1e-12, 2, 1 // step 1 is the best, and after 3 it stops
	whole := create(t, cfg)
	wantSum := traintest.Trained(t, whole, traintest.Listener{})
	inEvaluation := 0
	for checks := 0; ; checks++ {
		r := create(t, cfg)
		sum, err := r.Train(endsAfter(checks), traintest.Listener{})
		if err != nil {
			t.Fatal(err)
		}
		if !sum.Interrupted {
			break
		}
		if r = traintest.Open(t, r.Dir); r.State.EvalDue {
			inEvaluation++
			f, err := os.OpenFile(filepath.Join(r.Dir, metric.JSONLName), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(f, `{"step":%d,"time":"2026-01-01T00:00:00.000Z","train/eval_loss":9,"val/loss":9}`+"\n", r.State.Step)
			f.Close()
			if sum, err = r.Train(endsAfter(1), traintest.Listener{}); err != nil || !sum.Interrupted {
				t.Fatalf("%+v, %v", sum, err)
			}
			r = traintest.Open(t, r.Dir)
		}
		if r.Done() {
			t.Fatalf("%+v is done", r.State)
		}
		sum = traintest.Trained(t, r, traintest.Listener{})
		if sum.Interrupted || sum.Stopped != wantSum.Stopped || sum.Steps != wantSum.Steps || sum.LastVal != wantSum.LastVal || sum.LastTrain != wantSum.LastTrain || sum.BestVal != wantSum.BestVal {
			t.Errorf("after %d checks: summary %+v, uninterrupted %+v", checks, sum, wantSum)
		}
		traintest.SameFiles(t, r.Dir, whole.Dir)
		traintest.SameState(t, traintest.Open(t, r.Dir).State, traintest.Open(t, whole.Dir).State)
		traintest.SameMetrics(t, r.Dir, whole.Dir)
	}
	if inEvaluation != 6 || !wantSum.Stopped {
		t.Errorf("evaluations were broken off %d times, want 6; %+v", inEvaluation, wantSum)
	}
}

// TestResumeFinished: a finished run with a longer schedule goes on as one that
// was planned as long from the start, where the learning rate is constant.
func TestResumeFinished(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	cfg.Data.Path = traintest.TextFile(t, traintest.Text(3000))
	cfg.Schedule.Kind = "constant"
	whole := create(t, cfg)
	traintest.Trained(t, whole, traintest.Listener{})

	short := cfg
	short.Schedule.Steps = 6
	r := create(t, short)
	traintest.Trained(t, r, traintest.Listener{})
	r = traintest.Open(t, r.Dir)
	before, err := os.ReadFile(filepath.Join(r.Dir, train.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	if sum := traintest.Trained(t, r, traintest.Listener{}); sum.Steps != 6 { // nothing is left to do
		t.Errorf("a finished run went to step %d", sum.Steps)
	}
	if after, _ := os.ReadFile(filepath.Join(r.Dir, train.WeightsFile)); !bytes.Equal(before, after) {
		t.Error("resuming a finished run changed its weights")
	}
	r = traintest.Open(t, r.Dir)
	longer := *settings(r)
	longer.Schedule.Steps = cfg.Schedule.Steps
	if err := r.Reconfigure(New(longer)); err != nil {
		t.Fatal(err)
	}
	traintest.Trained(t, r, traintest.Listener{})
	traintest.SameFiles(t, r.Dir, whole.Dir)
	got, want := traintest.Open(t, r.Dir).State, traintest.Open(t, whole.Dir).State
	if n := len(got.Courses); n != 2 || got.Courses[1].Steps != cfg.Schedule.Steps {
		t.Errorf("courses %+v of a run that was made longer once", got.Courses)
	}
	got.Courses = want.Courses
	traintest.SameState(t, got, want)
	traintest.SameMetrics(t, r.Dir, whole.Dir)
}

// TestInterruptedBeforeTheFirstCheckpoint leaves a run that starts afresh.
func TestInterruptedBeforeTheFirstCheckpoint(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	cfg.Schedule.Steps = 3
	r := create(t, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	sum, err := r.Train(ctx, traintest.Listener{})
	if err != nil || !sum.Interrupted || sum.Steps != 0 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if _, err := os.Stat(filepath.Join(r.Dir, train.WeightsFile)); err == nil {
		t.Error("a checkpoint without a step")
	}
	traintest.Trained(t, traintest.Open(t, r.Dir), traintest.Listener{})
	text, err := os.ReadFile(filepath.Join(r.Dir, metric.JSONLName))
	if err != nil || strings.Count(string(text), `"step":0,`) != 1 {
		t.Errorf("the record of step 0 is not there once: %v\n%s", err, text)
	}
}

// TestReconfigureFails: settings that cannot be saved are not in memory either.
func TestReconfigureFails(t *testing.T) {
	t.Parallel()
	r := create(t, tinyConfig())
	path := filepath.Join(r.Dir, configFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o777); err != nil {
		t.Fatal(err)
	}
	was := *settings(r)
	longer := was
	longer.Schedule.Steps++
	if err := r.Reconfigure(New(longer)); err == nil {
		t.Error("no error")
	}
	if is := settings(r).Schedule.Steps; is != was.Schedule.Steps {
		t.Errorf("%d steps in memory, and %d were saved", is, was.Schedule.Steps)
	}
}

// TestStoppedStays: a run that stopped early is done. It trains on only with more patience, as one that had it before.
func TestStoppedStays(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	cfg.Data.Path = traintest.TextFile(t, traintest.Text(3000))
	cfg.Schedule.LR, cfg.Loop.Patience, cfg.Loop.EvalEvery = 1e-12, 2, 2
	r := create(t, cfg)
	first := traintest.Trained(t, r, traintest.Listener{})
	r = traintest.Open(t, r.Dir)
	if again := traintest.Trained(t, r, traintest.Listener{}); !again.Stopped || again.Steps != first.Steps || !r.Done() {
		t.Errorf("stopped at step %d; trained again %+v, done %v", first.Steps, again, r.Done())
	}
	cfg = *settings(r)
	cfg.Loop.Patience = 0
	if err := r.Reconfigure(New(cfg)); err != nil {
		t.Fatal(err)
	}
	if on := traintest.Trained(t, r, traintest.Listener{}); on.Stopped || on.Steps != cfg.Schedule.Steps || !r.Done() {
		t.Errorf("without patience %+v, done %v", on, r.Done())
	}
}
