package optim

import (
	"strconv"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// AdamW is Adam with decoupled weight decay (arXiv 1711.05101).
type AdamW struct {
	Beta1, Beta2 float64 // decay of the moments
	Eps          float64 // added to the denominator
	Decay        float64 // decoupled weight decay; not for norms and biases
	StateBits    int     // width of a moment: 32 or 8 (see New)
	TableBits    int     // width of a moment of a look-up table, if StateBits is 8: 32 or 8; 0: 32
}

// DefaultAdamW returns the usual constants.
func DefaultAdamW() AdamW {
	return AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.1, StateBits: 32, TableBits: 8}
}

// min8 is the least number of elements that 8-bit moments are for: below it
// they save nothing that counts. It is the limit of the paper's authors.
const min8 = 4096

// config is c as the named choice.
func (c AdamW) config() Config {
	return Config{Name: "adamw", Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps, Decay: c.Decay, StateBits: c.StateBits, TableBits: c.TableBits}
}

// New allocates zeroed moments for params. With StateBits 8, tensors with less than
// 4096 elements keep 32 bits, and so do look-up tables unless TableBits is 8: their
// gradients are uneven, and the moments of a row that is not looked up must outlast
// many steps (arXiv 2110.02861, section 2.3). But a language model's table can be a
// quarter of it.
func (c AdamW) New(be backend.Backend, params []*tensor.Param) (Optimizer, error) {
	if err := c.config().Validate(); err != nil {
		return nil, err
	}
	o := &adamW{be: be, settings: c, state: make(map[*tensor.Param]moments, len(params)), rounding: numbered(params)}
	var codes []Moment
	for _, p := range params {
		n := p.Value.Len()
		if c.StateBits != 8 || n < min8 || p.Embedding && c.TableBits != 8 {
			o.state[p] = allocMoments(be, p, &o.named)
			continue
		}
		groups := tensor.Shape{backend.CodeGroups(n)}
		s := moments{m: alloc(be, tensor.U8, p.Value.Shape), v: alloc(be, tensor.U8, p.Value.Shape)}
		s.mMax, s.vMax = alloc(be, tensor.F32, groups), alloc(be, tensor.F32, groups)
		codes = append(codes, Moment{p.Name + ".m", s.m}, Moment{p.Name + ".v", s.v})
		o.named = append(o.named, Moment{p.Name + ".m.absmax", s.mMax}, Moment{p.Name + ".v.absmax", s.vMax})
		o.state[p] = s
	}
	o.named = append(o.named, codes...)
	return o, nil
}

// moments are the state of one parameter.
type moments struct {
	m, v       tensor.Tensor
	mMax, vMax tensor.Tensor // none, unless m and v are 8-bit codes
}

// allocMoments allocates both moments of p in float32 and lists them.
func allocMoments(be backend.Backend, p *tensor.Param, named *[]Moment) moments {
	s := moments{m: alloc(be, tensor.F32, p.Value.Shape), v: alloc(be, tensor.F32, p.Value.Shape)}
	*named = append(*named, Moment{p.Name + ".m", s.m}, Moment{p.Name + ".v", s.v})
	return s
}

// adamW is AdamW's state for a set of parameters.
type adamW struct {
	be       backend.Backend
	settings AdamW
	state    map[*tensor.Param]moments
	named    []Moment // float32 before codes
	rounding
}

func (o *adamW) Moments() []Moment { return o.named }

func (o *adamW) Describe() map[string]string {
	d := map[string]string{nameKey: "adamw", bitsKey: strconv.Itoa(o.settings.StateBits)}
	if o.settings.StateBits == 8 && o.settings.TableBits == 8 {
		d[tableKey] = "8"
	}
	return d
}

func (o *adamW) Update(params []*tensor.Param, step int, lr float64) {
	s := o.settings.scalars(step, lr)
	for _, p := range params {
		s.Decay = decayOf(p, o.settings.Decay)
		if st := o.state[p]; st.mMax.Valid() {
			o.be.AdamW8(p.Value, p.Grad, st.m, st.v, st.mMax, st.vMax, s, o.of(p, step))
		} else {
			o.be.AdamW(p.Value, p.Grad, st.m, st.v, s, o.of(p, step))
		}
	}
}

// scalars returns the numbers of a step's update, except the decay.
func (c AdamW) scalars(step int, lr float64) backend.AdamScalars {
	s := backend.AdamScalars{LR: float32(lr), Beta1: float32(c.Beta1), Beta2: float32(c.Beta2), Eps: float32(c.Eps)}
	s.Bias1, s.Bias2 = biasCorrection(s.Beta1, step), biasCorrection(s.Beta2, step)
	return s
}
