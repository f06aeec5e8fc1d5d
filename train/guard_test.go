package train

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/backendtest"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
)

// inMemory is a Learner and the device of its latest copy, which a test changes behind its back.
type inMemory struct {
	Learner
	be backend.Backend
}

// seen starts a run without a folder, the memory of which the test can change.
func seen(t *testing.T, o Options) (*Run, *inMemory) {
	t.Helper()
	m := &inMemory{}
	r, err := Start("", func(be backend.Backend) (l Learner, err error) {
		m.be = be
		m.Learner, err = ownLearner(be)
		return m.Learner, err
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	return r, m
}

// TestCorruptionThatDiverges: a weight that changes so much in memory that the next step, or an evaluation, diverges is
// told as what it is, and no step is left out for it, nor does the run go back.
func TestCorruptionThatDiverges(t *testing.T) {
	t.Parallel()
	for _, mode := range []OnDivergence{StopDiverged, SkipDiverged, RewindDiverged} {
		for _, update := range []When{WhenNow, WhenEnd} {
			for _, evaluate := range []int{0, 5} {
				o := ownOptions()
				o.Loop.CheckEvery, o.Loop.EvalEvery, o.Loop.OnDivergence, o.Loop.Update = 1, evaluate, mode, update
				r, m := seen(t, o)
				sum, err := r.Train(t.Context(), onStep{step: func(step int) {
					if step == 5 {
						fillNaN(m.be, m.Trainable()[2].Value)
					}
				}})
				var found *bdia.CorruptionError
				if !errors.As(err, &found) || found.Tensor != m.Trainable()[2].Name || sum.Skipped+sum.Rewinds != 0 || sum.Steps != 5 {
					t.Errorf("%s, updates %s, evaluation %d: %v, %+v", mode, update, evaluate, err, sum)
				}
			}
		}
	}
}

// TestFlipBeforeTheFirstStep: weights that change between loading and the first step, during the first evaluation say,
// are found.
func TestFlipBeforeTheFirstStep(t *testing.T) {
	t.Parallel()
	o := ownOptions()
	o.Loop.CheckEvery = 1
	r, m := seen(t, o)
	_, err := r.Train(t.Context(), onEvaluation{func() { backendtest.Flip(m.be, m.Trainable()[1].Value, 77) }})
	var found *bdia.CorruptionError
	if !errors.As(err, &found) || found.Tensor != m.Trainable()[1].Name || found.Step != 1 {
		t.Errorf("%v", err)
	}
}

// onEvaluation calls a function after the first evaluation, before the first step.
type onEvaluation struct{ first func() }

func (onEvaluation) Preparing(string, int64, int64) {}
func (onEvaluation) Note(string)                    {}
func (onEvaluation) Start(int, int, backend.Usage)  {}
func (onEvaluation) Step(int, StepResult, float64)  {}
func (onEvaluation) Saved(int, string)              {}
func (onEvaluation) Sampled(int, string)            {}
func (o onEvaluation) Evaluated(step int, _, _ Score, _ bool) {
	if step == 0 {
		o.first()
	}
}

// TestNoFalseCorruption: a session goes on after a step whose updates were broken off, also with an optimiser that has a
// moment for all parameters together; nothing has changed in memory.
func TestNoFalseCorruption(t *testing.T) {
	t.Parallel()
	o := ownOptions()
	o.Loop.CheckEvery, o.Loop.Update, o.Maker = 1, WhenNow, countingSGD{}
	s, be := ownSession(t, func(be backend.Backend) (Learner, error) {
		l, err := ownLearner(be)
		return &broken{l, be, 4}, err
	}, o)
	if err := s.Init(); err != nil {
		t.Fatal(err)
	}
	for step := 1; step <= 6; step++ {
		_, err := s.Step(step)
		if step == 4 && (!errors.Is(err, model.ErrDiverged) || !s.Changed()) || step != 4 && err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		if err := s.Finite(step); err != nil {
			t.Fatalf("after step %d: %v", step, err)
		}
	}
	last := s.Optimizer.Moments()
	backendtest.Flip(be, last[len(last)-1].Value, 3)
	var found *bdia.CorruptionError
	if _, err := s.Step(7); !errors.As(err, &found) || found.Tensor != "moment updates" {
		t.Errorf("a flip in the moment of all: %v", err)
	}
}

// countingSGD is plainSGD with a moment that counts updates.
type countingSGD struct{ plainSGD }

func (countingSGD) New(be backend.Backend, params []*tensor.Param) (optim.Optimizer, error) {
	o, err := plainSGD{}.New(be, params)
	c := &countingSGD{*o.(*plainSGD)}
	n := be.Alloc(backend.Optimiser, tensor.F32, tensor.Shape{1})
	be.Zero(n)
	c.named = append(c.named, optim.Moment{Name: "updates", Value: n})
	return c, err
}

func (c *countingSGD) Update(params []*tensor.Param, step int, lr float64) {
	n := c.named[len(c.named)-1].Value
	host := make([]float32, 1)
	c.be.Download(host, n)
	host[0]++
	c.be.Upload(n, host)
	c.plainSGD.Update(params, step, lr)
}

// broken is a Learner with a gradient that is not finite, in the midst of a step's updates.
type broken struct {
	Learner
	be   backend.Backend
	step int
}

func (l *broken) Abilities() []any { return l.Learner.(Extended).Abilities() }

func (l *broken) MicroStep(pass backend.Pass, n int, scale float32, sink bdia.Sink) ([]float32, error) {
	if pass.Step == l.step {
		sink = &breaking{sink, l.be, 0}
	}
	return l.Learner.MicroStep(pass, n, scale, sink)
}

// breaking is a sink that spoils the gradients of the third Close.
type breaking struct {
	bdia.Sink
	be backend.Backend
	n  int
}

func (b *breaking) Close(params []*tensor.Param) {
	if b.n++; b.n == 3 {
		fillNaN(b.be, params[0].Grad)
	}
	b.Sink.Close(params)
}

func fillNaN(be backend.Backend, x tensor.Tensor) {
	host := slices.Repeat([]float32{float32(math.NaN())}, x.Len())
	be.Upload(x, host)
}
