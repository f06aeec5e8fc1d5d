package nn

import (
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// PatchEmbedding turns the patches of images into a residual stream (Dosovitskiy
// et al., arXiv 2010.11929, eq. 1): x[b] = (class, W p_1 + c, ..., W p_N + c) +
// position, or without the class token.
//
// It is a look-up like any other: the table has a row for every patch of the
// batch, and the class token as its last.
type PatchEmbedding struct {
	be       backend.Backend
	Patch    *Linear       // (C,P) for patches of P values
	Class    *tensor.Param // (C), or nil
	Position *tensor.Param // (T,C): N rows, and one for the class token
}

// NewPatchEmbedding allocates the parameters of N patches of P values each.
func NewPatchEmbedding(be backend.Backend, N, P, C int, class bool) *PatchEmbedding {
	e := &PatchEmbedding{be: be, Patch: NewLinear(be, "patch", P, C, true)}
	if class {
		e.Class = newParam(be, "cls", tensor.Shape{C}, false)
		e.Class.Embedding = true
		N++
	}
	e.Position = newParam(be, "pos", tensor.Shape{N, C}, false)
	e.Position.Embedding = true
	return e
}

// Params lists the parameters.
func (e *PatchEmbedding) Params() []*tensor.Param {
	return appendParams(nil, e.Patch.Weight, e.Patch.Bias, e.Class, e.Position)
}

// Init draws timm's initial weights: positions of standard deviation 0.02, a class token near 0, and projections as
// PyTorch draws a convolution's.
func (e *PatchEmbedding) Init(seed uint64, id int) {
	fanIn := float64(e.Patch.Weight.Value.Cols())
	Normal(e.be, e.Patch.Weight, 1/math.Sqrt(3*fanIn), seed, id)
	Fill(e.be, e.Patch.Bias, 0)
	Normal(e.be, e.Position, 0.02, seed, id+1)
	if e.Class != nil {
		Normal(e.be, e.Class, 1e-6, seed, id+2)
	}
}

// Rows fills ids (B,T) with the table's rows that the residual stream starts as.
func (e *PatchEmbedding) Rows(ids []int32, B int) {
	T := len(ids) / B
	patch := int32(0)
	for i := range ids {
		if e.Class != nil && i%T == 0 {
			ids[i] = int32(B * (T - 1))
			continue
		}
		ids[i] = patch
		patch++
	}
}

// Forward writes x (B,T,C) from patches (B*N,P) and the ids of Rows (B,T).
func (e *PatchEmbedding) Forward(x, patches, ids tensor.Tensor) {
	m := e.be.Mark()
	table, rows, class := e.table(patches)
	e.Patch.Forward(rows, patches)
	if e.Class != nil {
		e.be.Copy(class, e.Class.Value)
	}
	e.be.Embed(x, ids, table, e.Position.Value)
	e.be.Release(m)
}

// Backward adds the gradients of all parameters from dx (B,T,C). The class
// token's gradient continues the sum so far, so that it does not depend on how samples
// are split into micro-batches.
func (e *PatchEmbedding) Backward(dx, patches, ids tensor.Tensor) {
	m := e.be.Mark()
	table, rows, class := e.table(patches)
	e.be.Zero(rows)
	if e.Class != nil {
		e.be.Copy(class, e.Class.Grad)
	}
	e.be.EmbedBackward(table, e.Position.Grad, dx, ids)
	if e.Class != nil {
		e.be.Copy(e.Class.Grad, class)
	}
	B := dx.Shape[0]
	bySample := func(t tensor.Tensor) tensor.Tensor { return t.Reshape(tensor.Shape{B, t.Rows() / B, t.Cols()}) }
	e.be.LinearBackwardWeight(e.Patch.Weight.Grad, e.Patch.Bias.Grad, bySample(rows), bySample(patches))
	e.be.Release(m)
}

// table allocates the table: a row for each patch, one for the class token.
func (e *PatchEmbedding) table(patches tensor.Tensor) (table, rows, class tensor.Tensor) {
	n, C := patches.Rows(), e.Position.Value.Cols()
	table = activation(e.be, tensor.Shape{n + 1, C})
	return table, table.RowRange(0, n), table.RowRange(n, n+1)
}

// ClassHead is the end of a classifier: the mean of each sample's first rows,
// then a Head with one row a sample.
type ClassHead struct {
	head Head
	rows int // of a sample that count: 1 for the class token, T for the mean
}

// NewClassHead allocates the head of a classifier. Its logits have a bias.
func NewClassHead(be backend.Backend, C, classes int, eps float32, rows int) *ClassHead {
	return &ClassHead{rows: rows, head: Head{be: be, Norm: NewLayerNorm(be, "lnf", C, true, eps), Logits: NewLinear(be, "head", C, classes, true)}}
}

// Params lists the parameters.
func (h *ClassHead) Params() []*tensor.Param {
	return paramsOf(h.head.Norm, h.head.Logits)
}

// Init draws timm's initial weights: standard deviation 0.02; norm 1, biases 0.
func (h *ClassHead) Init(seed uint64, id int) {
	Normal(h.head.be, h.head.Logits.Weight, 0.02, seed, id)
	Fill(h.head.be, h.head.Logits.Bias, 0)
	h.head.Norm.Init()
}

// Loss writes the loss (nats) of every sample of x (B,T,C) to losses (B).
// targets (B,V) holds probabilities.
func (h *ClassHead) Loss(losses, x, targets tensor.Tensor) {
	m := h.head.be.Mark()
	h.head.Loss(losses, h.pool(x), targets)
	h.head.be.Release(m)
}

// LossBackward writes the losses and dx, the gradient of their sum times scale,
// and adds to the gradients of the parameters.
func (h *ClassHead) LossBackward(dx, losses, x, targets tensor.Tensor, scale float32) {
	be := h.head.be
	m := be.Mark()
	p := h.pool(x)
	dp := activation(be, p.Shape)
	h.head.LossBackward(dp, losses, p, targets, scale)
	be.PoolRowsBackward(dx, dp, h.rows)
	be.Release(m)
}

// Rows writes the logits (B,V) of x (B,T,C).
func (h *ClassHead) Rows(logits, x tensor.Tensor) {
	m := h.head.be.Mark()
	h.head.Rows(logits, h.pool(x))
	h.head.be.Release(m)
}

// pool returns the means (B,1,C).
func (h *ClassHead) pool(x tensor.Tensor) tensor.Tensor {
	p := activation(h.head.be, tensor.Shape{x.Shape[0], 1, x.Shape[2]})
	h.head.be.PoolRows(p, x, h.rows)
	return p
}
