package nn

import (
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/pmath"
	"github.com/bdia-go/bdia/tensor"
)

// NewTable allocates a table of tokens (vocab,C), which several embeddings and a
// head may share.
func NewTable(be backend.Backend, name string, vocab, C int) *tensor.Param {
	return newTable(be, tensor.F32, name, vocab, C)
}

func newTable(be backend.Backend, d tensor.DType, name string, vocab, C int) *tensor.Param {
	p := newParamOf(be, d, name, tensor.Shape{vocab, C}, true)
	p.Embedding = true
	return p
}

// Sequence is the embedding of one side of an encoder-decoder. Its positions are
// learned, x = token + position, or sinusoids, for which tokens are scaled up
// (Vaswani et al., arXiv 1706.03762, sections 3.4 and 3.5):
//
//	x[b,t] = sqrt(C)*token[ids[b,t]] + sinusoid[t]
type Sequence struct {
	be       backend.Backend
	Token    *tensor.Param // (V,C)
	Position *tensor.Param // (context,C); nil for sinusoids
	table    tensor.Tensor // (context,C): positions, as they are before x is scaled
	scale    float32       // of x: 1 for learned positions
}

// NewSequence allocates the embedding of up to context tokens of a table, its
// positions named prefix+"wpe.weight".
func NewSequence(be backend.Backend, prefix string, token *tensor.Param, context int, sinusoidal bool) *Sequence {
	C := token.Value.Cols()
	e := &Sequence{be: be, Token: token, scale: 1}
	if !sinusoidal {
		e.Position = newParam(be, prefix+"wpe.weight", tensor.Shape{context, C}, true)
		e.Position.Embedding = true
		e.table = e.Position.Value
		return e
	}
	e.scale = float32(math.Sqrt(float64(C)))
	e.table = be.Alloc(backend.Weights, tensor.F32, tensor.Shape{context, C})
	host := make([]float32, context*C)
	for i := range host {
		host[i] = float32(Sinusoid(i/C, i%C, C)) / e.scale
	}
	be.Upload(e.table, host)
	return e
}

// Constant is the table of sinusoids, under a name, which nothing changes. Learned positions are a parameter instead.
func (e *Sequence) Constant(name string) *tensor.Param {
	return &tensor.Param{Name: name, Value: e.table}
}

// Sinusoid is channel c of C of position t (Vaswani et al., section 3.5): sines of the
// even channels, cosines of the odd ones.
func Sinusoid(t, c, C int) float64 {
	angle := float64(t) * pmath.Pow(10000, -float64(c&^1)/float64(C))
	if c%2 == 1 {
		return pmath.Cos(angle)
	}
	return pmath.Sin(angle)
}

// Init draws initial positions of standard deviation 0.02. It leaves the table of tokens to its owner.
func (e *Sequence) Init(seed uint64, id int) {
	if e.Position != nil {
		Normal(e.be, e.Position, 0.02, seed, id)
	}
}

// Deviation is the standard deviation for a table's initial tokens: 0.02, or beside sinusoids 1/sqrt(C), so that the
// scaled tokens have 1.
func (e *Sequence) Deviation() float64 {
	if e.Position != nil {
		return 0.02
	}
	return 1 / float64(e.scale)
}

// Forward writes x (B,T,C) from ids (B,T). The first position is number at.
func (e *Sequence) Forward(x, ids tensor.Tensor, at int) {
	e.be.Embed(x, ids, e.Token.Value, e.table.RowRange(at, at+ids.Cols()))
	if e.scale != 1 {
		e.be.Scale(x, e.scale)
	}
}

// Backward turns dx (B,T,C) into the gradient of the sum, and adds the gradients
// of both tables. Sinusoids learn nothing.
func (e *Sequence) Backward(dx, ids tensor.Tensor) {
	if e.scale != 1 {
		e.be.Scale(dx, e.scale)
	}
	e.be.EmbedBackward(e.Token.Grad, gradOf(e.Position), dx, ids)
}
