package cpu

import (
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/kernel"
	"github.com/bdia-go/bdia/tensor"
)

// heads is attention over all heads of all samples: forward, one task for each
// tile of queries; backward, one for each head.
type heads struct {
	spec           backend.AttentionSpec
	T, S, C, D     int
	ldq, ldk       int // row strides of q, and of k and v
	tiles          int // 0 in the backward pass
	q, k, v        []float32
	dq, dk, dv     []float32
	out, lse, dout []float32
	lengths        []int32 // nil: all keys are seen
}

func (h *heads) run(b *Backend, task int, scratch []float32) {
	head, tile := task, 0
	if h.tiles > 0 {
		head, tile = task/h.tiles, task%h.tiles
	}
	sample, index := head/h.spec.Heads, head%h.spec.Heads
	col := index * h.D
	q, k, out := sample*h.T*h.ldq+col, sample*h.S*h.ldk+col, sample*h.T*h.C+col
	a := kernel.AttentionHead{T: h.T, S: h.S, D: h.D, Seen: h.S, LDQ: h.ldq, LDK: h.ldk, LDOut: h.C,
		Scale: float32(1 / math.Sqrt(float64(h.D))), Causal: h.spec.Causal,
		Q: h.q[q:], K: h.k[k:], V: h.v[k:], Out: h.out[out:], LSE: h.lse[head*h.T:][:h.T],
		Keep: 1 << 16, Index: index}
	if h.lengths != nil {
		a.Seen = int(h.lengths[sample])
	}
	if h.spec.Dropout > 0 {
		a.Keep, a.Key = keepOf(h.spec.Dropout), key(h.spec.Draw, sample)
	}
	if h.tiles > 0 {
		b.isa.Attention(&a, tile, scratch)
		return
	}
	b.isa.AttentionBackward(&a, h.dq[q:], h.dk[k:], h.dv[k:], h.dout[out:], scratch)
}

// setHeads sets the fields that forward and backward of both kinds of attention
// share, and returns the number of heads over all samples.
func (b *Backend) setHeads(h heads, out, lse tensor.Tensor, spec backend.AttentionSpec) int {
	B := out.Shape[0]
	h.spec, h.T, h.C = spec, out.Shape[1], out.Shape[2]
	h.D = h.C / spec.Heads
	must(h.C > 0 && h.C%spec.Heads == 0 && lse.Len() == B*spec.Heads*h.T, "attention", out, lse)
	must(!spec.Lengths.Valid() || spec.Lengths.Len() == B && !spec.Causal, "attention to keys of some lengths", out, spec.Lengths)
	h.out, h.lse, h.lengths = b.f32(out), b.f32(lse), b.i32(spec.Lengths)
	b.jobs.heads = h
	return B * spec.Heads
}

// thirds returns the columns q, k and v of (B,T,3C).
func (b *Backend) thirds(qkv tensor.Tensor, C int) (q, k, v []float32) {
	q = b.f32(qkv)
	return q, q[C:], q[2*C:]
}

// Attention computes every head of every sample.
func (b *Backend) Attention(out, lse, qkv tensor.Tensor, spec backend.AttentionSpec) {
	n := b.setSelf(out, lse, qkv, spec)
	b.jobs.heads.tiles = kernel.QueryTiles(b.jobs.heads.T)
	b.pool.run(n*b.jobs.heads.tiles, &b.jobs.heads)
}

// AttentionBackward writes the gradient of qkv.
func (b *Backend) AttentionBackward(dqkv, dout, out, lse, qkv tensor.Tensor, spec backend.AttentionSpec) {
	must(dqkv.Len() == qkv.Len() && dout.Len() == out.Len(), "AttentionBackward", dqkv, dout, out)
	n := b.setSelf(out, lse, qkv, spec)
	h := &b.jobs.heads
	h.dq, h.dk, h.dv = b.thirds(dqkv, h.C)
	h.dout = b.f32(dout)
	b.pool.run(n, h)
}

func (b *Backend) setSelf(out, lse, qkv tensor.Tensor, spec backend.AttentionSpec) int {
	T, C := out.Shape[1], out.Shape[2]
	must(qkv.Len() == 3*out.Len(), "Attention", out, qkv)
	h := heads{S: T, ldq: 3 * C, ldk: 3 * C}
	h.q, h.k, h.v = b.thirds(qkv, C)
	return b.setHeads(h, out, lse, spec)
}

// CrossAttention computes every head of every sample.
func (b *Backend) CrossAttention(out, lse, q, kv tensor.Tensor, spec backend.AttentionSpec) {
	n := b.setCross(out, lse, q, kv, spec)
	b.jobs.heads.tiles = kernel.QueryTiles(b.jobs.heads.T)
	b.pool.run(n*b.jobs.heads.tiles, &b.jobs.heads)
}

// CrossAttentionBackward writes the gradients of q and kv.
func (b *Backend) CrossAttentionBackward(dq, dkv, dout, out, lse, q, kv tensor.Tensor, spec backend.AttentionSpec) {
	must(dq.Len() == q.Len() && dkv.Len() == kv.Len() && dout.Len() == out.Len(), "CrossAttentionBackward", dq, dkv, dout, out)
	n := b.setCross(out, lse, q, kv, spec)
	h := &b.jobs.heads
	h.dq, h.dk, h.dout = b.f32(dq), b.f32(dkv), b.f32(dout)
	h.dv = h.dk[h.C:]
	b.pool.run(n, h)
}

func (b *Backend) setCross(out, lse, q, kv tensor.Tensor, spec backend.AttentionSpec) int {
	S, C := kv.Shape[1], out.Shape[2]
	must(q.Len() == out.Len() && kv.Shape == tensor.Shape{out.Shape[0], S, 2 * C}, "CrossAttention", out, q, kv)
	h := heads{S: S, ldq: C, ldk: 2 * C, q: b.f32(q), k: b.f32(kv)}
	h.v = h.k[C:]
	return b.setHeads(h, out, lse, spec)
}
