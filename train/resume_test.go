package train

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/metric"
)

// sameFiles fails unless the checkpoints of both runs hold the same bytes.
func sameFiles(t *testing.T, got, want string) {
	t.Helper()
	for _, name := range []string{weightsFile, modelConfig, optimizerFile, bestDir + "/" + weightsFile, bestDir + "/" + modelConfig} {
		sameFile(t, name, got, want)
	}
}

func sameFile(t *testing.T, name, got, want string) {
	t.Helper()
	g, err := os.ReadFile(filepath.Join(got, name))
	w, werr := os.ReadFile(filepath.Join(want, name))
	if err != nil || werr != nil {
		t.Errorf("%s: %v, %v", name, err, werr)
	} else if !bytes.Equal(g, w) {
		t.Errorf("%s differs from that of the uninterrupted run", name)
	}
}

// sameState compares what is counted, not the time it took.
func sameState(t *testing.T, got, want checkpoint.State) {
	t.Helper()
	got.Elapsed, want.Elapsed = 0, 0
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("state (-uninterrupted +resumed):\n%s", d)
	}
}

// sameMetrics compares the records but for the speed.
func sameMetrics(t *testing.T, got, want string) {
	t.Helper()
	read := func(dir string) map[string][]metric.Point {
		all, err := metric.ReadSeries(filepath.Join(dir, metric.JSONLName))
		if err != nil {
			t.Fatal(err)
		}
		m := map[string][]metric.Point{}
		for _, s := range all {
			if !strings.HasSuffix(s.Name, "_per_second") {
				m[s.Name] = s.Points
			}
		}
		return m
	}
	if d := cmp.Diff(read(want), read(got)); d != "" {
		t.Errorf("metrics (-uninterrupted +resumed):\n%s", d)
	}
}

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
			c.Optimizer, c.Loop.MicroBatch, c.Loop.Clip = optimizer(t, "set-adam"), 2, 0.5
		}, []int{1, 7}},
		{"states of 8 bits", func(c *Config) { c.Model.Width, c.Optimizer.StateBits = 48, 8 }, []int{2, 6}},
		{"store, sgd, no evaluation before the end", func(c *Config) {
			c.Method, c.Optimizer, c.Loop.EvalEvery = noGrid(bdia.Store, 0), optimizer(t, "sgd"), 0
		}, []int{4}},
		{"average", func(c *Config) { c.Loop.EMA = 0.7 }, []int{2, 5}},
		{"early stopping", func(c *Config) {
			c.Schedule.LR, c.Loop.Patience, c.Loop.EvalEvery = 1e-12, 2, 2
		}, []int{3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := tinyConfig()
			cfg.Data.Path = textFile(t, text(3000))
			tc.change(&cfg)
			whole := create(t, cfg)
			wantSum := trained(t, whole, silent{})
			if wantSum.Stopped != (cfg.Loop.Patience > 0) {
				t.Fatalf("stopped early: %v", wantSum.Stopped)
			}

			r := create(t, cfg)
			dir := r.Dir
			for i, at := range tc.stops {
				r = interrupted(t, r, at)
				cfg := r.Config
				cfg.Engine.Threads = 2 + i
				if err := r.Reconfigure(cfg); err != nil {
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

			sum := trained(t, r, silent{})
			if sum.Interrupted || sum.Stopped != wantSum.Stopped || sum.LastVal != wantSum.LastVal || sum.BestVal != wantSum.BestVal {
				t.Errorf("summary %+v, uninterrupted %+v", sum, wantSum)
			}
			sameFiles(t, dir, whole.Dir)
			if cfg.Loop.EMA > 0 {
				sameFile(t, trainedFile, dir, whole.Dir)
			}
			sameState(t, open(t, dir).State, open(t, whole.Dir).State)
			sameMetrics(t, dir, whole.Dir)
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
	cfg.Data.Path = textFile(t, text(3000))
	cfg.Loop.Batch, cfg.Loop.EvalSamples, cfg.Loop.EvalTrain, cfg.Loop.SaveEvery = 2, 2, true, 100
	cfg.Schedule.LR, cfg.Loop.Patience, cfg.Loop.EvalEvery = 1e-12, 2, 1 // step 1 is the best, and after 3 it stops
	whole := create(t, cfg)
	wantSum := trained(t, whole, silent{})
	inEvaluation := 0
	for checks := 0; ; checks++ {
		r := create(t, cfg)
		sum, err := r.Train(endsAfter(checks), silent{})
		if err != nil {
			t.Fatal(err)
		}
		if !sum.Interrupted {
			break
		}
		if r = open(t, r.Dir); r.State.EvalDue {
			inEvaluation++
			f, err := os.OpenFile(filepath.Join(r.Dir, metric.JSONLName), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(f, `{"step":%d,"time":"2026-01-01T00:00:00.000Z","train/eval_loss":9,"val/loss":9}`+"\n", r.State.Step)
			f.Close()
			if sum, err = r.Train(endsAfter(1), silent{}); err != nil || !sum.Interrupted {
				t.Fatalf("%+v, %v", sum, err)
			}
			r = open(t, r.Dir)
		}
		if r.Done() {
			t.Fatalf("%+v is done", r.State)
		}
		sum = trained(t, r, silent{})
		if sum.Interrupted || sum.Stopped != wantSum.Stopped || sum.Steps != wantSum.Steps || sum.LastVal != wantSum.LastVal || sum.LastTrain != wantSum.LastTrain || sum.BestVal != wantSum.BestVal {
			t.Errorf("after %d checks: summary %+v, uninterrupted %+v", checks, sum, wantSum)
		}
		sameFiles(t, r.Dir, whole.Dir)
		sameState(t, open(t, r.Dir).State, open(t, whole.Dir).State)
		sameMetrics(t, r.Dir, whole.Dir)
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
	cfg.Data.Path = textFile(t, text(3000))
	cfg.Schedule.Kind = "constant"
	whole := create(t, cfg)
	trained(t, whole, silent{})

	short := cfg
	short.Schedule.Steps = 6
	r := create(t, short)
	trained(t, r, silent{})
	r = open(t, r.Dir)
	before, err := os.ReadFile(filepath.Join(r.Dir, weightsFile))
	if err != nil {
		t.Fatal(err)
	}
	if sum := trained(t, r, silent{}); sum.Steps != 6 { // nothing is left to do
		t.Errorf("a finished run went to step %d", sum.Steps)
	}
	if after, _ := os.ReadFile(filepath.Join(r.Dir, weightsFile)); !bytes.Equal(before, after) {
		t.Error("resuming a finished run changed its weights")
	}
	r = open(t, r.Dir)
	longer := r.Config
	longer.Schedule.Steps = cfg.Schedule.Steps
	if err := r.Reconfigure(longer); err != nil {
		t.Fatal(err)
	}
	trained(t, r, silent{})
	sameFiles(t, r.Dir, whole.Dir)
	sameState(t, open(t, r.Dir).State, open(t, whole.Dir).State)
	sameMetrics(t, r.Dir, whole.Dir)
}

// TestInterruptedBeforeTheFirstCheckpoint leaves a run that starts afresh.
func TestInterruptedBeforeTheFirstCheckpoint(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	cfg.Schedule.Steps = 3
	r := create(t, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	sum, err := r.Train(ctx, silent{})
	if err != nil || !sum.Interrupted || sum.Steps != 0 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if _, err := os.Stat(filepath.Join(r.Dir, weightsFile)); err == nil {
		t.Error("a checkpoint without a step")
	}
	trained(t, open(t, r.Dir), silent{})
	text, err := os.ReadFile(filepath.Join(r.Dir, metric.JSONLName))
	if err != nil || strings.Count(string(text), `"step":0,`) != 1 {
		t.Errorf("the record of step 0 is not there once: %v\n%s", err, text)
	}
}
