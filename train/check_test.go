package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
)

// onStep calls a function after each step.
type onStep struct {
	Quiet
	step func(step int)
}

func (o onStep) Step(step int, _ StepResult, _ float64) { o.step(step) }

// TestCorruptionKeepsTheCheckpoint: a weight that changes in memory ends the run, whether a step finds it, a checkpoint
// or a user who stops the run; the checkpoint before stays, and the run goes on from it to the bits of a sound one.
func TestCorruptionKeepsTheCheckpoint(t *testing.T) {
	t.Parallel()
	o := ownOptions()
	o.Loop.CheckEvery, o.Loop.SaveEvery, o.Loop.EvalEvery = 1, 4, 0
	whole := start(t, filepath.Join(t.TempDir(), "run"), o)
	finish(t, whole)
	for name, tc := range map[string]struct {
		at   int // the flip comes after this step
		stop bool
	}{"a step": {5, false}, "a checkpoint": {8, false}, "a stop": {6, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "run")
			var be backend.Backend
			var m Learner
			build := func(on backend.Backend) (l Learner, err error) {
				be = on
				m, err = ownLearner(on)
				return m, err
			}
			r, err := Start(dir, build, o)
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			_, err = r.Train(ctx, onStep{step: func(step int) {
				if step != tc.at {
					return
				}
				x := m.Trainable()[3].Value
				host := make([]float32, x.Len())
				be.Download(host, x)
				host[1] *= 2
				be.Upload(x, host)
				if tc.stop {
					stop()
				}
			}})
			var found *bdia.CorruptionError
			if !errors.As(err, &found) || found.Tensor != m.Trainable()[3].Name || !strings.Contains(err.Error(), "checkpoint of step 4") || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%v", err)
			}
			again := start(t, dir, o)
			if again.State.Step != 4 {
				t.Fatalf("the checkpoint is of step %d", again.State.Step)
			}
			finish(t, again)
			for _, name := range []string{WeightsFile, optimizerFile} {
				sameBytes(t, filepath.Join(dir, name), filepath.Join(whole.Dir, name))
			}
		})
	}
}

// TestCertificates: threads, instruction sets, micro-batches and memory modes do not change the certificates of a run,
// nor do an interruption and checks of memory; gamma does, from the second block of the first step on.
func TestCertificates(t *testing.T) {
	t.Parallel()
	certified := func(change func(*Options), interrupt int) string {
		t.Helper()
		o := ownOptions()
		o.Loop.Certificate, o.Loop.CheckEvery, o.Loop.EMA, o.Loop.EvalEvery = true, 0, 0.9, 4
		o.Loop.Update = WhenEnd
		change(&o)
		dir := filepath.Join(t.TempDir(), "run")
		build := func(be backend.Backend) (Learner, error) {
			m, err := model.NewGPT(be, ownModel(), o.Method)
			return Learn(m, ownSource{T: 8, samples: 6, vocab: 13}), err
		}
		run := func(ctx context.Context, obs Observer) {
			r, err := Start(dir, build, o)
			if err == nil {
				_, err = r.Train(ctx, obs)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if interrupt > 0 {
			ctx, cancel := context.WithCancel(t.Context())
			run(ctx, cancelling{cancel: cancel, at: interrupt})
		}
		run(t.Context(), nil)
		text, err := os.ReadFile(filepath.Join(dir, metric.CertificateName))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	want := certified(func(*Options) {}, 0)
	if lines := strings.Count(want, "\n"); lines != 8 {
		t.Fatalf("%d certificates of 8 steps:\n%s", lines, want)
	}
	for name, change := range map[string]func(*Options){
		"2 threads":     func(o *Options) { o.Engine.Threads = 2 },
		"3 threads":     func(o *Options) { o.Engine.Threads = 3 },
		"portable":      func(o *Options) { o.Engine.ISA = "portable" },
		"micro-batches": func(o *Options) { o.Loop.MicroBatch = 2 },
		"store":         func(o *Options) { o.Method.Memory = bdia.Store },
		"recompute":     func(o *Options) { o.Method.Memory = bdia.Recompute },
		"updates now":   func(o *Options) { o.Loop.Update = WhenNow },
		"checks":        func(o *Options) { o.Loop.CheckEvery = 3 },
	} {
		if got := certified(change, 0); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
	for _, at := range []int{1, 3, 5} {
		if got := certified(func(*Options) {}, at); got != want {
			t.Errorf("interrupted after step %d:\n%s\nwant\n%s", at, got, want)
		}
	}
	first := func(text string) (c metric.Certificate) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, metric.CertificateName), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := metric.EachCertificate(dir, func(one metric.Certificate) bool { c = one; return false }); err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, b := first(want), first(certified(func(o *Options) { o.Method.Gamma = 0.25 }, 0))
	if a.States[0] != b.States[0] || a.States[1] != b.States[1] || a.States[2] == b.States[2] {
		t.Errorf("gamma of 1/4: states %x, of 1/2 %x", b.States, a.States)
	}
}
