package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
)

// ownSource gives tokens that count up.
type ownSource struct{ T, samples, vocab int }

func (s ownSource) Size(int) (samples, losses int, err error) { return s.samples, s.samples * s.T, nil }

func (s ownSource) Fill(step, first, n int, b *model.Batch) error {
	if len(b.Inputs) != n*s.T {
		*b = model.NewBatch(n, s.T)
	}
	for i := range b.Inputs {
		at := 31*step + 7*(first+i/s.T) + i%s.T
		b.Inputs[i], b.Targets[i] = int32(at%s.vocab), int32((at+1)%s.vocab)
	}
	return nil
}

// ownOptions are for a run of ownLearner.
func ownOptions() Options {
	o := Options{Common: DefaultCommon(8)}
	o.Engine.Threads, o.Loop.EvalEvery, o.Loop.LogEvery = 1, 3, 1
	return o
}

func ownModel() model.GPTConfig {
	return model.GPTConfig{Vocab: 13, Context: 8, Layers: 4, Heads: 2, Width: 24, ResidualDropout: 0.1}
}

// ownLearner builds a small GPT that learns ownSource, and is evaluated.
func ownLearner(be backend.Backend) (Learner, error) {
	m, err := model.NewGPT(be, ownModel(), bdia.DefaultOptions())
	if err != nil {
		return nil, err
	}
	s := ownSource{T: 8, samples: 6, vocab: 13}
	begin := func(seed uint64) error { m.Init(seed); return nil }
	return Learn(m, s, Measure(m, s, 2, 9), InitialiseFunc(begin)), nil
}

// plainSGD is an optimiser of the test's own, with one tensor of state for each parameter.
type plainSGD struct {
	be    backend.Backend
	steps map[*tensor.Param]tensor.Tensor
	named []optim.Moment
}

func (plainSGD) New(be backend.Backend, params []*tensor.Param) (optim.Optimizer, error) {
	o := &plainSGD{be: be, steps: map[*tensor.Param]tensor.Tensor{}}
	for _, p := range params {
		o.steps[p] = be.Alloc(backend.Optimiser, tensor.F32, p.Value.Shape)
		be.Zero(o.steps[p])
		o.named = append(o.named, optim.Moment{Name: p.Name + ".step", Value: o.steps[p]})
	}
	return o, nil
}

func (o *plainSGD) Moments() []optim.Moment { return o.named }

func (o *plainSGD) Update(params []*tensor.Param, _ int, lr float64) {
	for _, p := range params {
		o.be.Lerp(o.steps[p], p.Grad, 0.5)
		o.be.Copy(p.Grad, o.steps[p])
		o.be.Scale(p.Grad, float32(-lr))
		o.be.Add(p.Value, p.Value, p.Grad)
	}
}

