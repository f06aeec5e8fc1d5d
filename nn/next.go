package nn

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Next writes a(x) at the next position of N hypotheses. Their keys and values so far are
// in kv (N,M,KV), which gets the new ones: pairs (N,2) says to which of its N*M rows (see
// backend.CopyRows). x and h are (N,1,C); seen (N) is how many positions each has with
// the new one. Without seen, x and h (N,T,C) are texts from their beginning, and all their
// keys and values go to kv (N,T,KV). A causal Forward over all positions gives the same
// bits: every sum runs over the same keys in the same order.
func (a *Attention) Next(h, x, kv, pairs, seen tensor.Tensor) {
	be, N, T, C := a.be, x.Shape[0], x.Shape[1], x.Shape[2]
	toKV := a.qkv.part(C, a.cfg.qkvWidth())
	a.tape.pass = backend.Pass{} // for adapters: nothing is dropped
	n, stats := activation(be, x.Shape), a.norm.Stats(N*T)
	q, lse := activation(be, x.Shape), activation(be, tensor.Shape{N, a.cfg.Heads, T})
	a.norm.Forward(n, stats, x)
	a.qkv.part(0, C).Forward(q, n)
	spec := backend.AttentionSpec{Heads: a.cfg.Heads, Causal: !seen.Valid(), Lengths: seen}
	if spec.Causal {
		toKV.Forward(kv, n)
	} else {
		own := activation(be, tensor.Shape{N, a.cfg.KVWidth()})
		toKV.Forward(own, n)
		be.CopyRows(kv, own, pairs)
	}
	be.CrossAttention(n, lse, q, kv, spec)
	a.proj.Forward(h, n)
}

// Next writes h(x) at the next position of hypotheses, or of whole texts; see
// Attention.Next. kv has no Cross. Forward over all positions gives the same bits.
func (b *Block) Next(h, x tensor.Tensor, kv KV, pairs, seen tensor.Tensor) {
	a := activation(b.be, x.Shape)
	u := activation(b.be, x.Shape)
	b.attention.Next(a, x, kv.Self, pairs, seen)
	b.be.Add(u, x, a)
	b.mlp.Forward(h, u, backend.Pass{})
	b.be.Add(h, h, a)
}

// part is the layer of l's outputs [from,to), for forward passes.
func (l *Linear) part(from, to int) *Linear {
	p := Linear{be: l.be, LoRA: l.LoRA.part(from, to), Weight: &tensor.Param{Value: l.Weight.Value.RowRange(from, to)}}
	if l.Bias != nil {
		p.Bias = &tensor.Param{Value: l.Bias.Value.Slice(from, to)}
	}
	return &p
}
