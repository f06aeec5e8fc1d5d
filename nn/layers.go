package nn

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Linear is y = x Wᵀ + b, plus the output of its adapter. N is the number of rows of x.
type Linear struct {
	be     backend.Backend
	Weight *tensor.Param // (out,in)
	Bias   *tensor.Param // (out), or nil
	LoRA   []*LoRA       // of all outputs, or of parts of them
}

// NewLinear allocates a layer named name, in float32.
func NewLinear(be backend.Backend, name string, in, out int, bias bool) *Linear {
	return newLinear(be, tensor.F32, name, in, out, bias)
}

// newLinear is NewLinear with a weight of type d.
func newLinear(be backend.Backend, d tensor.DType, name string, in, out int, bias bool) *Linear {
	l := &Linear{be: be, Weight: newParamOf(be, d, name+".weight", tensor.Shape{out, in}, true)}
	if bias {
		l.Bias = newParam(be, name+".bias", tensor.Shape{out}, false)
	}
	return l
}

// Params lists weight and bias, without the adapter's A and B.
func (l *Linear) Params() []*tensor.Param { return appendParams(nil, l.Weight, l.Bias) }

// Forward writes y (N,out) from x (N,in).
func (l *Linear) Forward(y, x tensor.Tensor) {
	l.be.Linear(y, x, l.Weight.Value, valueOf(l.Bias))
	for _, a := range l.LoRA {
		a.forward(y, x)
	}
}

// Backward adds dW = dyᵀ x and db, unless they are frozen, then writes dx = dy W.
// dx may be x.
func (l *Linear) Backward(dx, dy, x tensor.Tensor) {
	if !l.Weight.Frozen {
		l.be.LinearBackwardWeight(l.Weight.Grad, gradOf(l.Bias), dy, x)
	}
	if len(l.LoRA) == 0 {
		l.be.LinearBackwardInput(dx, dy, l.Weight.Value)
		return
	}
	m := l.be.Mark()
	more := l.LoRA[0].backward(dy, x)
	for _, a := range l.LoRA[1:] {
		l.be.Add(more, more, a.backward(dy, x))
	}
	l.be.LinearBackwardInput(dx, dy, l.Weight.Value)
	l.be.Add(dx, dx, more)
	l.be.Release(m)
}

// Embedding looks up tokens and positions: x[b,t] = (token[ids[b,t]] + position[t])*scale.
type Embedding struct {
	be       backend.Backend
	Token    *tensor.Param // (V,C)
	Position *tensor.Param // (context,C); nil: blocks tell positions apart
	Scale    float32       // multiplies x; 0: 1
}

// NewEmbedding allocates both tables, of type d (F32 or BF16); without context, the one of tokens.
func NewEmbedding(be backend.Backend, d tensor.DType, vocab, context, C int) *Embedding {
	e := &Embedding{be: be, Token: newTable(be, d, "wte.weight", vocab, C)}
	if context > 0 {
		e.Position = newTable(be, d, "wpe.weight", context, C)
	}
	return e
}

// Params lists the tables.
func (e *Embedding) Params() []*tensor.Param { return appendParams(nil, e.Token, e.Position) }

// Forward writes x (B,T,C) from ids (B,T). The first position is number at.
func (e *Embedding) Forward(x, ids tensor.Tensor, at int) {
	positions := valueOf(e.Position)
	if positions.Valid() {
		positions = positions.RowRange(at, at+ids.Cols())
	}
	e.be.Embed(x, ids, e.Token.Value, positions)
	if e.Scale != 0 {
		e.be.Scale(x, e.Scale)
	}
}

// Backward adds the gradients of both tables from dx (B,T,C), which it multiplies by
// the scale, unless they are frozen.
func (e *Embedding) Backward(dx, ids tensor.Tensor) {
	if e.Token.Frozen {
		return
	}
	if e.Scale != 0 {
		e.be.Scale(dx, e.Scale)
	}
	e.be.EmbedBackward(e.Token.Grad, gradOf(e.Position), dx, ids)
}
