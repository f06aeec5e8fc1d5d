package nn

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// A chunk of logits takes at most logitsBytes, but for large vocabularies has
// chunkRows rows all the same: every chunk adds to the whole gradient of the
// logits' weight, which costs as much as some hundred rows of it.
const (
	logitsBytes = 16 << 20
	chunkRows   = 256
)

// Head is the end of a model: final norm, logits and cross-entropy, row by row.
// Logits exist for a chunk of rows at a time only.
type Head struct {
	be     backend.Backend
	Norm   Norm
	Logits *Linear // (V,C); its weight may be the token embedding
	// Smoothing is the label smoothing of the training loss (Szegedy et al., arXiv
	// 1512.00567, section 7); Loss has none.
	Smoothing float32
	// Scale multiplies the logits; 0 stands for 1. It is applied to the normalised rows, which are narrower.
	Scale float32
}

// NewHead allocates a language model's head after blocks of cfg: the norm, named prefix+"lnf", and unless it is tied
// the logits' weight, without bias.
func NewHead(be backend.Backend, prefix string, cfg BlockConfig, vocab int, tied *tensor.Param) *Head {
	h := &Head{be: be, Norm: NewNorm(be, prefix+"lnf", cfg)}
	if tied != nil {
		h.Logits = &Linear{be: be, Weight: tied}
	} else {
		h.Logits = newLinear(be, cfg.Weights, "head", cfg.Width, vocab, false)
	}
	return h
}

// chunkRows returns how many rows of logits fit into a chunk.
func (h *Head) chunkRows(rows int) int {
	return min(rows, max(chunkRows, logitsBytes/4/h.Logits.Weight.Value.Rows()))
}

// Loss writes the loss (nats) of every row of x, (B,T,C) or (T,C), to losses. targets holds
// a class (int32) or V probabilities (float32) for each row.
func (h *Head) Loss(losses, x, targets tensor.Tensor) {
	m := h.be.Mark()
	n := h.normalise(x)
	h.eachChunk(x, func(c chunk, logits tensor.Tensor) {
		h.Logits.Forward(logits, c.of(n))
		h.be.CrossEntropy(c.values(losses), logits, c.values(targets), 0, 0)
	})
	h.be.Release(m)
}

// LossBackward writes the losses and dx, the gradient of their sum times scale,
// and adds to the gradients of the norm and the logits' weight. dx must not be x.
func (h *Head) LossBackward(dx, losses, x, targets tensor.Tensor, scale float32) {
	m := h.be.Mark()
	// n lies at the end of dx, where no chunk's gradient gets before n's own chunk is done with.
	n, stats := dx, h.Norm.Stats(x.Rows())
	if d := OperandType(h.be); d != dx.DType {
		n = dx.Slice(dx.Len()/2, dx.Len()).View(d, x.Shape)
	}
	h.Norm.Forward(n, stats, x)
	h.scale(n)
	h.eachChunk(x, func(c chunk, logits tensor.Tensor) {
		h.Logits.Forward(logits, c.of(n))
		h.be.CrossEntropy(c.values(losses), logits, c.values(targets), h.Smoothing, scale)
		h.Logits.Backward(c.of(dx), logits, c.of(n))
	})
	h.scale(dx)
	h.Norm.Backward(dx, dx, x, stats)
	h.be.Release(m)
}

// Rows writes the logits (rows,V) of x (rows,C).
func (h *Head) Rows(logits, x tensor.Tensor) {
	m := h.be.Mark()
	h.Logits.Forward(logits, h.normalise(x))
	h.be.Release(m)
}

// normalise returns the rows of x, normalised and scaled.
func (h *Head) normalise(x tensor.Tensor) tensor.Tensor {
	n := operand(h.be, tensor.Shape{x.Rows(), x.Cols()})
	h.Norm.Forward(n, h.Norm.Stats(x.Rows()), x)
	h.scale(n)
	return n
}

// scale multiplies normalised rows, or their gradient, by Scale.
func (h *Head) scale(n tensor.Tensor) {
	if h.Scale != 0 {
		h.be.Scale(n, h.Scale)
	}
}

// chunk is a range of rows: of so many samples, or a part of one.
type chunk struct{ from, to, samples, rows int }

// of returns the chunk's rows of t as (samples,T,C).
func (c chunk) of(t tensor.Tensor) tensor.Tensor {
	return t.RowRange(c.from, c.to).Reshape(tensor.Shape{c.samples, (c.to - c.from) / c.samples, t.Cols()})
}

// values returns the chunk's elements of t, which has as many for each row.
func (c chunk) values(t tensor.Tensor) tensor.Tensor {
	each := t.Len() / c.rows
	return t.Slice(c.from*each, c.to*each)
}

// eachChunk calls f for one chunk of x after another, with a buffer for its logits. A chunk is whole samples, or a part
// of one that begins at a multiple of 32 rows: so the sums of weights' gradients do not depend on micro-batches
// (see backend.Backend).
func (h *Head) eachChunk(x tensor.Tensor, f func(c chunk, logits tensor.Tensor)) {
	rows, V, T := x.Rows(), h.Logits.Weight.Value.Rows(), x.Rows()
	if x.Shape.Rank() > 2 {
		T = x.Shape[1]
	}
	most := h.chunkRows(rows)
	samples := max(1, most/T)
	step := samples * T
	if parts := (T + most - 1) / most; parts > 1 {
		step = ((T+parts-1)/parts + 31) &^ 31
	}
	logits := h.be.Alloc(backend.Logits, tensor.F32, tensor.Shape{min(step, rows), V})
	for at := 0; at < rows; at += samples * T {
		end := min(at+samples*T, rows)
		for from := at; from < end; from += step {
			c := chunk{from: from, to: min(from+step, end), samples: (end - at) / T, rows: rows}
			f(c, logits.Reshape(tensor.Shape{c.samples, (c.to - from) / c.samples, V}))
		}
	}
}
