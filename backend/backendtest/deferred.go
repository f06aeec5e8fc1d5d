package backendtest

import (
	"slices"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Deferred returns a backend that runs the operations of be as late as the contract of
// package backend allows: it puts them in a queue, which runs when something is read or
// Sync is called. So it shows where a program reads results too early, changes what it has
// passed, or counts on memory that it has released. It is slow and allocates.
func Deferred(be backend.Backend) backend.Backend { return &deferred{Backend: be} }

// deferred passes Limits and the calls of the arena on at once.
type deferred struct {
	backend.Backend
	queue []func()
}

func (d *deferred) later(op func()) { d.queue = append(d.queue, op) }

// Sync runs the queue.
func (d *deferred) Sync() {
	queue := d.queue
	d.queue = nil // also when an operation panics
	for _, op := range queue {
		op()
	}
	d.Backend.Sync()
}

// Uploads take their source at once, and the calls that read run the queue first.

func (d *deferred) Upload(dst tensor.Tensor, src []float32) {
	src = slices.Clone(src)
	d.later(func() { d.Backend.Upload(dst, src) })
}

func (d *deferred) UploadInts(dst tensor.Tensor, src []int32) {
	src = slices.Clone(src)
	d.later(func() { d.Backend.UploadInts(dst, src) })
}

func (d *deferred) UploadBytes(dst tensor.Tensor, src []byte) {
	src = slices.Clone(src)
	d.later(func() { d.Backend.UploadBytes(dst, src) })
}

func (d *deferred) Download(dst []float32, src tensor.Tensor) {
	d.Sync()
	d.Backend.Download(dst, src)
}

func (d *deferred) DownloadInts(dst []int32, src tensor.Tensor) {
	d.Sync()
	d.Backend.DownloadInts(dst, src)
}

func (d *deferred) DownloadBytes(dst []byte, src tensor.Tensor) {
	d.Sync()
	d.Backend.DownloadBytes(dst, src)
}

func (d *deferred) DownloadScalar(src tensor.Tensor) float64 {
	d.Sync()
	return d.Backend.DownloadScalar(src)
}

// All other operations wait in the queue.

func (d *deferred) Zero(t tensor.Tensor) {
	d.later(func() { d.Backend.Zero(t) })
}

func (d *deferred) Copy(dst, src tensor.Tensor) {
	d.later(func() { d.Backend.Copy(dst, src) })
}

func (d *deferred) CopyRows(dst, src, pairs tensor.Tensor) {
	d.later(func() { d.Backend.CopyRows(dst, src, pairs) })
}

func (d *deferred) Add(y, a, b tensor.Tensor) {
	d.later(func() { d.Backend.Add(y, a, b) })
}

func (d *deferred) Scale(t tensor.Tensor, a float32) {
	d.later(func() { d.Backend.Scale(t, a) })
}

func (d *deferred) Lerp(y, x tensor.Tensor, a float32) {
	d.later(func() { d.Backend.Lerp(y, x, a) })
}

func (d *deferred) AddSquares(sum, t tensor.Tensor) {
	d.later(func() { d.Backend.AddSquares(sum, t) })
}

func (d *deferred) Digest(sums, x tensor.Tensor) {
	d.later(func() { d.Backend.Digest(sums, x) })
}

func (d *deferred) Embed(x, ids, wte, wpe tensor.Tensor) {
	d.later(func() { d.Backend.Embed(x, ids, wte, wpe) })
}

func (d *deferred) EmbedBackward(dwte, dwpe, dx, ids tensor.Tensor) {
	d.later(func() { d.Backend.EmbedBackward(dwte, dwpe, dx, ids) })
}

func (d *deferred) Linear(y, x, w, b tensor.Tensor) {
	d.later(func() { d.Backend.Linear(y, x, w, b) })
}

func (d *deferred) LinearAdd(y, x, w tensor.Tensor) {
	d.later(func() { d.Backend.LinearAdd(y, x, w) })
}

func (d *deferred) LinearBackwardInput(dx, dy, w tensor.Tensor) {
	d.later(func() { d.Backend.LinearBackwardInput(dx, dy, w) })
}

func (d *deferred) LinearBackwardWeight(dw, db, dy, x tensor.Tensor) {
	d.later(func() { d.Backend.LinearBackwardWeight(dw, db, dy, x) })
}

func (d *deferred) LayerNorm(y, stats, x, w, b tensor.Tensor, eps float32) {
	d.later(func() { d.Backend.LayerNorm(y, stats, x, w, b, eps) })
}

func (d *deferred) LayerNormBackward(dx, dw, db, dy, x, w, stats tensor.Tensor) {
	d.later(func() { d.Backend.LayerNormBackward(dx, dw, db, dy, x, w, stats) })
}

func (d *deferred) TakeColumns(y, x tensor.Tensor, at int) {
	d.later(func() { d.Backend.TakeColumns(y, x, at) })
}

func (d *deferred) AddColumns(y, x tensor.Tensor, at int) {
	d.later(func() { d.Backend.AddColumns(y, x, at) })
}

func (d *deferred) RMSNorm(y, stats, x, w tensor.Tensor, h backend.Heads, eps float32) {
	d.later(func() { d.Backend.RMSNorm(y, stats, x, w, h, eps) })
}

func (d *deferred) RMSNormBackward(dx, dw, dy, x, w, stats tensor.Tensor, h backend.Heads) {
	d.later(func() { d.Backend.RMSNormBackward(dx, dw, dy, x, w, stats, h) })
}

func (d *deferred) Rotate(x, table, counts tensor.Tensor, h backend.Heads, back bool) {
	d.later(func() { d.Backend.Rotate(x, table, counts, h, back) })
}

func (d *deferred) GatedSiLU(y, x tensor.Tensor) {
	d.later(func() { d.Backend.GatedSiLU(y, x) })
}

func (d *deferred) GatedSiLUBackward(dx, dy, x tensor.Tensor) {
	d.later(func() { d.Backend.GatedSiLUBackward(dx, dy, x) })
}

func (d *deferred) GELU(y, x tensor.Tensor, form backend.GELUForm) {
	d.later(func() { d.Backend.GELU(y, x, form) })
}

func (d *deferred) GELUBackward(dx, dy, x tensor.Tensor, form backend.GELUForm) {
	d.later(func() { d.Backend.GELUBackward(dx, dy, x, form) })
}

func (d *deferred) Attention(out, lse, qkv tensor.Tensor, spec backend.AttentionSpec) {
	d.later(func() { d.Backend.Attention(out, lse, qkv, spec) })
}

func (d *deferred) AttentionBackward(dqkv, dout, out, lse, qkv tensor.Tensor, spec backend.AttentionSpec) {
	d.later(func() { d.Backend.AttentionBackward(dqkv, dout, out, lse, qkv, spec) })
}

func (d *deferred) CrossAttention(out, lse, q, kv tensor.Tensor, spec backend.AttentionSpec) {
	d.later(func() { d.Backend.CrossAttention(out, lse, q, kv, spec) })
}

func (d *deferred) CrossAttentionBackward(dq, dkv, dout, out, lse, q, kv tensor.Tensor, spec backend.AttentionSpec) {
	d.later(func() { d.Backend.CrossAttentionBackward(dq, dkv, dout, out, lse, q, kv, spec) })
}

func (d *deferred) Dropout(y, x tensor.Tensor, p float32, draw backend.Draw) {
	d.later(func() { d.Backend.Dropout(y, x, p, draw) })
}

func (d *deferred) DropSamples(y, x tensor.Tensor, p float32, draw backend.Draw) {
	d.later(func() { d.Backend.DropSamples(y, x, p, draw) })
}

func (d *deferred) PoolRows(y, x tensor.Tensor, rows int) {
	d.later(func() { d.Backend.PoolRows(y, x, rows) })
}

func (d *deferred) PoolRowsBackward(dx, dy tensor.Tensor, rows int) {
	d.later(func() { d.Backend.PoolRowsBackward(dx, dy, rows) })
}

func (d *deferred) CrossEntropy(losses, logits, targets tensor.Tensor, smoothing, scale float32) {
	d.later(func() { d.Backend.CrossEntropy(losses, logits, targets, smoothing, scale) })
}

func (d *deferred) Quantise(x, peak tensor.Tensor, bits int) {
	d.later(func() { d.Backend.Quantise(x, peak, bits) })
}

func (d *deferred) AddQuantised(y, rest, x, h, peak tensor.Tensor, bits int) {
	d.later(func() { d.Backend.AddQuantised(y, rest, x, h, peak, bits) })
}

func (d *deferred) QuantisedAdd(y, x, h, peak tensor.Tensor, bits int) {
	d.later(func() { d.Backend.QuantisedAdd(y, x, h, peak, bits) })
}

func (d *deferred) Advance(xPrev, rest, x, h, side, gamma, peak tensor.Tensor, law backend.Law) {
	d.later(func() { d.Backend.Advance(xPrev, rest, x, h, side, gamma, peak, law) })
}

func (d *deferred) Retreat(xNext, rest, x, h, side, gamma, peak tensor.Tensor, law backend.Law) {
	d.later(func() { d.Backend.Retreat(xNext, rest, x, h, side, gamma, peak, law) })
}

func (d *deferred) ScaleGrad(dh, g, gamma tensor.Tensor) {
	d.later(func() { d.Backend.ScaleGrad(dh, g, gamma) })
}

func (d *deferred) CompleteGrad(dx, pending, g, gamma tensor.Tensor) {
	d.later(func() { d.Backend.CompleteGrad(dx, pending, g, gamma) })
}

func (d *deferred) AdamW(p, g, m, v tensor.Tensor, s backend.AdamScalars, r backend.Rounding) {
	d.later(func() { d.Backend.AdamW(p, g, m, v, s, r) })
}

func (d *deferred) AdamW8(p, g, m, v, mMax, vMax tensor.Tensor, s backend.AdamScalars, r backend.Rounding) {
	d.later(func() { d.Backend.AdamW8(p, g, m, v, mMax, vMax, s, r) })
}

func (d *deferred) SETAdam(p, g, m, v tensor.Tensor, s backend.AdamScalars, tau float32, r backend.Rounding) {
	d.later(func() { d.Backend.SETAdam(p, g, m, v, s, tau, r) })
}

func (d *deferred) SGD(p, g, momentum tensor.Tensor, lr, beta, decay float32, r backend.Rounding) {
	d.later(func() { d.Backend.SGD(p, g, momentum, lr, beta, decay, r) })
}
