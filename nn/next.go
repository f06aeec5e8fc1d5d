package nn

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Next writes a(x) at position at of N hypotheses, whose keys and values up to
// there are in kv (N,M,2C), and puts its own beside them. x and h are (N,1,C);
// seen (N) holds at+1, the number of positions that there are. The bits are those
// of a causal Forward over all positions: every sum runs over the same keys in the
// same order.
func (a *Attention) Next(h, x, kv tensor.Tensor, at int, seen tensor.Tensor) {
	be, N, C := a.be, x.Shape[0], x.Shape[2]
	alloc := func(s ...int) tensor.Tensor {
		var shape tensor.Shape
		copy(shape[:], s)
		return be.Alloc(backend.Activation, tensor.F32, shape)
	}
	n, stats := alloc(N, 1, C), alloc(2, N)
	q, own, lse := alloc(N, 1, C), alloc(N, 2*C), alloc(N, a.cfg.Heads, 1)
	a.norm.Forward(n, stats, x)
	a.qkv.part(0, C).Forward(q, n)
	a.qkv.part(C, 3*C).Forward(own, n)
	for i := range N {
		be.Copy(kv.Index(i).RowRange(at, at+1), own.RowRange(i, i+1))
	}
	be.CrossAttention(n, lse, q, kv, backend.AttentionSpec{Heads: a.cfg.Heads, Lengths: seen})
	a.proj.Forward(h, n)
}

// part is the layer of l's outputs [from,to), for forward passes.
func (l *Linear) part(from, to int) *Linear {
	p := Linear{be: l.be, Weight: &tensor.Param{Value: l.Weight.Value.RowRange(from, to)}}
	if l.Bias != nil {
		p.Bias = &tensor.Param{Value: l.Bias.Value.Slice(from, to)}
	}
	return &p
}