// start begins or resumes a run in dir.
func start(t *testing.T, dir string, o Options) *Run {
	t.Helper()
	r, err := Start(dir, ownLearner, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestStartResumes: a run of a Learner, an optimiser and a sink of one's own, interrupted and resumed, ends with the
// bytes of a run that went through; it learns, and keeps its best weights.
func TestStartResumes(t *testing.T) {
	t.Parallel()
	o := ownOptions()
	o.Maker, o.Schedule.LR = plainSGD{}, 0.5
	whole := start(t, filepath.Join(t.TempDir(), "run"), o)
	sum := finish(t, whole)
	if !(sum.LastVal.Loss < sum.FirstVal.Loss) || sum.BestStep == 0 || sum.Planned != sum.Peak {
		t.Errorf("%+v", sum)
	}
	dir := filepath.Join(t.TempDir(), "run")
	ctx, cancel := context.WithCancel(t.Context())
	if sum, err := start(t, dir, o).Train(ctx, cancelling{cancel: cancel, at: 4}); err != nil || !sum.Interrupted {
		t.Fatalf("%+v, %v", sum, err)
	}
	again := start(t, dir, o)
	if again.State.Step != 4 {
		t.Fatalf("resumes at step %d", again.State.Step)
	}
	finish(t, again)
	for _, name := range []string{WeightsFile, optimizerFile, bestDir + "/" + WeightsFile} {
		sameBytes(t, filepath.Join(dir, name), filepath.Join(whole.Dir, name))
	}
	got, want := losses(t, dir), losses(t, whole.Dir)
	if !slices.Equal(got, want) {
		t.Errorf("losses %v, uninterrupted %v", got, want)
	}
	o.Maker = nil
	if _, err := start(t, dir, o).Train(t.Context(), nil); !errors.Is(err, convert.ErrMismatch) {
		t.Errorf("another optimiser: %v", err)
	}
}

// TestStartWithoutFolder: a run without a folder writes nothing and counts its steps.
func TestStartWithoutFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	sum := finish(t, start(t, "", ownOptions()))
	if files, err := os.ReadDir("."); err != nil || len(files) > 0 || sum.Steps != 8 || sum.BestStep == 0 {
		t.Errorf("%v, %v, %+v", files, err, sum)
	}
}

// TestStartRefuses: settings that exclude each other, and the folder of a run with a task.
func TestStartRefuses(t *testing.T) {
	t.Parallel()
	o := ownOptions()
	o.Loop.Update, o.Loop.Clip = WhenNow, 1
	if _, err := Start("", ownLearner, o); !errors.Is(err, ErrCombination) {
		t.Errorf("clipping and updating now: %v", err)
	}
	dir := t.TempDir()
	for text, want := range map[string]error{"task: text\nengine:\n": ErrExists, "": hub.ErrSettings} {
		if err := os.WriteFile(filepath.Join(dir, configFile), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Start(dir, ownLearner, ownOptions()); !errors.Is(err, want) {
			t.Errorf("the folder of another run, with settings %q: %v", text, err)
		}
	}
}

// countingSink is a sink that counts what it passes on.
type countingSink struct {
	Sink
	closes, params int
}

func (s *countingSink) Close(params []*tensor.Param) {
	s.closes, s.params = s.closes+1, s.params+len(params)
	s.Sink.Close(params)
}

// TestThrough: a sink of one's own sees every gradient of a step once, and changes no bits by passing them on.
func TestThrough(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*Options)
		closes int
	}{
		{"update now", func(*Options) {}, 6},
		{"accumulated", func(o *Options) { o.Loop.MicroBatch = 2 }, 1},
		{"accumulated and clipped", func(o *Options) { o.Loop.MicroBatch, o.Loop.Clip = 4, 0.1 }, 1},
	} {
		o := ownOptions()
		tc.change(&o)
		want, _ := ownSteps(t, o, 2)
		var counting *countingSink
		o.Through = func(_ backend.Backend, next Sink) Sink {
			counting = &countingSink{Sink: next}
			return counting
		}
		got, params := ownSteps(t, o, 2)
		if got != want {
			t.Errorf("%s: %s, without the sink %s", tc.name, got, want)
		}
		if counting.closes != 2*tc.closes || counting.params != 2*params {
			t.Errorf("%s: %d calls of Close with %d parameters in 2 steps of %d parameters", tc.name, counting.closes, counting.params, params)
		}
	}
}

