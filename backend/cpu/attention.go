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
	spec                      backend.AttentionSpec
	T, C, D                   int
	tiles                     int // 0 in the backward pass
	qkv, dqkv, out, dout, lse []float32
}

func (h *heads) run(b *Backend, task int, scratch []float32) {
	head, tile := task, 0
	if h.tiles > 0 {
		head, tile = task/h.tiles, task%h.tiles
	}
	sample, index := head/h.spec.Heads, head%h.spec.Heads
	col := index * h.D
	qkv := h.qkv[sample*h.T*3*h.C+col:]
	out := sample*h.T*h.C + col
	a := kernel.AttentionHead{T: h.T, D: h.D, LD: 3 * h.C, LDOut: h.C,
		Scale: float32(1 / math.Sqrt(float64(h.D))), Causal: h.spec.Causal,
		Q: qkv, K: qkv[h.C:], V: qkv[2*h.C:], Out: h.out[out:], LSE: h.lse[head*h.T:][:h.T],
		Keep: 1 << 16, Index: index}
	if h.spec.Dropout > 0 {
		a.Keep, a.Key = keepOf(h.spec.Dropout), key(h.spec.Draw, sample)
	}
	if h.tiles > 0 {
		b.isa.Attention(&a, tile, scratch)
		return
	}
	d := h.dqkv[sample*h.T*3*h.C+col:]
	b.isa.AttentionBackward(&a, d, d[h.C:], d[2*h.C:], h.dout[out:], scratch)
}

// setHeads checks shapes and fills what both directions share.
func (b *Backend) setHeads(out, lse, qkv tensor.Tensor, spec backend.AttentionSpec) (count int) {
	B, T, C := out.Shape[0], out.Shape[1], out.Shape[2]
	must(C > 0 && C%spec.Heads == 0 && qkv.Len() == 3*out.Len() && lse.Len() == B*spec.Heads*T, "Attention", out, lse, qkv)
	b.heads = heads{spec: spec, T: T, C: C, D: C / spec.Heads, qkv: b.f32(qkv), out: b.f32(out), lse: b.f32(lse)}
	return B * spec.Heads
}

// Attention computes every head of every sample.
func (b *Backend) Attention(out, lse, qkv tensor.Tensor, spec backend.AttentionSpec) {
	n := b.setHeads(out, lse, qkv, spec)
	b.heads.tiles = kernel.QueryTiles(b.heads.T)
	b.pool.run(n*b.heads.tiles, &b.heads)
}

// AttentionBackward writes the gradient of qkv.
func (b *Backend) AttentionBackward(dqkv, dout, out, lse, qkv tensor.Tensor, spec backend.AttentionSpec) {
	must(dqkv.Len() == qkv.Len() && dout.Len() == out.Len(), "AttentionBackward", dqkv, dout, out)
	n := b.setHeads(out, lse, qkv, spec)
	b.heads.dqkv, b.heads.dout = b.f32(dqkv), b.f32(dout)
	b.pool.run(n, &b.heads)
}
