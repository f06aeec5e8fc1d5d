package nn

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Next writes a(x) at the next position of N hypotheses. Their keys and values so far are
// in kv (N,M,KV), which gets the new ones: pairs (N,2) says to which of its N*M rows (see
// backend.CopyRows). x and h are (N,1,C); seen (N) is how many positions each has with
// the new one. Without pairs, x and h (N,T,C) are the last T of the M positions of texts: their
// keys and values go to the last rows of kv (N,M,KV), which has the others. For M = T these are
// whole texts; else N is 1, and seen (T) counts the positions up to each. A causal Forward over
// all positions gives the same bits: every sum runs over the same keys in the same order.
func (a *Attention) Next(h, x, kv, pairs, seen tensor.Tensor) {
	be, N, T, A := a.be, x.Shape[0], x.Shape[1], a.cfg.attWidth()
	toKV := a.qkv.part(A, a.cfg.qkvWidth())
	n, att := a.inAndOut(x.Shape)
	a.begin(N*T, backend.Pass{}) // nothing is dropped
	q, lse := operand(be, tensor.Shape{N, T, A}), activation(be, tensor.Shape{N, a.cfg.Heads, T})
	n = a.enter(n, x)
	a.qkv.part(0, A).Forward(q, n)
	a.turnNext(q, a.q, a.queries(), seen)
	spec := a.scores(!pairs.Valid())
	if spec.Causal {
		own := kv
		if M := kv.Shape[1]; M > T {
			own = kv.RowRange(M-T, M).Reshape(tensor.Shape{1, T, a.cfg.KVWidth()})
		}
		toKV.Forward(own, n)
		a.turnNext(own, a.k, a.keys(0), seen)
	} else {
		spec.Lengths = seen
		own := operand(be, tensor.Shape{N, 1, a.cfg.KVWidth()})
		toKV.Forward(own, n)
		a.turnNext(own, a.k, a.keys(0), seen)
		be.CopyRows(kv, own, pairs)
	}
	be.CrossAttention(att, lse, q, kv, spec)
	a.proj.Forward(a.output(h), att)
	a.leave(h)
}

// turnNext normalises heads of queries or keys by norm, unless it is nil, and turns them by their positions: the last
// ones seen, or without seen all from the beginning.
func (a *Attention) turnNext(x tensor.Tensor, norm *RMSNorm, heads backend.Heads, seen tensor.Tensor) {
	if norm != nil {
		norm.forward(x, norm.statsOf(a.normed(heads), x.Rows()), x, a.normed(heads))
	}
	a.cfg.Rotation.turn(x, seen, heads, false)
}

// Next writes h(x) at the next position of hypotheses, or at the last ones of texts; see
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
	p := Linear{be: l.be, Weight: &tensor.Param{Value: l.Weight.Value.RowRange(from, to)}}
	for _, a := range l.LoRA {
		if a = a.part(from, to); a != nil {
			p.LoRA = append(p.LoRA, a)
		}
	}
	if l.Bias != nil {
		p.Bias = &tensor.Param{Value: l.Bias.Value.Slice(from, to)}
	}
	return &p
}
