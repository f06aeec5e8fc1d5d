package cpu

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/kernel"
	"github.com/bdia-go/bdia/tensor"
)

// heads is attention over all heads of all samples: forward, one task for each
// tile of queries; backward, see backward.
type heads struct {
	spec       backend.AttentionSpec
	T, S, C, D int
	ldq, ldk   int // row strides of q, and of k and v
	tiles      int // of queries; backward, of keys
	back       bool
	wave       int      // backward: of tasks that do not wait for each other; -1: there are no waves
	q, k, v    elements // BF16 if products are, as are out and dout
	out, dout  elements
	dq, dk, dv []float32
	lse        []float32
	lengths    []int32 // nil: all keys are seen
}

func (h *heads) run(b *Backend, task int, scratch []float32) {
	if !h.back {
		h.forward(b, task/h.tiles, task%h.tiles, scratch)
		return
	}
	group := h.group()
	head, i, end, tile, endTile := task, 0, group, 0, h.tiles
	if h.wave >= 0 {
		first, across := h.across()
		head, i = task/across, first+task%across
		end, tile, endTile = i+1, h.wave-i, h.wave-i+1
	}
	for ; i < end; i++ {
		a, q, k, out := h.at(head*group + i)
		a.More = i > 0
		for t := tile; t < endTile; t++ {
			if b.bfloat16() {
				a := h.halves(a, q, k, out)
				b.isa.AttentionBackward16(&a, t, h.dq[q:], h.dk[k:], h.dv[k:], h.dout.halves[out:], scratch)
			} else {
				a := h.floats(a, q, k, out)
				b.isa.AttentionBackward(&a, t, h.dq[q:], h.dk[k:], h.dv[k:], h.dout.floats[out:], scratch)
			}
		}
	}
}

// forward computes one tile of a head.
func (h *heads) forward(b *Backend, head, tile int, scratch []float32) {
	a, q, k, out := h.at(head)
	if b.bfloat16() {
		a := h.halves(a, q, k, out)
		b.isa.Attention16(&a, tile, scratch)
	} else {
		a := h.floats(a, q, k, out)
		b.isa.Attention(&a, tile, scratch)
	}
}

// floats and halves give a head its columns.

func (h *heads) floats(a kernel.AttentionHead, q, k, out int) kernel.AttentionHead {
	a.Q, a.K, a.V, a.Out = h.q.floats[q:], h.k.floats[k:], h.v.floats[k:], h.out.floats[out:]
	return a
}

func (h *heads) halves(a kernel.AttentionHead, q, k, out int) kernel.AttentionHead16 {
	return kernel.AttentionHead16{AttentionHead: a, Q16: h.q.halves[q:], K16: h.k.halves[k:], V16: h.v.halves[k:], Out16: h.out.halves[out:]}
}

// group is the number of heads of queries that share a head of keys and values.
func (h *heads) group() int { return h.spec.Heads / h.spec.KeyHeads() }

// across returns the first head of a group that the wave has a tile of, and how many there are.
func (h *heads) across() (first, n int) {
	first = max(0, h.wave-h.tiles+1)
	return first, min(h.group(), h.wave+1) - first
}

// backward runs the gradients of n samples. One task for each head of keys and values is enough if there are many. If
// there are few, a task is one tile of keys for one head of queries: it comes after the tile before for this head, as
// dQ is a sum over tiles, and after the same tile for the head before in its group, as dK and dV are sums over heads.
// So waves of tasks run one after the other, and wave w has tile w-i for head i of each group.
func (b *Backend) backward(n int) {
	h := &b.jobs.heads
	h.back, h.tiles, h.wave = true, kernel.Tiles(h.S), -1
	tasks, threads := n*h.spec.KeyHeads(), len(b.pool.scratch)
	if h.group() == 1 || threads == 1 || tasks >= 8*threads {
		b.pool.run(tasks, h)
		return
	}
	for h.wave = 0; h.wave < h.group()+h.tiles-1; h.wave++ {
		_, across := h.across()
		b.pool.run(tasks*across, h)
	}
}

// at returns a head of queries, counted over all samples, without its columns, and where these begin.
func (h *heads) at(head int) (a kernel.AttentionHead, q, k, out int) {
	sample, index := head/h.spec.Heads, head%h.spec.Heads
	col := index * h.D
	q, out = sample*h.T*h.ldq+col, sample*h.T*h.C+col
	k = sample*h.S*h.ldk + index*h.spec.KeyHeads()/h.spec.Heads*h.D
	a = kernel.AttentionHead{T: h.T, S: h.S, D: h.D, Seen: h.S, LDQ: h.ldq, LDK: h.ldk, LDOut: h.C,
		Scale: h.spec.ScaleOf(h.D), Causal: h.spec.Causal, Window: h.spec.Window,
		LSE: h.lse[head*h.T:][:h.T], Keep: 1 << 16, Index: index}
	if h.lengths != nil {
		a.Seen = int(h.lengths[sample])
	}
	if h.spec.Dropout > 0 {
		a.Keep, a.Key = keepOf(h.spec.Dropout), key(h.spec.Draw, sample)
	}
	return a, q, k, out
}

