package optim

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Average is the exponential moving average of a set of parameters over the
// steps of a run (Polyak and Juditsky, 1992, with exponential weights). With
// decay d it is a_t = a_{t-1} + (1-d_t)*(w_t - a_{t-1}), where
// d_t = min(d, (1+t)/(10+t)) lets the first steps forget the initial weights.
type Average struct {
	be     backend.Backend
	decay  float64
	params []*tensor.Param
	values []tensor.Tensor
}

// NewAverage allocates the average of params with decay in (0,1). Its values
// are unspecified until Start, or until they are loaded between two Swaps.
func NewAverage(be backend.Backend, params []*tensor.Param, decay float64) *Average {
	a := &Average{be: be, decay: decay, params: params, values: make([]tensor.Tensor, len(params))}
	for i, p := range params {
		a.values[i] = be.Alloc(backend.Optimiser, tensor.F32, p.Value.Shape)
	}
	return a
}

// Start begins the average with the parameters as they are.
func (a *Average) Start() {
	for i, p := range a.params {
		a.be.Copy(a.values[i], p.Value)
	}
}

// Update follows the parameters after step number step (1, 2, ...).
func (a *Average) Update(step int) {
	t := float64(step)
	d := min(a.decay, (1+t)/(10+t))
	for i, p := range a.params {
		a.be.Lerp(a.values[i], p.Value, float32(1-d))
	}
}

// Values lists the average, in the order of the parameters.
func (a *Average) Values() []tensor.Tensor { return a.values }

// Swap exchanges the parameters' values and the average, without moving memory,
// so that the model computes with the average until the next Swap.
func (a *Average) Swap() {
	for i, p := range a.params {
		p.Value, a.values[i] = a.values[i], p.Value
	}
}
