// Package optim updates parameters from their gradients: AdamW, SET-Adam and
// SGD, learning-rate schedules, and clipping by global norm.
package optim

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Config chooses an optimiser and its constants.
type Config struct {
	Name     string  `yaml:"name"`     // adamw, set-adam or sgd
	Beta1    float64 `yaml:"beta1"`    // decay of the first moment
	Beta2    float64 `yaml:"beta2"`    // decay of the second moment
	Eps      float64 `yaml:"eps"`      // added to the denominator (adamw) or under the root (set-adam)
	Decay    float64 `yaml:"decay"`    // decoupled weight decay; not for norms and biases
	Momentum float64 `yaml:"momentum"` // sgd
	// StateBits is the width of a moment: 32, or 8 for adamw, where small
	// tensors and look-up tables keep 32 (see New).
	StateBits int `yaml:"state_bits"`
}

// Names lists the optimisers.
func Names() []string { return []string{"adamw", "set-adam", "sgd"} }

// Default returns the usual constants of the named optimiser.
func Default(name string) (Config, error) {
	switch name {
	case "adamw":
		return Config{Name: name, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.1, StateBits: 32}, nil
	case "set-adam": // arXiv 2302.01029, section 5
		return Config{Name: name, Beta1: 0.9, Beta2: 0.999, Eps: 1e-16, StateBits: 32}, nil
	case "sgd":
		return Config{Name: name, Momentum: 0.9, StateBits: 32}, nil
	}
	return Config{}, fmt.Errorf("optim: unknown optimiser %q; use adamw, set-adam or sgd", name)
}

// Validate reports the first constant that cannot be. What counts is the float32
// that the updates use: there beta must stay below 1 and eps above 0, or they
// would divide by zero.
func (c Config) Validate() error {
	if _, err := Default(c.Name); err != nil {
		return err
	}
	for _, b := range []struct {
		name string
		v    float64
	}{{"beta1", c.Beta1}, {"beta2", c.Beta2}, {"momentum", c.Momentum}} {
		if v := float32(b.v); !(v >= 0 && v < 1) {
			return fmt.Errorf("optim: %s is %v; it must be at least 0 and below 1", b.name, b.v)
		}
	}
	if d := float32(c.Decay); !(d >= 0 && d <= math.MaxFloat32) {
		return fmt.Errorf("optim: weight decay is %v; it must not be negative", c.Decay)
	}
	if e := float32(c.Eps); c.Name != "sgd" && !(e > 0 && e <= math.MaxFloat32) {
		return fmt.Errorf("optim: eps is %v; it must be positive, and at least 1e-45", c.Eps)
	}
	if c.StateBits != 32 && c.StateBits != 8 {
		return fmt.Errorf("optim: states of %d bits; use 32 or 8", c.StateBits)
	}
	if c.StateBits == 8 && c.Name != "adamw" {
		return fmt.Errorf("optim: states of 8 bits are for adamw, not %s; use --optimizer adamw or --state-bits 32", c.Name)
	}
	return nil
}

// tau is SET-Adam's share of the least step size that is taken off all.
const tau = 0.5

// Optimizer holds the moments of a set of parameters.
type Optimizer struct {
	be    backend.Backend
	cfg   Config
	state map[*tensor.Param]moments
	named []Moment
}

type moments struct {
	m, v       tensor.Tensor
	mMax, vMax tensor.Tensor // none, unless m and v are 8-bit codes
}

// Moment is one tensor of the optimiser's state, for checkpoints.
type Moment struct {
	Name  string // of the parameter, with the suffix .m, .v, .m.absmax or .v.absmax
	Value tensor.Tensor
}

// min8 is the least number of elements that 8-bit moments are for: below it
// they save nothing that counts. It is the limit of the paper's authors.
const min8 = 4096

// New allocates zeroed moments for params. With StateBits 8, all have 8 bits but
// those of tensors with less than 4096 elements and those of look-up tables: the
// gradients of tables are uneven and the moments of a row that is not looked up
// must outlast many steps (arXiv 2110.02861, section 2.3).
func New(be backend.Backend, cfg Config, params []*tensor.Param) (*Optimizer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	o := &Optimizer{be: be, cfg: cfg, state: make(map[*tensor.Param]moments, len(params))}
	var codes []Moment
	for _, p := range params {
		add := func(list *[]Moment, suffix string, d tensor.DType, s tensor.Shape) tensor.Tensor {
			t := be.Alloc(backend.Optimiser, d, s)
			be.Zero(t)
			*list = append(*list, Moment{p.Name + suffix, t})
			return t
		}
		var s moments
		if n := p.Value.Len(); cfg.StateBits == 8 && n >= min8 && !p.Embedding {
			blocks := tensor.Shape{backend.CodeGroups(n)}
			s.m, s.v = add(&codes, ".m", tensor.U8, p.Value.Shape), add(&codes, ".v", tensor.U8, p.Value.Shape)
			s.mMax, s.vMax = add(&o.named, ".m.absmax", tensor.F32, blocks), add(&o.named, ".v.absmax", tensor.F32, blocks)
		} else {
			s.m = add(&o.named, ".m", tensor.F32, p.Value.Shape)
			if cfg.Name != "sgd" {
				s.v = add(&o.named, ".v", tensor.F32, p.Value.Shape)
			}
		}
		o.state[p] = s
	}
	o.named = append(o.named, codes...)
	return o, nil
}

// Moments lists the optimiser's state in a fixed order, float32 before codes.
func (o *Optimizer) Moments() []Moment { return o.named }

// Update applies step number step (1, 2, ...) at learning rate lr to params,
// from their Grad.
func (o *Optimizer) Update(params []*tensor.Param, step int, lr float64) {
	c := o.cfg
	s := backend.AdamScalars{LR: float32(lr), Beta1: float32(c.Beta1), Beta2: float32(c.Beta2), Eps: float32(c.Eps)}
	s.Bias1, s.Bias2 = biasCorrection(s.Beta1, step), biasCorrection(s.Beta2, step)
	for _, p := range params {
		s.Decay = 0
		if p.Decay {
			s.Decay = float32(c.Decay)
		}
		st := o.state[p]
		switch {
		case c.Name == "sgd":
			o.be.SGD(p.Value, p.Grad, st.m, s.LR, float32(c.Momentum), s.Decay)
		case c.Name == "set-adam" && !p.Embedding: // plain Adam for embeddings
			o.be.SETAdam(p.Value, p.Grad, st.m, st.v, s, tau)
		case st.mMax.Valid():
			o.be.AdamW8(p.Value, p.Grad, st.m, st.v, st.mMax, st.vMax, s)
		default:
			o.be.AdamW(p.Value, p.Grad, st.m, st.v, s)
		}
	}
}

// biasCorrection returns 1-beta^step for the beta that the moments decay with,
// which is rounded to float32: 0.999 taken exactly would be off by 5e-6.
func biasCorrection(beta float32, step int) float32 {
	return float32(1 - math.Pow(float64(beta), float64(step)))
}

// ClipGlobalNorm scales the gradients of params so that the norm of all of them
// together is at most limit (Pascanu et al., arXiv 1211.5063), and returns the
// norm before.
func ClipGlobalNorm(be backend.Backend, params []*tensor.Param, limit float64) (norm float64) {
	var sum float64
	for _, p := range params {
		sum += be.SumSquares(p.Grad)
	}
	norm = math.Sqrt(sum)
	if norm > limit {
		scale := float32(limit / norm)
		for _, p := range params {
			be.Scale(p.Grad, scale)
		}
	}
	return norm
}
