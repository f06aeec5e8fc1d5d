package nn

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Attention is the attention branch of a block, with a norm at one of its ends (see BlockConfig.NormAfter):
//
//	a(x) = drop(proj(attention(turn(qkv(norm(x))))))
//
// turn normalises the heads of queries and keys and turns them by their positions, as far as the configuration asks.
// The caller adds a to x. It implements bdia.Block.
type Attention struct {
	ends
	cfg       BlockConfig
	index     int
	qkv, proj *Linear  // (A+KV,C): rows q, k, v; (C,A)
	q, k      *RMSNorm // of their heads; nil: they are not normalised
	params    []*tensor.Param

	tape struct {
		qkv      tensor.Tensor // (B,T,A+KV)
		raw      tensor.Tensor // the same before q and k were normalised, if they are
		qs, ks   tensor.Tensor // (B*T,H), (B*T,G), or (B*T,1): what their norms keep
		n        tensor.Tensor // (B,T,C): where att is, which is done with when n is used
		att, lse tensor.Tensor // (B,T,A), (B,H,T)
	}
}

// NewAttention allocates the attention branch of block number index, its
// parameters named prefix+"ln1.weight", prefix+"attn.qkv.weight" and so on.
func NewAttention(be backend.Backend, prefix string, index int, cfg BlockConfig) *Attention {
	C := cfg.Width
	a := &Attention{cfg: cfg, index: index,
		ends: newEnds(be, prefix+"ln1", index, cfg, backend.SiteAttentionProj, backend.SiteAttentionPath),
		qkv:  newLinear(be, cfg.Weights, prefix+"attn.qkv", C, cfg.qkvWidth(), cfg.Bias || cfg.QKVBias),
		proj: newLinear(be, cfg.Weights, prefix+"attn.proj", cfg.attWidth(), C, cfg.Bias || cfg.ProjBias),
	}
	params := a.qkv.Params()
	if cfg.HeadNorm {
		a.q = NewRMSNorm(be, prefix+"attn.qnorm", cfg.attWidth()/a.normed(a.queries()).Count, cfg.Eps)
		a.k = NewRMSNorm(be, prefix+"attn.knorm", cfg.KVWidth()/2/a.normed(a.keys(0)).Count, cfg.Eps)
		params = append(params, a.q.Weight, a.k.Weight)
	}
	a.params = a.around(append(params, a.proj.Params()...))
	return a
}

// Params lists the parameters in the order of the forward pass.
func (a *Attention) Params() []*tensor.Param { return a.params }

// linears lists the layers that take adapters.
func (a *Attention) linears() []named {
	if !a.cfg.Separate {
		return []named{
			{name: "qkv", Linear: a.qkv, site: backend.SiteAdapterQKV, init: 8, pass: &a.pass},
			{name: "proj", Linear: a.proj, site: backend.SiteAdapterProj, init: 9, pass: &a.pass},
		}
	}
	A, KV := a.cfg.attWidth(), a.cfg.KVWidth()
	return []named{
		{"q_proj", a.qkv, backend.SiteAdapterQKV, 8, &a.pass, 0, A},
		{"k_proj", a.qkv, backend.SiteAdapterKeys, 12, &a.pass, A, A + KV/2},
		{"v_proj", a.qkv, backend.SiteAdapterValues, 13, &a.pass, A + KV/2, A + KV},
		{name: "o_proj", Linear: a.proj, site: backend.SiteAdapterProj, init: 9, pass: &a.pass},
	}
}

// Init draws GPT-2's initial weights: standard deviation 0.02, times residual for the projection into the residual
// stream (1/sqrt(2K) in a model of K blocks); norms 1, biases 0.
func (a *Attention) Init(seed uint64, residual float64) {
	initBranch(a.be, a.norm, a.qkv, a.proj, residual, seed, 16*(a.index+1))
	if a.q != nil {
		a.q.Init()
		a.k.Init()
	}
}

// Forward writes a(x) to h. x and h are (B,T,C).
func (a *Attention) Forward(h, x tensor.Tensor, pass backend.Pass) {
	be, t, s := a.be, &a.tape, x.Shape
	B, T := s[0], s[1]
	a.begin(B*T, pass)
	t.qkv = operand(be, tensor.Shape{B, T, a.cfg.qkvWidth()})
	t.n, t.att = a.inAndOut(s)
	t.lse = activation(be, tensor.Shape{B, a.cfg.Heads, T})

	a.qkv.Forward(t.qkv, a.enter(t.n, x))
	a.turn()
	be.Attention(t.att, t.lse, t.qkv, a.spec())
	a.proj.Forward(a.output(h), t.att)
	a.leave(h)
}

