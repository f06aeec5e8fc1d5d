package optim

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// SETAdam is Adam with step sizes of a smaller range (arXiv 2302.01029).
type SETAdam struct {
	Beta1, Beta2 float64 // decay of the moments
	Eps          float64 // under the root
	Decay        float64 // decoupled weight decay; not for norms and biases
}

// DefaultSETAdam returns the constants of the paper's section 5.
func DefaultSETAdam() SETAdam { return SETAdam{Beta1: 0.9, Beta2: 0.999, Eps: 1e-16} }

// tau is SET-Adam's share of the least step size that is taken off all.
const tau = 0.5

// config is c as the named choice.
func (c SETAdam) config() Config {
	return Config{Name: "set-adam", Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps, Decay: c.Decay, StateBits: 32}
}

// New allocates zeroed moments for params. Look-up tables take plain Adam's steps.
func (c SETAdam) New(be backend.Backend, params []*tensor.Param) (Optimizer, error) {
	if err := c.config().Validate(); err != nil {
		return nil, err
	}
	o := &setAdam{be: be, settings: c, state: make(map[*tensor.Param]moments, len(params)), rounding: numbered(params)}
	for _, p := range params {
		o.state[p] = allocMoments(be, p, &o.named)
	}
	return o, nil
}

// setAdam is SETAdam's state for a set of parameters.
type setAdam struct {
	be       backend.Backend
	settings SETAdam
	state    map[*tensor.Param]moments
	named    []Moment
	rounding
}

func (o *setAdam) Moments() []Moment { return o.named }

func (o *setAdam) Describe() map[string]string {
	return map[string]string{nameKey: "set-adam", bitsKey: "32"}
}

func (o *setAdam) Update(params []*tensor.Param, step int, lr float64) {
	c := o.settings
	s := AdamW{Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps}.scalars(step, lr)
	for _, p := range params {
		s.Decay = decayOf(p, c.Decay)
		if st := o.state[p]; p.Embedding {
			o.be.AdamW(p.Value, p.Grad, st.m, st.v, s, o.of(p, step))
		} else {
			o.be.SETAdam(p.Value, p.Grad, st.m, st.v, s, tau, o.of(p, step))
		}
	}
}
