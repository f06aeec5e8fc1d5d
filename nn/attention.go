package nn

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Attention is the attention branch of a pre-norm block:
//
//	a(x) = drop(proj(attention(qkv(norm(x)))))
//
// The caller adds a to x. It implements bdia.Block.
type Attention struct {
	be        backend.Backend
	cfg       BlockConfig
	index     int
	norm      Norm
	qkv, proj *Linear // (C+KV,C): rows q, k, v; (C,C)
	drop      branchDropout
	params    []*tensor.Param

	tape struct {
		pass     backend.Pass
		stats    tensor.Tensor // (2,B*T)
		qkv      tensor.Tensor // (B,T,C+KV)
		att, lse tensor.Tensor // (B,T,C), (B,H,T)
	}
}

// NewAttention allocates the attention branch of block number index, its
// parameters named prefix+"ln1.weight", prefix+"attn.qkv.weight" and so on.
func NewAttention(be backend.Backend, prefix string, index int, cfg BlockConfig) *Attention {
	C := cfg.Width
	a := &Attention{be: be, cfg: cfg, index: index,
		norm: NewNorm(be, prefix+"ln1", cfg),
		qkv:  NewLinear(be, prefix+"attn.qkv", C, cfg.qkvWidth(), cfg.Bias),
		proj: NewLinear(be, prefix+"attn.proj", C, C, cfg.Bias),
		drop: newBranchDropout(be, cfg, index, backend.SiteAttentionProj, backend.SiteAttentionPath),
	}
	a.params = paramsOf(a.norm, a.qkv, a.proj)
	return a
}

// Params lists the parameters in the order of the forward pass.
func (a *Attention) Params() []*tensor.Param { return a.params }

// linears lists the layers that take adapters.
func (a *Attention) linears() []named {
	return []named{
		{"qkv", a.qkv, backend.SiteAdapterQKV, 8, &a.tape.pass},
		{"proj", a.proj, backend.SiteAdapterProj, 9, &a.tape.pass},
	}
}

// Init draws GPT-2's initial weights: standard deviation 0.02, times residual for the projection into the residual
// stream (1/sqrt(2K) in a model of K blocks); norms 1, biases 0.
func (a *Attention) Init(seed uint64, residual float64) {
	initBranch(a.be, a.norm, a.qkv, a.proj, residual, seed, 16*(a.index+1))
}

// Forward writes a(x) to h. x and h are (B,T,C).
func (a *Attention) Forward(h, x tensor.Tensor, pass backend.Pass) {
	be, t, s := a.be, &a.tape, x.Shape
	B, T := s[0], s[1]
	t.pass = pass
	t.stats = a.norm.Stats(B * T)
	t.qkv = activation(be, tensor.Shape{B, T, a.cfg.qkvWidth()})
	t.att, t.lse = activation(be, s), activation(be, tensor.Shape{B, a.cfg.Heads, T})

	n := t.att
	a.norm.Forward(n, t.stats, x)
	a.qkv.Forward(t.qkv, n)
	be.Attention(t.att, t.lse, t.qkv, a.spec())
	a.proj.Forward(h, t.att)
	a.drop.apply(h, h, pass)
}

// Backward turns g, holding da, into dx = Jᵀ da in place. It takes buffers for the
// gradients of att and qkv from the arena for as long as it runs.
func (a *Attention) Backward(g, x tensor.Tensor) {
	m := a.be.Mark()
	datt := activation(a.be, a.tape.att.Shape)
	dqkv := activation(a.be, a.tape.qkv.Shape)
	a.backward(g, g, x, datt, dqkv)
	a.be.Release(m)
}

// backward writes dx, which may be da, with buffers datt (B,T,C) and dqkv
// (B,T,C+KV). The normalised input is made again where att was: it costs less than
// it would to keep.
func (a *Attention) backward(dx, da, x, datt, dqkv tensor.Tensor) {
	t := &a.tape
	da = a.drop.apply(dx, da, t.pass)
	a.proj.Backward(datt, da, t.att)
	a.be.AttentionBackward(dqkv, datt, t.att, t.lse, t.qkv, a.spec())
	n := t.att
	a.norm.Forward(n, t.stats, x)
	a.qkv.Backward(n, dqkv, n)
	a.norm.Backward(dx, n, x, t.stats)
}

func (a *Attention) spec() backend.AttentionSpec {
	spec := backend.AttentionSpec{Heads: a.cfg.Heads, Causal: a.cfg.Causal}
	if a.cfg.Lengths != nil {
		spec.Lengths = *a.cfg.Lengths
	}
	if a.tape.pass.Train {
		spec.Dropout = a.cfg.AttentionDropout
		spec.Draw = backend.Draw{Pass: a.tape.pass, Block: a.index, Site: backend.SiteAttention}
	}
	return spec
}
