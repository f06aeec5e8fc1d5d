// Package optim updates parameters from their gradients: AdamW, SET-Adam and
// SGD, learning-rate schedules, and clipping by global norm.
package optim

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/pmath"
	"github.com/bdia-go/bdia/tensor"
)

// Config chooses an optimiser by name, with its constants: for files and flags.
type Config struct {
	Name     string  `yaml:"name"`     // adamw, set-adam or sgd
	Beta1    float64 `yaml:"beta1"`    // decay of the first moment
	Beta2    float64 `yaml:"beta2"`    // decay of the second moment
	Eps      float64 `yaml:"eps"`      // added to the denominator (adamw) or under the root (set-adam)
	Decay    float64 `yaml:"decay"`    // decoupled weight decay; not for norms and biases
	Momentum float64 `yaml:"momentum"` // sgd
	// StateBits is the width of a moment: 32, or 8 for adamw, where small tensors
	// keep 32 (see AdamW.New).
	StateBits int `yaml:"state_bits"`
	// TableBits is the width of a moment of a look-up table, if StateBits is 8: 32 or 8; 0: 32.
	TableBits int `yaml:"table_bits,omitzero"`
}

// Names lists the optimisers.
func Names() []string { return []string{"adamw", "set-adam", "sgd"} }

// Default returns the usual constants of the named optimiser.
func Default(name string) (Config, error) {
	switch name {
	case "adamw":
		return DefaultAdamW().config(), nil
	case "set-adam":
		return DefaultSETAdam().config(), nil
	case "sgd":
		return DefaultSGD().config(), nil
	}
	return Config{}, fmt.Errorf("optim: unknown optimiser %q; use adamw, set-adam or sgd", name)
}

// Validate returns an error for the first invalid constant. What counts is the float32
// that the updates use: there beta must stay below 1 and eps above 0, or they would
// divide by zero.
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
	if c.TableBits != 0 && c.TableBits != 32 && c.TableBits != 8 {
		return fmt.Errorf("optim: states of tables of %d bits; use 32 or 8", c.TableBits)
	}
	if c.StateBits == 8 && c.Name != "adamw" {
		return fmt.Errorf("optim: states of 8 bits are for adamw, not %s; use adamw, or 32 bits", c.Name)
	}
	return nil
}

// Maker makes an optimiser for a set of parameters: AdamW, SETAdam, SGD and Config
// are Makers, and so is a type of your own. For example, of an optimiser with one
// tensor of state for each parameter:
//
//	func (maker) New(be backend.Backend, params []*tensor.Param) (optim.Optimizer, error) {
//		o := &momentum{be: be, of: map[*tensor.Param]tensor.Tensor{}}
//		for _, p := range params {
//			m := be.Alloc(backend.Optimiser, tensor.F32, p.Value.Shape)
//			be.Zero(m)
//			o.of[p] = m
//			o.moments = append(o.moments, optim.Moment{Name: p.Name + ".m", Value: m})
//		}
//		return o, nil
//	}
type Maker interface {
	// New allocates the optimiser's state on be, cleared.
	New(be backend.Backend, params []*tensor.Param) (Optimizer, error)
}

// Optimizer updates parameters from their gradients.
type Optimizer interface {
	// Update applies step number step (1, 2, ...) at learning rate lr to params, from
	// their Grad, which it may overwrite. Params are all that the optimiser was made for,
	// or some of them.
	Update(params []*tensor.Param, step int, lr float64)
	// Moments lists the state in a fixed order, for checkpoints.
	Moments() []Moment
}

// Described is an Optimizer that says what its state is. Checkpoints keep the
// description and are loaded only into an optimiser with the same one.
type Described interface {
	// Describe returns keys and values, for example "optimizer": "adamw".
	Describe() map[string]string
}

// Moment is one tensor of the optimiser's state, for checkpoints.
type Moment struct {
	Name  string // unique: of the parameter, with a suffix such as .m, .v, .m.absmax or .v.absmax
	Value tensor.Tensor
}

// Maker returns the settings of the optimiser that c names. The constants of other
// optimisers in c have no meaning.
func (c Config) Maker() (Maker, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	switch c.Name {
	case "set-adam":
		return SETAdam{Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps, Decay: c.Decay}, nil
	case "sgd":
		return SGD{Momentum: c.Momentum, Decay: c.Decay}, nil
	}
	return AdamW{Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps, Decay: c.Decay, StateBits: c.StateBits, TableBits: c.TableBits}, nil
}

// New makes the optimiser that c names.
func (c Config) New(be backend.Backend, params []*tensor.Param) (Optimizer, error) {
	m, err := c.Maker()
	if err != nil {
		return nil, err
	}
	return m.New(be, params)
}

// Keys of descriptions (see Described).
const (
	nameKey  = "optimizer"
	bitsKey  = "state_bits"
	tableKey = "table_bits" // of tables; without it, 32
)

// alloc returns a cleared tensor of an optimiser's state.
func alloc(be backend.Backend, d tensor.DType, s tensor.Shape) tensor.Tensor {
	t := be.Alloc(backend.Optimiser, d, s)
	be.Zero(t)
	return t
}

// decayOf is the decay of p: norms and biases have none.
func decayOf(p *tensor.Param, decay float64) float32 {
	if p.Decay {
		return float32(decay)
	}
	return 0
}

// biasCorrection returns 1-beta^step for the beta that the moments decay with,
// which is rounded to float32: 0.999 taken exactly would be off by 5e-6.
func biasCorrection(beta float32, step int) float32 {
	return float32(1 - pmath.Pow(float64(beta), float64(step)))
}

// ClipGlobalNorm scales the gradients of params so that the norm of all of them
// together is at most limit (Pascanu et al., arXiv 1211.5063), and returns the
// norm before.
func ClipGlobalNorm(be backend.Backend, params []*tensor.Param, limit float64) (norm float64) {
	norm = math.Sqrt(sumSquares(be, params, func(p *tensor.Param) tensor.Tensor { return p.Grad }))
	if norm > limit {
		scale := float32(limit / norm)
		for _, p := range params {
			be.Scale(p.Grad, scale)
		}
	}
	return norm
}

// NotFinite returns the first of params with a value that is infinite or NaN, or so large
// that its square is; nil if there is none.
func NotFinite(be backend.Backend, params []*tensor.Param) *tensor.Param {
	return firstBad(be, params, func(p *tensor.Param) tensor.Tensor { return p.Value })
}

// GradNotFinite returns the first of params with such a value in its gradient; nil if there is none.
func GradNotFinite(be backend.Backend, params []*tensor.Param) *tensor.Param {
	return firstBad(be, params, func(p *tensor.Param) tensor.Tensor { return p.Grad })
}

func firstBad(be backend.Backend, params []*tensor.Param, of func(*tensor.Param) tensor.Tensor) *tensor.Param {
	if !bad(sumSquares(be, params, of)) {
		return nil
	}
	for i, p := range params {
		if bad(sumSquares(be, params[i:i+1], of)) {
			return p
		}
	}
	return nil
}

func bad(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

// sumSquares returns the sum of the squares of one tensor of each parameter. It waits for
// the device once.
func sumSquares(be backend.Backend, params []*tensor.Param, of func(*tensor.Param) tensor.Tensor) float64 {
	mark := be.Mark()
	defer be.Release(mark)
	sum := be.Alloc(backend.Data, tensor.F64, tensor.Shape{1})
	be.Zero(sum)
	for _, p := range params {
		be.AddSquares(sum, of(p))
	}
	return be.DownloadScalar(sum)
}
