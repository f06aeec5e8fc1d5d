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

// stepSink is a bdia.Sink that also knows where a step begins and ends.
type stepSink interface {
	bdia.Sink
	// begin starts optimiser step number step at learning rate lr.
	begin(step int, lr float64)
	// end finishes the step and returns the gradient's global norm, or 0 where
	// it was not measured. It fails, with parameters as they were, when the norm
	// is not finite.
	end() (norm float64, err error)
}

// updateNow applies each block's gradients in the reverse walk and lets go of
// them: online back-propagation. Gradients of one block at a time exist, and
// those of embedding and head.
type updateNow struct {
	be   backend.Backend
	opt  *optim.Optimizer
	step int
	lr   float64
}

func (s *updateNow) begin(step int, lr float64) { s.step, s.lr = step, lr }

// Open gives the parameters cleared gradients in the arena, above whatever is
// there; the caller releases them after Close.
func (s *updateNow) Open(params []*tensor.Param) { bdia.AllocGrads(s.be, params) }

// Close updates the parameters.
func (s *updateNow) Close(params []*tensor.Param) { s.opt.Update(params, s.step, s.lr) }

func (s *updateNow) end() (float64, error) { return 0, nil }

// accumulate keeps all gradients until the end of the step, over all of its
// micro-batches, then clips and updates. Over several micro-batches it keeps the
// two sums of a tied table apart until then.
type accumulate struct {
	be     backend.Backend
	opt    *optim.Optimizer
	params []*tensor.Param
	clip   float64
	step   int
	lr     float64
}

func newAccumulate(be backend.Backend, opt *optim.Optimizer, params []*tensor.Param, clip float64, microBatches int) *accumulate {
	for _, p := range params {
		p.Grad = be.Alloc(backend.Gradients, tensor.F32, p.Value.Shape)
		if p.Tied && microBatches > 1 {
			p.Lookups = be.Alloc(backend.Gradients, tensor.F32, p.Value.Shape)
		}
	}
	return &accumulate{be: be, opt: opt, params: params, clip: clip}
}

func (s *accumulate) begin(step int, lr float64) {
	s.step, s.lr = step, lr
	for _, p := range s.params {
		s.be.Zero(p.Grad)
		if p.Lookups.Valid() {
			s.be.Zero(p.Lookups)
		}
	}
}

func (s *accumulate) Open([]*tensor.Param)  {}
func (s *accumulate) Close([]*tensor.Param) {}

func (s *accumulate) end() (norm float64, err error) {
	for _, p := range s.params {
		if p.Lookups.Valid() {
			s.be.Add(p.Grad, p.Grad, p.Lookups)
		}
	}
	if s.clip > 0 {
		norm = optim.ClipGlobalNorm(s.be, s.params, s.clip)
		if math.IsNaN(norm) || math.IsInf(norm, 0) {
			return norm, fmt.Errorf("train: gradient norm is %v at step %d: %w; lower the learning rate or lengthen the warm-up",
				norm, s.step, model.ErrDiverged)
		}
	}
	s.opt.Update(s.params, s.step, s.lr)
	return norm, nil
}