// ownSession returns a session of the Learner that build makes, with initial weights, and its device.
func ownSession(t *testing.T, build func(backend.Backend) (Learner, error), o Options) (*Session, backend.Device) {
	t.Helper()
	planned, err := PlanOf(build, o)
	if err != nil {
		t.Fatal(err)
	}
	be, err := backend.Open(o.Engine, planned.Total)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	l, err := build(be)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSession(be, l, o)
	if err == nil {
		err = s.Init()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, be
}

// ownSteps trains a fresh session for n steps and returns its fingerprint and the number of its parameters.
func ownSteps(t *testing.T, o Options, n int) (hash string, params int) {
	t.Helper()
	s, be := ownSession(t, ownLearner, o)
	for step := 1; step <= n; step++ {
		if _, err := s.Step(step); err != nil {
			t.Fatal(err)
		}
	}
	return fingerprint(s, be), len(s.Learner.Trainable())
}

// TestClipAlone: clipping without Accumulate fails before a run begins, in its plan.
func TestClipAlone(t *testing.T) {
	t.Parallel()
	o := ownOptions()
	o.Through = func(be backend.Backend, next Sink) Sink { return Clip(be, make([]*tensor.Param, 100), 1, next) }
	if _, err := PlanOf(ownLearner, o); !errors.Is(err, ErrCombination) {
		t.Errorf("error %v, want ErrCombination", err)
	}
}

// TestLearnAllocates: a step of Learn allocates nothing once the first is done, nor do the sources of this package, in
// micro-batches of two sizes.
func TestLearnAllocates(t *testing.T) {
	own := ownOptions()
	uneven := ownOptions()
	uneven.Loop.MicroBatch = 4
	for name, tc := range map[string]struct {
		o     Options
		build func(backend.Backend) (Learner, error)
	}{"own source": {own, ownLearner}, "micro-batches of 4, 4 and 2": {uneven, func(be backend.Backend) (Learner, error) {
		m, err := model.NewGPT(be, ownModel(), bdia.DefaultOptions())
		return Learn(m, Sequences(10, 8, func(step, sample, t int) int32 { return int32(step+sample+t) % 13 })), err
	}}} {
		s, _ := ownSession(t, tc.build, tc.o)
		step := 0
		if n := testing.AllocsPerRun(5, func() {
			step++
			if _, err := s.Step(step); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations a step", name, n)
		}
		if _, ok, err := s.evaluate(context.Background(), true); ok || err != nil {
			t.Errorf("%s: training samples are measured: %v, %v", name, ok, err)
		}
	}
}

// TestSmallBatch: a step of more samples than the batch that the sinks were made for fails. Updates in the reverse walk
// would otherwise take a step for each micro-batch.
func TestSmallBatch(t *testing.T) {
	t.Parallel()
	o := ownOptions()
	o.Loop.Batch, o.Loop.MicroBatch = 3, 3 // of 6
	if _, err := PlanOf(ownLearner, o); !errors.Is(err, ErrCombination) {
		t.Errorf("error %v, want ErrCombination", err)
	}
	o.Loop.Batch = 6
	if _, err := PlanOf(ownLearner, o); err != nil {
		t.Error(err)
	}
}

// TestLearnKeepsAbilities: two Learners of one list of abilities, as of a plan and a device, have their own.
func TestLearnKeepsAbilities(t *testing.T) {
	t.Parallel()
	s := ownSource{T: 8, samples: 6, vocab: 13}
	list := make([]any, 0, 4)
	first, second := &model.GPT{}, &model.GPT{}
	a, b := Learn(first, s, list...), Learn(second, s, list...)
	if got := a.(Extended).Abilities()[0]; got != any(first) {
		t.Error("the first Learner has the model of the second")
	}
	if got := b.(Extended).Abilities()[0]; got != any(second) {
		t.Error("the second Learner has another model")
	}
}

// cancelling ends a run after a step.
type cancelling struct {
	Quiet
	cancel func()
	at     int
}

func (c cancelling) Step(step int, _ StepResult, _ float64) {
	if step == c.at {
		c.cancel()
	}
}

// finish runs r to its end.
func finish(t *testing.T, r *Run) Summary {
	t.Helper()
	sum, err := r.Train(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// sameBytes fails unless two files have the same bytes.
func sameBytes(t *testing.T, got, want string) {
	t.Helper()
	g, err := os.ReadFile(got)
	w, werr := os.ReadFile(want)
	if err != nil || werr != nil || !bytes.Equal(g, w) {
		t.Errorf("%s differs from %s: %v, %v", got, want, err, werr)
	}
}

// losses are the recorded training losses of the run in dir.
func losses(t *testing.T, dir string) (points []metric.Point) {
	t.Helper()
	all, _, err := metric.ReadSeries(filepath.Join(dir, metric.JSONLName))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == "train/loss" {
			points = s.Points
		}
	}
	return points
}

// fingerprint is of every weight of s and of the optimiser's state.
func fingerprint(s *Session, be backend.Backend) string {
	h := sha256.New()
	values := func(v tensor.Tensor) {
		host := make([]float32, v.Len())
		be.Download(host, v)
		binary.Write(h, binary.LittleEndian, host)
	}
	for _, p := range s.Params() {
		values(p.Value)
	}
	for _, m := range s.Optimizer.Moments() {
		values(m.Value)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

// TestOwnPrecision: a run of a Learner of one's own goes on in another precision if the options ask for it.
func TestOwnPrecision(t *testing.T) {
	t.Parallel()
	dir, o := t.TempDir(), ownOptions()
	train := func(want bool) {
		t.Helper()
		r, err := Start(dir, ownLearner, o)
		if err == nil {
			defer r.Close()
			_, err = r.Train(t.Context(), nil)
		}
		var other *PrecisionError
		if (err == nil) != want || err != nil && !errors.As(err, &other) {
			t.Fatalf("in %v, asked for: %v: %v", o.Engine.Precision, o.NewPrecision, err)
		}
	}
	train(true)
	o.Schedule.Steps, o.Engine.Precision = 10, backend.BFloat16
	train(false)
	o.NewPrecision = true
	train(true)
	o.NewPrecision = false
	train(true)
}
