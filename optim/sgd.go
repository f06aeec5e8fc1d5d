package optim

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// SGD is stochastic gradient descent with momentum.
type SGD struct {
	Momentum float64
	Decay    float64 // decoupled weight decay; not for norms and biases
}

// DefaultSGD returns the usual constants.
func DefaultSGD() SGD { return SGD{Momentum: 0.9} }

// config is c as the named choice.
func (c SGD) config() Config {
	return Config{Name: "sgd", Momentum: c.Momentum, Decay: c.Decay, StateBits: 32}
}

// New allocates a zeroed momentum for each of params.
func (c SGD) New(be backend.Backend, params []*tensor.Param) (Optimizer, error) {
	if err := c.config().Validate(); err != nil {
		return nil, err
	}
	o := &sgd{be: be, settings: c, state: make(map[*tensor.Param]tensor.Tensor, len(params)), rounding: numbered(params)}
	for _, p := range params {
		m := alloc(be, tensor.F32, p.Value.Shape)
		o.state[p], o.named = m, append(o.named, Moment{p.Name + ".m", m})
	}
	return o, nil
}

// sgd is SGD's state for a set of parameters.
type sgd struct {
	be       backend.Backend
	settings SGD
	state    map[*tensor.Param]tensor.Tensor
	named    []Moment
	rounding
}

func (o *sgd) Moments() []Moment { return o.named }

func (o *sgd) Describe() map[string]string { return map[string]string{nameKey: "sgd", bitsKey: "32"} }

func (o *sgd) Update(params []*tensor.Param, step int, lr float64) {
	for _, p := range params {
		o.be.SGD(p.Value, p.Grad, o.state[p], float32(lr), float32(o.settings.Momentum), decayOf(p, o.settings.Decay), o.of(p, step))
	}
}
