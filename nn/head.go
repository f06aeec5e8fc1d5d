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

// Loss writes the loss (nats) of every row of x (rows,C) to losses. targets holds
// a class (int32) or V probabilities (float32) for each row.
func (h *Head) Loss(losses, x, targets tensor.Tensor) {
	m := h.be.Mark()
	n := h.normalise(x)
	each := targets.Len() / losses.Len() // 1, or V for probabilities
	h.eachChunk(n, func(n, logits tensor.Tensor, from, to int) {
		h.Logits.Forward(logits, n)
		h.be.CrossEntropy(losses.Slice(from, to), logits, targets.Slice(from*each, to*each), 0, 0)
	})
	h.be.Release(m)
}

// LossBackward writes the losses and dx, the gradient of their sum times scale,
// and adds to the gradients of the norm and the logits' weight. dx must not be x.
func (h *Head) LossBackward(dx, losses, x, targets tensor.Tensor, scale float32) {
	m := h.be.Mark()
	n, stats := dx.Reshape(tensor.Shape{x.Rows(), x.Cols()}), h.Norm.Stats(x.Rows())
	h.Norm.Forward(n, stats, x)
	h.scale(n)
	each := targets.Len() / losses.Len()
	h.eachChunk(n, func(n, logits tensor.Tensor, from, to int) {
		h.Logits.Forward(logits, n)
		h.be.CrossEntropy(losses.Slice(from, to), logits, targets.Slice(from*each, to*each), h.Smoothing, scale)
		h.Logits.Backward(n, logits, n)
	})
	h.scale(n)
	h.Norm.Backward(dx, n, x, stats)
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
	n := activation(h.be, tensor.Shape{x.Rows(), x.Cols()})
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

// eachChunk calls f for one range of rows of n after another, with a buffer for
// their logits.
func (h *Head) eachChunk(n tensor.Tensor, f func(n, logits tensor.Tensor, from, to int)) {
	rows, V := n.Rows(), h.Logits.Weight.Value.Rows()
	step := h.chunkRows(rows)
	logits := h.be.Alloc(backend.Logits, tensor.F32, tensor.Shape{step, V})
	for from := 0; from < rows; from += step {
		to := min(from+step, rows)
		f(n.RowRange(from, to), logits.RowRange(0, to-from), from, to)
	}
}
