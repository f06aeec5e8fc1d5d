// Package meter is a backend that measures another one: how often each operation
// ran, how long it took, and what arithmetic and memory traffic it stood for.
package meter

import (
	"slices"
	"time"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Op is what one kind of operation came to.
type Op struct {
	Name    string  `json:"name"`
	Calls   int     `json:"calls"`
	Seconds float64 `json:"seconds"`
	// MatrixFLOPs counts multiplications and additions of matrix products;
	// causal attention counts the visible half only, padding counts in full.
	MatrixFLOPs int64 `json:"matrix_flops"`
	// Bytes is what the operation must read and write at least, each operand
	// once.
	Bytes int64 `json:"bytes"`
}

// Backend measures the backend that it wraps.
type Backend struct {
	backend.Backend
	ops map[string]*Op
}

// New returns a meter on be.
func New(be backend.Backend) *Backend { return &Backend{Backend: be, ops: map[string]*Op{}} }

// Reset forgets what was measured.
func (b *Backend) Reset() { clear(b.ops) }

// Ops lists what was measured, the longest first.
func (b *Backend) Ops() []Op {
	list := make([]Op, 0, len(b.ops))
	for _, op := range b.ops {
		list = append(list, *op)
	}
	slices.SortFunc(list, func(x, y Op) int {
		if x.Seconds > y.Seconds || x.Seconds == y.Seconds && x.Name < y.Name {
			return -1
		}
		return 1
	})
	return list
}

// measure runs f as an operation on the given operands.
func (b *Backend) measure(name string, flops int64, f func(), operands ...tensor.Tensor) {
	op := b.ops[name]
	if op == nil {
		op = &Op{Name: name}
		b.ops[name] = op
	}
	began := time.Now()
	f()
	b.Sync()
	op.Seconds += time.Since(began).Seconds()
	op.Calls++
	op.MatrixFLOPs += flops
	for _, t := range operands {
		if t.Valid() {
			op.Bytes += t.Bytes()
		}
	}
}

// product is the FLOPs of x (N,in) times w (out,in), or of its gradients.
func product(x, w tensor.Tensor) int64 {
	return 2 * int64(x.Rows()) * int64(w.Rows()) * int64(w.Cols())
}

// attention is the FLOPs of so many T×S×D products for each head and sample.
func attention(out tensor.Tensor, S int, spec backend.AttentionSpec, products int64) int64 {
	B, T, C := int64(out.Shape[0]), int64(out.Shape[1]), int64(out.Shape[2])
	pairs := T * int64(S)
	if spec.Causal {
		pairs = T * (T + 1) / 2
	}
	return 2 * products * B * pairs * C
}

// heads has the size of heads of width D of x.
func heads(x tensor.Tensor, D int, h backend.Heads) tensor.Tensor {
	return tensor.Tensor{Shape: tensor.Shape{x.Rows(), h.Count * D}}
}

// The operations, measured.

func (b *Backend) Zero(t tensor.Tensor) { b.measure("zero", 0, func() { b.Backend.Zero(t) }, t) }

func (b *Backend) Copy(dst, src tensor.Tensor) {
	b.measure("copy", 0, func() { b.Backend.Copy(dst, src) }, dst, src)
}

func (b *Backend) CopyRows(dst, src, pairs tensor.Tensor) {
	rows := tensor.Tensor{Shape: tensor.Shape{pairs.Rows(), src.Cols()}} // what is read, and as much is written
	b.measure("copy rows", 0, func() { b.Backend.CopyRows(dst, src, pairs) }, rows, rows)
}

func (b *Backend) Add(y, x, z tensor.Tensor) {
	b.measure("add", 0, func() { b.Backend.Add(y, x, z) }, y, x, z)
}

func (b *Backend) Scale(t tensor.Tensor, a float32) {
	b.measure("scale", 0, func() { b.Backend.Scale(t, a) }, t, t)
}

func (b *Backend) Lerp(y, x tensor.Tensor, a float32) {
	b.measure("lerp", 0, func() { b.Backend.Lerp(y, x, a) }, y, x, y)
}

func (b *Backend) AddSquares(sum, t tensor.Tensor) {
	b.measure("sum of squares", 0, func() { b.Backend.AddSquares(sum, t) }, t)
}

func (b *Backend) Digest(sums, x tensor.Tensor) {
	b.measure("digest", 0, func() { b.Backend.Digest(sums, x) }, x)
}

func (b *Backend) Embed(x, ids, wte, wpe tensor.Tensor) {
	b.measure("embedding", 0, func() { b.Backend.Embed(x, ids, wte, wpe) }, x, x)
}

func (b *Backend) EmbedBackward(dwte, dwpe, dx, ids tensor.Tensor) {
	b.measure("embedding backward", 0, func() { b.Backend.EmbedBackward(dwte, dwpe, dx, ids) }, dx, dwte)
}

func (b *Backend) Linear(y, x, w, bias tensor.Tensor) {
	b.measure("linear", product(x, w), func() { b.Backend.Linear(y, x, w, bias) }, y, x, w)
}

func (b *Backend) LinearAdd(y, x, w tensor.Tensor) {
	b.measure("linear add", product(x, w), func() { b.Backend.LinearAdd(y, x, w) }, y, y, x, w)
}

func (b *Backend) LinearBackwardInput(dx, dy, w tensor.Tensor) {
	b.measure("linear backward dx", product(dy, w), func() { b.Backend.LinearBackwardInput(dx, dy, w) }, dx, dy, w)
}

func (b *Backend) LinearBackwardWeight(dw, db, dy, x tensor.Tensor) {
	b.measure("linear backward dw", product(x, dw), func() { b.Backend.LinearBackwardWeight(dw, db, dy, x) }, dw, dw, dy, x)
}

func (b *Backend) LayerNorm(y, stats, x, w, bias tensor.Tensor, eps float32) {
	b.measure("layer norm", 0, func() { b.Backend.LayerNorm(y, stats, x, w, bias, eps) }, y, x)
}

func (b *Backend) LayerNormBackward(dx, dw, db, dy, x, w, stats tensor.Tensor) {
	b.measure("layer norm backward", 0, func() { b.Backend.LayerNormBackward(dx, dw, db, dy, x, w, stats) }, dx, dy, x)
}

func (b *Backend) TakeColumns(y, x tensor.Tensor, at int) {
	b.measure("take columns", 0, func() { b.Backend.TakeColumns(y, x, at) }, y, y)
}

func (b *Backend) AddColumns(y, x tensor.Tensor, at int) {
	b.measure("add columns", 0, func() { b.Backend.AddColumns(y, x, at) }, x, x, x)
}

func (b *Backend) RMSNorm(y, stats, x, w tensor.Tensor, h backend.Heads, eps float32) {
	part := heads(x, w.Len(), h)
	b.measure("rms norm", 0, func() { b.Backend.RMSNorm(y, stats, x, w, h, eps) }, part, part)
}

func (b *Backend) RMSNormBackward(dx, dw, dy, x, w, stats tensor.Tensor, h backend.Heads) {
	part := heads(x, w.Len(), h)
	b.measure("rms norm backward", 0, func() { b.Backend.RMSNormBackward(dx, dw, dy, x, w, stats, h) }, part, part, part)
}

func (b *Backend) Rotate(x, table, counts tensor.Tensor, h backend.Heads, back bool) {
	part := heads(x, table.Cols(), h)
	b.measure("rotation", 0, func() { b.Backend.Rotate(x, table, counts, h, back) }, part, part)
}

func (b *Backend) GatedSiLU(y, x tensor.Tensor) {
	b.measure("gated silu", 0, func() { b.Backend.GatedSiLU(y, x) }, y, x)
}

func (b *Backend) GatedSiLUBackward(dx, dy, x tensor.Tensor) {
	b.measure("gated silu backward", 0, func() { b.Backend.GatedSiLUBackward(dx, dy, x) }, dx, dy, x)
}

func (b *Backend) GELU(y, x tensor.Tensor, form backend.GELUForm) {
	b.measure("gelu", 0, func() { b.Backend.GELU(y, x, form) }, y, x)
}

func (b *Backend) GELUBackward(dx, dy, x tensor.Tensor, form backend.GELUForm) {
	b.measure("gelu backward", 0, func() { b.Backend.GELUBackward(dx, dy, x, form) }, dx, dy, x)
}

func (b *Backend) Attention(out, lse, qkv tensor.Tensor, spec backend.AttentionSpec) {
	b.measure("attention", attention(out, out.Shape[1], spec, 2), func() { b.Backend.Attention(out, lse, qkv, spec) }, out, qkv)
}

func (b *Backend) AttentionBackward(dqkv, dout, out, lse, qkv tensor.Tensor, spec backend.AttentionSpec) {
	b.measure("attention backward", attention(out, out.Shape[1], spec, 5), func() { b.Backend.AttentionBackward(dqkv, dout, out, lse, qkv, spec) }, dqkv, dout, out, qkv)
}

func (b *Backend) CrossAttention(out, lse, q, kv tensor.Tensor, spec backend.AttentionSpec) {
	b.measure("cross-attention", attention(out, kv.Shape[1], spec, 2), func() { b.Backend.CrossAttention(out, lse, q, kv, spec) }, out, q, kv)
}

func (b *Backend) CrossAttentionBackward(dq, dkv, dout, out, lse, q, kv tensor.Tensor, spec backend.AttentionSpec) {
	b.measure("cross-attention backward", attention(out, kv.Shape[1], spec, 5), func() { b.Backend.CrossAttentionBackward(dq, dkv, dout, out, lse, q, kv, spec) },
		dq, dkv, dout, out, q, kv)
}

func (b *Backend) Dropout(y, x tensor.Tensor, p float32, draw backend.Draw) {
	b.measure("dropout", 0, func() { b.Backend.Dropout(y, x, p, draw) }, y, x)
}

func (b *Backend) DropSamples(y, x tensor.Tensor, p float32, draw backend.Draw) {
	b.measure("stochastic depth", 0, func() { b.Backend.DropSamples(y, x, p, draw) }, y, x)
}

func (b *Backend) PoolRows(y, x tensor.Tensor, rows int) {
	b.measure("pooling", 0, func() { b.Backend.PoolRows(y, x, rows) }, y)
}

func (b *Backend) PoolRowsBackward(dx, dy tensor.Tensor, rows int) {
	b.measure("pooling backward", 0, func() { b.Backend.PoolRowsBackward(dx, dy, rows) }, dx, dy)
}

func (b *Backend) CrossEntropy(losses, logits, targets tensor.Tensor, smoothing, scale float32) {
	b.measure("cross-entropy", 0, func() { b.Backend.CrossEntropy(losses, logits, targets, smoothing, scale) }, logits, logits)
}

func (b *Backend) Quantise(x, peak tensor.Tensor, bits int) {
	b.measure("quantise", 0, func() { b.Backend.Quantise(x, peak, bits) }, x, x)
}

func (b *Backend) AddQuantised(y, rest, x, h, peak tensor.Tensor, bits int) {
	b.measure("first step", 0, func() { b.Backend.AddQuantised(y, rest, x, h, peak, bits) }, y, rest, x, h)
}

func (b *Backend) QuantisedAdd(y, x, h, peak tensor.Tensor, bits int) {
	b.measure("inference step", 0, func() { b.Backend.QuantisedAdd(y, x, h, peak, bits) }, y, x, h)
}

func (b *Backend) Advance(xPrev, rest, x, h, side, gamma, peak tensor.Tensor, law backend.Law) {
	b.measure("advance", 0, func() { b.Backend.Advance(xPrev, rest, x, h, side, gamma, peak, law) }, xPrev, xPrev, rest, rest, x, h, side)
}

func (b *Backend) Retreat(xNext, rest, x, h, side, gamma, peak tensor.Tensor, law backend.Law) {
	b.measure("retreat", 0, func() { b.Backend.Retreat(xNext, rest, x, h, side, gamma, peak, law) }, xNext, xNext, rest, rest, x, h, side)
}

func (b *Backend) ScaleGrad(dh, g, gamma tensor.Tensor) {
	b.measure("scale gradient", 0, func() { b.Backend.ScaleGrad(dh, g, gamma) }, dh, g)
}

func (b *Backend) CompleteGrad(dx, pending, g, gamma tensor.Tensor) {
	b.measure("complete gradient", 0, func() { b.Backend.CompleteGrad(dx, pending, g, gamma) }, dx, dx, pending, pending, g)
}

func (b *Backend) AdamW(p, g, m, v tensor.Tensor, s backend.AdamScalars, r backend.Rounding) {
	b.measure("adamw", 0, func() { b.Backend.AdamW(p, g, m, v, s, r) }, p, p, g, m, m, v, v)
}

func (b *Backend) AdamW8(p, g, m, v, mMax, vMax tensor.Tensor, s backend.AdamScalars, r backend.Rounding) {
	b.measure("adamw 8-bit", 0, func() { b.Backend.AdamW8(p, g, m, v, mMax, vMax, s, r) }, p, p, g, m, m, v, v, mMax, mMax, vMax, vMax)
}

func (b *Backend) SETAdam(p, g, m, v tensor.Tensor, s backend.AdamScalars, tau float32, r backend.Rounding) {
	b.measure("set-adam", 0, func() { b.Backend.SETAdam(p, g, m, v, s, tau, r) }, p, p, g, m, m, m, v, v, v, v)
}

func (b *Backend) SGD(p, g, momentum tensor.Tensor, lr, beta, decay float32, r backend.Rounding) {
	b.measure("sgd", 0, func() { b.Backend.SGD(p, g, momentum, lr, beta, decay, r) }, p, p, g, momentum, momentum)
}
