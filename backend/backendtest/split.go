package backendtest

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tensor"
)

// sampleSplitTest runs a chain of all operations that see samples on three
// samples at once and one by one. Results, and gradients of weights after the
// last, must have the same bits.
func sampleSplitTest(e *env) {
	whole, parts := newSplit(e), newSplit(e.another())
	whole.run(0, 3)
	for b := range 3 {
		parts.run(b, 1)
	}
	for name, x := range whole.results() {
		e.keep(name, x)
		testkit.EqualBits(e.t, name, parts.e.host(parts.results()[name]), whole.e.host(x))
	}
}

// split holds the tensors of three samples of odd sizes.
type split struct {
	e                                  *env
	ids, targets                       tensor.Tensor // (B,T)
	wte, wpe, w, b, qkvW               tensor.Tensor
	dwte, dwpe, dw, db, dqkvW, dnw, dn tensor.Tensor
	x, n, h, dx, g, pending            tensor.Tensor // (B,T,C)
	qkv, dqkv                          tensor.Tensor // (B,T,3C)
	lse, stats, losses, gamma          tensor.Tensor
	headW, dheadW, table               tensor.Tensor // (D), (D), (T,D)
	gate, dgate                        tensor.Tensor // (B,T,3C/2), (B,T,3C)
}

const (
	splitT, splitC, splitH, splitV = 7, 36, 3, 65
)

func newSplit(e *env) *split {
	const B, T, C, V = 3, splitT, splitC, splitV
	return &split{e: e, ids: e.below(V, B, T), targets: e.below(C, B, T),
		wte: e.normal(1, V, C), wpe: e.normal(1, T, C), w: e.normal(1, C), b: e.normal(1, C), qkvW: e.normal(0.2, 3*C, C),
		dwte: e.zero(V, C), dwpe: e.zero(T, C), dw: e.zero(C), db: e.zero(C), dqkvW: e.zero(3*C, C), dnw: e.zero(3 * C), dn: e.zero(C),
		x: e.empty(B, T, C), n: e.empty(B, T, C), h: e.empty(B, T, C), dx: e.empty(B, T, C), g: e.empty(B, T, C), pending: e.normal(1, B, T, C),
		qkv: e.empty(B, T, 3*C), dqkv: e.empty(B, T, 3*C), lse: e.empty(B, splitH, T), stats: e.empty(B, 2, T),
		losses: e.empty(B, T), gamma: e.of(0.5, -0.5, 0.5),
		headW: e.normal(1, C/splitH), dheadW: e.zero(C / splitH), table: e.normal(1, T, C/splitH), gate: e.empty(B, T, 3*C/2), dgate: e.empty(B, T, 3*C)}
}

func (s *split) results() map[string]tensor.Tensor {
	return map[string]tensor.Tensor{"dwte": s.dwte, "dwpe": s.dwpe, "norm dw": s.dw, "norm db": s.db, "dqkv.weight": s.dqkvW,
		"dqkv.bias": s.dnw, "x": s.x, "attention": s.h, "lse": s.lse, "dqkv": s.dqkv, "dx": s.dx, "losses": s.losses, "pending": s.pending,
		"norm of heads dw": s.dheadW, "gate": s.gate, "dgate": s.dgate}
}

// run processes n samples from number b on.
func (s *split) run(b, n int) {
	e := s.e
	part := func(x tensor.Tensor) tensor.Tensor {
		shape := x.Shape
		shape[0] = n
		per := x.Len() / 3
		return x.Slice(b*per, (b+n)*per).Reshape(shape)
	}
	pass := backend.Pass{Train: true, Seed: 3, Step: 8, Sample: b}
	x, nx, h, dx, g, ids := part(s.x), part(s.n), part(s.h), part(s.dx), part(s.g), part(s.ids)
	stats := e.empty(2, n*splitT)
	e.Embed(x, ids, s.wte, s.wpe)
	e.Dropout(x, x, 0.3, backend.Draw{Pass: pass, Site: backend.SiteEmbedding})
	e.Quantise(x, e.peak(n), 9)
	e.LayerNorm(nx, stats, x, s.w, s.b, 1e-5)
	e.Linear(part(s.qkv), nx, s.qkvW, tensor.Tensor{})
	spec := backend.AttentionSpec{Heads: splitH, Causal: true, Dropout: 0.2, Draw: backend.Draw{Pass: pass, Block: 1, Site: backend.SiteAttention}}
	e.Attention(h, part(s.lse), part(s.qkv), spec)
	e.Copy(g, h)
	e.CrossEntropy(part(s.losses).Reshape(tensor.Shape{n * splitT}), g, part(s.targets), 0, 0.01)
	e.AttentionBackward(part(s.dqkv), g, h, part(s.lse), part(s.qkv), spec)
	e.LinearBackwardWeight(s.dqkvW, s.dnw, part(s.dqkv), nx)
	e.LinearBackwardInput(nx, part(s.dqkv), s.qkvW)
	e.LayerNormBackward(dx, s.dw, s.db, nx, x, s.w, stats)
	e.CompleteGrad(dx, part(s.pending), g, part(s.gamma))
	e.EmbedBackward(s.dwte, s.dwpe, dx, ids)

	heads := backend.Heads{At: splitC, Count: splitH}
	turned, roots := e.clone(part(s.qkv)), e.empty(n*splitT, splitH)
	e.RMSNorm(turned, roots, part(s.qkv), s.headW, heads, 1e-5)
	e.Rotate(turned, s.table, tensor.Tensor{}, heads, false)
	e.GatedSiLU(part(s.gate), turned)
	e.GatedSiLUBackward(part(s.dgate), part(s.gate), turned)
	e.Rotate(part(s.dgate), s.table, tensor.Tensor{}, heads, true)
	e.RMSNormBackward(part(s.dgate), s.dheadW, part(s.dgate), part(s.qkv), s.headW, roots, heads)
}
