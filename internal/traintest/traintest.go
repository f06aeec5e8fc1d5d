// Package traintest has what the tests of training share: runs, sessions and their fingerprints.
package traintest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
	"github.com/bdia-go/bdia/train"
)

// Text returns n bytes that a model can learn: words of a fixed order, with one in four replaced by a pseudo-random
// other.
func Text(n int) string {
	words := strings.Fields("one two three four five six seven")
	var b strings.Builder
	for i, r := 0, uint32(1); b.Len() < n; i++ {
		r = r*1664525 + 1013904223
		w := words[i%len(words)]
		if r>>30 == 0 {
			w = words[r>>8%7]
		}
		b.WriteString(w + " ")
	}
	return b.String()[:n]
}

// TextFile writes s to a file of its own.
func TextFile(t testing.TB, s string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(path, []byte(s), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// Create makes a run of task in a folder of its own.
func Create(t testing.TB, task train.Task) *train.Run {
	t.Helper()
	r, err := train.Create(context.Background(), filepath.Join(t.TempDir(), "run"), task, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// Open opens the run in dir.
func Open(t testing.TB, dir string) *train.Run {
	t.Helper()
	r, err := train.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// Trained runs r to its end.
func Trained(t testing.TB, r *train.Run, obs train.Observer) train.Summary {
	t.Helper()
	sum, err := r.Train(context.Background(), obs)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// Listener is an Observer that can be told to listen to a few things.
type Listener struct {
	train.Quiet
	OnStep      func(step int, r train.StepResult)
	OnEvaluated func(step int, val float64, best bool)
}

// Step calls OnStep.
func (l Listener) Step(step int, r train.StepResult, _ float64) {
	if l.OnStep != nil {
		l.OnStep(step, r)
	}
}

// Evaluated calls OnEvaluated.
func (l Listener) Evaluated(step int, val, _ train.Score, best bool) {
	if l.OnEvaluated != nil {
		l.OnEvaluated(step, val.Loss, best)
	}
}

// CancelAt returns a context that ends after the given step, and the Observer that ends it.
func CancelAt(at int) (context.Context, train.Observer) {
	ctx, cancel := context.WithCancel(context.Background())
	return ctx, Listener{OnStep: func(step int, _ train.StepResult) {
		if step == at {
			cancel()
		}
	}}
}

// Interrupted trains r until a step is done and opens it again, as another process does. If the step is one to
// evaluate, that has to be left to do.
func Interrupted(t testing.TB, r *train.Run, at int) *train.Run {
	t.Helper()
	ctx, obs := CancelAt(at)
	sum, err := r.Train(ctx, obs)
	if err != nil || !sum.Interrupted || sum.Steps != at {
		t.Fatalf("interrupted at step %d: %+v, %v", at, sum, err)
	}
	r = Open(t, r.Dir)
	every := r.Common().Loop.EvalEvery
	if due := every > 0 && at%every == 0; r.State.Step != at || r.State.EvalDue != due {
		t.Fatalf("interrupted at step %d: %+v; evaluation due: %v", at, r.State, due)
	}
	return r
}

// Session is a session on a device of its own.
type Session struct {
	*train.Session
	Backend  backend.Device
	Planned  backend.Usage
	averaged bool
}

// NewSession returns a session of the Learner that build makes, on a device of the memory of the plan of t, with
// initial weights.
func NewSession(t testing.TB, task train.Synthetic, build func(be backend.Backend) (train.Learner, error)) *Session {
	t.Helper()
	planned, err := train.Plan(task)
	if err != nil {
		t.Fatal(err)
	}
	c := *task.Common()
	be, err := backend.Open(c.Engine, planned.Total)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	l, err := build(be)
	if err != nil {
		t.Fatal(err)
	}
	s, err := train.NewSession(be, l, train.Options{Common: c})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Init(); err != nil {
		t.Fatal(err)
	}
	return &Session{s, be, planned, c.Loop.EMA > 0}
}

// StepAllocates fails unless a step of t on random samples allocates nothing once the first is done.
func StepAllocates(t testing.TB, task train.Synthetic) {
	t.Helper()
	s := NewSession(t, task, task.Random)
	step := 0
	if n := testing.AllocsPerRun(5, func() {
		step++
		if _, err := s.Step(step); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v: %v allocations a step", task.Common().Method.Memory, n)
	}
}

// BenchmarkStep times steps of task on random samples. Open settings are as they are without data.
func BenchmarkStep(b *testing.B, task train.Synthetic) {
	train.Assume(task)
	s := NewSession(b, task, task.Random)
	if _, err := s.Step(1); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	tokens := 0
	for step := 2; b.Loop(); step++ {
		r, err := s.Step(step)
		if err != nil {
			b.Fatal(err)
		}
		tokens += r.Losses
	}
	b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
	b.ReportMetric(float64(s.Planned.Total)/(1<<20), "MiB")
}

// Hash is a fingerprint of every weight, of their average if there is one, and of the optimiser's whole state.
func (s *Session) Hash() string { return Hash(s.Session, s.Backend, s.averaged) }

// Hash is a fingerprint of every weight of s, which is on be, of their average if they are averaged, and of the
// optimiser's whole state.
func Hash(s *train.Session, be backend.Backend, averaged bool) string {
	h := sha256.New()
	weights := func() error {
		for _, p := range s.Params() {
			host := make([]float32, p.Value.Len())
			be.Download(host, p.Value)
			fmt.Fprintln(h, p.Name)
			binary.Write(h, binary.LittleEndian, host)
		}
		return nil
	}
	weights()
	if averaged {
		s.InUse(weights)
	}
	for _, m := range s.Optimizer.Moments() {
		if m.Value.DType == tensor.U8 {
			codes := make([]byte, m.Value.Len())
			be.DownloadBytes(codes, m.Value)
			fmt.Fprintln(h, m.Name)
			h.Write(codes)
			continue
		}
		host := make([]float32, m.Value.Len())
		be.Download(host, m.Value)
		fmt.Fprintln(h, m.Name)
		binary.Write(h, binary.LittleEndian, host)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// OneLine fails unless err is one line that holds every part.
func OneLine(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
	if strings.Contains(err.Error(), "\n") || len(err.Error()) > 400 {
		t.Errorf("error is not one line: %q", err)
	}
	if testing.Verbose() {
		t.Log(err)
	}
}
