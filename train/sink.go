package train

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
)

// Sink is a bdia.Sink that also knows where an optimiser step begins and ends. Sinks compose: each hands what it is
// done with to the next, and the last one updates. For example, accumulating over micro-batches, clipping and then
// updating is
//
//	Accumulate(be, params, tokens, Clip(be, params, 1, UpdateNow(be, optimizer)))
//
// A sink of your own embeds the next one and overrides what it changes: an all-reduce between Accumulate and Clip
// overrides Close and sees the gradients of the whole step once.
type Sink interface {
	bdia.Sink
	// Begin starts optimiser step number step at learning rate lr.
	Begin(step int, lr float64)
	// End finishes the step and returns the global norm of its gradients, or 0 if no sink measures it. When it fails,
	// parameters are as they were before the step.
	End() (norm float64, err error)
}

// UpdateNow returns the last sink: it updates parameters as soon as their gradients are complete and then forgets
// the gradients. Used alone it is online back-propagation: gradients of one block at a time exist, beside the gradient
// of a table that is tied.
func UpdateNow(be backend.Backend, opt optim.Optimizer) Sink { return &updateNow{be: be, opt: opt} }

type updateNow struct {
	be    backend.Backend
	opt   optim.Optimizer
	step  int
	lr    float64
	began bool // parameters of this step have changed
}

func (s *updateNow) Begin(step int, lr float64) { s.step, s.lr, s.began = step, lr, false }

// Open gives the parameters cleared gradients in the arena, above whatever is there; the caller releases them after
// Close.
func (s *updateNow) Open(params []*tensor.Param) { bdia.AllocGrads(s.be, params) }

func (s *updateNow) Close(params []*tensor.Param) {
	s.began = true
	s.opt.Update(params, s.step, s.lr)
}

func (s *updateNow) End() (float64, error) { return 0, nil }

// Accumulate returns a sink that keeps the gradients of params until the end of a step, over all of its micro-batches.
// Then it closes them all at once in next, which need not open them. It allocates the gradients now. With several
// micro-batches it keeps the two sums of a tied table apart until the end: lookups is the most tokens of a step, each
// of which may look up another row. It is 0 for one micro-batch.
func Accumulate(be backend.Backend, params []*tensor.Param, lookups int, next Sink) Sink {
	for _, p := range params {
		p.Grad, p.Lookups = be.Alloc(backend.Gradients, tensor.F32, p.Value.Shape), nil
		if p.Tied && lookups > 0 {
			V, C := p.Value.Rows(), p.Value.Cols()
			p.Lookups = tensor.NewRows(V)
			p.Lookups.Begin(be.Alloc(backend.Gradients, tensor.F32, tensor.Shape{min(lookups, V), C}))
		}
	}
	return &accumulate{be: be, params: params, next: next}
}

type accumulate struct {
	be     backend.Backend
	params []*tensor.Param
	next   Sink
}

func (s *accumulate) Begin(step int, lr float64) {
	for _, p := range s.params {
		s.be.Zero(p.Grad)
		if rows := p.Lookups; rows != nil {
			s.be.Zero(rows.Grad)
			rows.Begin(rows.Grad)
		}
	}
	s.next.Begin(step, lr)
}

func (s *accumulate) Open([]*tensor.Param)  {}
func (s *accumulate) Close([]*tensor.Param) {}

func (s *accumulate) End() (norm float64, err error) {
	for _, p := range s.params {
		if p.Lookups != nil {
			bdia.AddLookups(s.be, p.Grad, p.Lookups)
		}
	}
	s.next.Close(s.params)
	return s.next.End()
}

// Clip returns a sink that scales the gradients of params so that their global norm is at most limit, and closes them
// in next. It must get them all at once, from Accumulate: otherwise the first step fails with ErrCombination. A norm
// that is not finite fails with model.ErrDiverged.
func Clip(be backend.Backend, params []*tensor.Param, limit float64, next Sink) Sink {
	return &clip{Sink: next, be: be, all: len(params), limit: limit}
}

type clip struct {
	Sink
	be    backend.Backend
	all   int // parameters
	limit float64
	step  int
	norm  float64
	err   error
}

func (s *clip) Begin(step int, lr float64) {
	s.step, s.norm, s.err = step, 0, nil
	s.Sink.Begin(step, lr)
}

func (s *clip) Close(params []*tensor.Param) {
	if len(params) != s.all {
		s.err = fmt.Errorf("train: %w: clipping by global norm without Accumulate: it got the gradients of %d parameters, not of all %d", ErrCombination, len(params), s.all)
		return
	}
	s.norm = optim.ClipGlobalNorm(s.be, params, s.limit)
	if math.IsNaN(s.norm) || math.IsInf(s.norm, 0) {
		s.err = fmt.Errorf("train: gradient norm is %v at step %d: %w; lower the learning rate or lengthen the warm-up", s.norm, s.step, model.ErrDiverged)
		return
	}
	s.Sink.Close(params)
}

func (s *clip) End() (float64, error) {
	if s.err != nil {
		return s.norm, s.err
	}
	_, err := s.Sink.End()
	return s.norm, err
}