// Backward turns g, holding da, into dx = Jᵀ da in place. It takes buffers for the
// gradients of att and qkv from the arena for as long as it runs.
func (a *Attention) Backward(g, x tensor.Tensor) {
	m := a.be.Mark()
	datt := operand(a.be, a.tape.att.Shape)
	dqkv := activation(a.be, a.tape.qkv.Shape)
	a.backward(g, g, x, datt, dqkv)
	a.be.Release(m)
}

// inAndOut allocates memory that is both the input n (B,T,C) of the branch's products and the output att (B,T,A) of
// attention, one after the other.
func (a *Attention) inAndOut(s tensor.Shape) (n, att tensor.Tensor) {
	rows, C, A := s[0]*s[1], s[2], a.cfg.attWidth()
	both := operand(a.be, tensor.Shape{s[0], s[1], max(C, A)})
	return both.Slice(0, rows*C).Reshape(s), both.Slice(0, rows*A).Reshape(tensor.Shape{s[0], s[1], A})
}

// turn normalises the heads of queries and keys, in which case it keeps them as they were, and turns them by their
// positions.
func (a *Attention) turn() {
	t, q, k := &a.tape, a.queries(), a.keys(a.cfg.attWidth())
	if a.q != nil {
		t.raw = operand(a.be, t.qkv.Shape)
		a.be.Copy(t.raw, t.qkv)
		t.qs, t.ks = a.q.statsOf(a.normed(q), t.qkv.Rows()), a.k.statsOf(a.normed(k), t.qkv.Rows())
		a.q.forward(t.qkv, t.qs, t.qkv, a.normed(q))
		a.k.forward(t.qkv, t.ks, t.qkv, a.normed(k))
	}
	a.cfg.Rotation.turn(t.qkv, tensor.Tensor{}, backend.Heads{Count: q.Count + k.Count}, false)
}

// turnBack turns the gradient of what turn has made into the gradient of what it was given.
func (a *Attention) turnBack(dqkv tensor.Tensor) {
	t, q, k := &a.tape, a.queries(), a.keys(a.cfg.attWidth())
	a.cfg.Rotation.turn(dqkv, tensor.Tensor{}, backend.Heads{Count: q.Count + k.Count}, true)
	if a.q != nil {
		a.q.backward(dqkv, dqkv, t.raw, t.qs, a.normed(q))
		a.k.backward(dqkv, dqkv, t.raw, t.ks, a.normed(k))
	}
}

// queries and keys are the heads in rows that begin with them; keys begin in a column here.
func (a *Attention) queries() backend.Heads    { return backend.Heads{Count: a.cfg.Heads} }
func (a *Attention) keys(at int) backend.Heads { return backend.Heads{At: at, Count: a.cfg.KeyHeads()} }

// normed are heads as their norm takes them: each by itself, or all together as one.
func (a *Attention) normed(h backend.Heads) backend.Heads {
	if a.cfg.JointNorm {
		h.Count = 1
	}
	return h
}

// backward writes dx, which may be da, with buffers datt (B,T,A) and dqkv
// (B,T,A+KV). A normalised input is made again where att was.
func (a *Attention) backward(dx, da, x, datt, dqkv tensor.Tensor) {
	t := &a.tape
	a.proj.Backward(datt, a.leaveBack(dx, da), t.att)
	a.be.AttentionBackward(dqkv, datt, t.att, t.lse, t.qkv, a.spec())
	a.turnBack(dqkv)
	a.enterBack(dx, dqkv, x, t.n, a.qkv)
}

// scores is how attention scores keys, without dropout and lengths.
func (a *Attention) scores(causal bool) backend.AttentionSpec {
	return backend.AttentionSpec{Heads: a.cfg.Heads, KVHeads: a.cfg.KVHeads, Scale: a.cfg.AttentionScale, Window: a.cfg.Window, Causal: causal}
}

func (a *Attention) spec() backend.AttentionSpec {
	spec := a.scores(a.cfg.Causal)
	if a.cfg.Lengths != nil {
		spec.Lengths = *a.cfg.Lengths
	}
	if a.pass.Train {
		spec.Dropout = a.cfg.AttentionDropout
		spec.Draw = backend.Draw{Pass: a.pass, Block: a.index, Site: backend.SiteAttention}
	}
	return spec
}
