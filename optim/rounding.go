package optim

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Rounder is an Optimizer that updates parameters in BF16 too: AdamW, SET-Adam and SGD are. They round each updated
// value stochastically, keyed by seed, step, the number of the parameter and the element. So a step replays exactly,
// and updates that are far smaller than the steps of BF16 count in the mean. Rounding to nearest would lose them.
// Moments and gradients have the types that they have beside parameters in float32.
type Rounder interface {
	Optimizer
	// Round sets the seed. Before, it is 0.
	Round(seed uint64)
}

// rounding keys the rounding of a set of parameters.
type rounding struct {
	seed   uint64
	number map[*tensor.Param]int
}

func numbered(params []*tensor.Param) rounding {
	r := rounding{number: make(map[*tensor.Param]int, len(params))}
	for i, p := range params {
		r.number[p] = i
	}
	return r
}

// Round sets the seed of rounding (see Rounder).
func (r *rounding) Round(seed uint64) { r.seed = seed }

func (r *rounding) of(p *tensor.Param, step int) backend.Rounding {
	return backend.Rounding{Seed: r.seed, Step: step, Param: r.number[p]}
}