// setHeads sets the fields that forward and backward of both kinds of attention
// share, and returns the number of samples.
func (b *Backend) setHeads(h heads, out, lse tensor.Tensor, spec backend.AttentionSpec) int {
	B := out.Shape[0]
	h.spec, h.T, h.C = spec, out.Shape[1], out.Shape[2]
	h.D = h.C / spec.Heads
	must(h.C > 0 && h.C%spec.Heads == 0 && spec.Heads%spec.KeyHeads() == 0 && lse.Len() == B*spec.Heads*h.T, "attention", out, lse)
	must(!spec.Lengths.Valid() || spec.Lengths.Len() == B && !spec.Causal, "attention to keys of some lengths", out, spec.Lengths)
	h.out, h.lse, h.lengths = b.operands(out), b.f32(lse), b.i32(spec.Lengths)
	b.jobs.heads = h
	return B
}

// operands returns the elements of a tensor that has the type of the products' operands.
func (b *Backend) operands(t tensor.Tensor) elements {
	if b.bfloat16() {
		return elements{halves: b.bf16(t)}
	}
	return elements{floats: b.f32(t)}
}

// keyWidth is the width of the keys of a row beside queries of width C.
func keyWidth(C int, spec backend.AttentionSpec) int { return C * spec.KeyHeads() / spec.Heads }

// Attention computes every head of every sample.
func (b *Backend) Attention(out, lse, qkv tensor.Tensor, spec backend.AttentionSpec) {
	n := b.setSelf(out, lse, qkv, spec)
	b.jobs.heads.tiles = kernel.Tiles(b.jobs.heads.T)
	b.pool.run(n*spec.Heads*b.jobs.heads.tiles, &b.jobs.heads)
}

// AttentionBackward writes the gradient of qkv.
func (b *Backend) AttentionBackward(dqkv, dout, out, lse, qkv tensor.Tensor, spec backend.AttentionSpec) {
	must(dqkv.Len() == qkv.Len() && dout.Len() == out.Len(), "AttentionBackward", dqkv, dout, out)
	n := b.setSelf(out, lse, qkv, spec)
	h := &b.jobs.heads
	KV := keyWidth(h.C, spec)
	h.dq = b.f32(dqkv)
	h.dk, h.dv = h.dq[h.C:], h.dq[h.C+KV:]
	h.dout = b.operands(dout)
	b.backward(n)
}

func (b *Backend) setSelf(out, lse, qkv tensor.Tensor, spec backend.AttentionSpec) int {
	T, C := out.Shape[1], out.Shape[2]
	KV := keyWidth(C, spec)
	W := C + 2*KV
	must(qkv.Len() == out.Shape[0]*T*W, "Attention", out, qkv)
	h := heads{S: T, ldq: W, ldk: W, q: b.operands(qkv)}
	h.k, h.v = h.q.from(C), h.q.from(C+KV)
	return b.setHeads(h, out, lse, spec)
}

// CrossAttention computes every head of every sample.
func (b *Backend) CrossAttention(out, lse, q, kv tensor.Tensor, spec backend.AttentionSpec) {
	n := b.setCross(out, lse, q, kv, spec)
	b.jobs.heads.tiles = kernel.Tiles(b.jobs.heads.T)
	b.pool.run(n*spec.Heads*b.jobs.heads.tiles, &b.jobs.heads)
}

// CrossAttentionBackward writes the gradients of q and kv.
func (b *Backend) CrossAttentionBackward(dq, dkv, dout, out, lse, q, kv tensor.Tensor, spec backend.AttentionSpec) {
	must(dq.Len() == q.Len() && dkv.Len() == kv.Len() && dout.Len() == out.Len(), "CrossAttentionBackward", dq, dkv, dout, out)
	n := b.setCross(out, lse, q, kv, spec)
	h := &b.jobs.heads
	h.dq, h.dk = b.f32(dq), b.f32(dkv)
	h.dv = h.dk[keyWidth(h.C, spec):]
	h.dout = b.operands(dout)
	b.backward(n)
}

func (b *Backend) setCross(out, lse, q, kv tensor.Tensor, spec backend.AttentionSpec) int {
	S, C := kv.Shape[1], out.Shape[2]
	KV := keyWidth(C, spec)
	must(q.Len() == out.Len() && kv.Shape == tensor.Shape{out.Shape[0], S, 2 * KV}, "CrossAttention", out, q, kv)
	h := heads{S: S, ldq: C, ldk: 2 * KV, q: b.operands(q), k: b.operands(kv)}
	h.v = h.k.from(KV)
	return b.setHeads(h, out, lse, spec)
}
