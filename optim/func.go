package optim

import (
	"errors"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Func is an optimiser without state, as a function: it updates params, which lie on be, from their Grad, in step
// number step (1, 2, ...) at learning rate lr. It may overwrite the gradients. For example, gradient descent is
//
//	optim.Func(func(be backend.Backend, params []*tensor.Param, _ int, lr float64) {
//		for _, p := range params {
//			be.Scale(p.Grad, float32(-lr))
//			be.Add(p.Value, p.Value, p.Grad)
//		}
//	})
type Func func(be backend.Backend, params []*tensor.Param, step int, lr float64)

// New makes an Optimizer that calls f.
func (f Func) New(be backend.Backend, _ []*tensor.Param) (Optimizer, error) {
	if f == nil {
		return nil, errors.New("optim: a Func that is nil")
	}
	return stateless{be, f}, nil
}

// stateless is the Optimizer of a Func.
type stateless struct {
	be backend.Backend
	f  Func
}

func (s stateless) Update(params []*tensor.Param, step int, lr float64) { s.f(s.be, params, step, lr) }
func (s stateless) Moments() []Moment                                   { return nil }
