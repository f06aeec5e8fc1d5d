package nn

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// BlockConfig describes a pre-norm transformer block.
type BlockConfig struct {
	Width, Heads, MLP int // C, H, hidden width
	Causal, Bias      bool
	GELU              backend.GELUForm
	Eps               float32 // of the layer norms
	AttentionDropout  float32 // of the attention weights
	ResidualDropout   float32 // of both outputs
}

// Block is the residual function of a pre-norm transformer block (GPT-2, ViT):
//
//	a    = proj(attn(ln1(x)))
//	h(x) = a + fc2(gelu(fc1(ln2(x+a))))
//
// The caller adds h to x. It implements bdia.Block.
type Block struct {
	be       backend.Backend
	cfg      BlockConfig
	index    int
	ln1, ln2 *LayerNorm
	qkv      *Linear // (3C,C): rows q, k, v
	proj     *Linear // (C,C)
	fc1, fc2 *Linear // (MLP,C), (C,MLP)
	drop     Dropout
	params   []*tensor.Param

	tape struct {
		pass           backend.Pass
		n1, n2         tensor.Tensor // (B,T,C) normalised inputs
		stats1, stats2 tensor.Tensor // (2,B*T)
		qkv            tensor.Tensor // (B,T,3C)
		att, lse       tensor.Tensor // (B,T,C), (B,H,T)
		a              tensor.Tensor // (B,T,C) attention branch
		u              tensor.Tensor // (B,T,C) x+a
		f              tensor.Tensor // (B,T,MLP) before GELU
		wide           tensor.Tensor // (B,T,max(MLP,3C)) after GELU; then scratch of Backward
	}
}

// NewBlock allocates block number index of a stack, its parameters named
// prefix+"ln1.weight" and so on.
func NewBlock(be backend.Backend, prefix string, index int, cfg BlockConfig) *Block {
	C := cfg.Width
	b := &Block{be: be, cfg: cfg, index: index,
		ln1:  NewLayerNorm(be, prefix+"ln1", C, cfg.Bias, cfg.Eps),
		qkv:  NewLinear(be, prefix+"attn.qkv", C, 3*C, cfg.Bias),
		proj: NewLinear(be, prefix+"attn.proj", C, C, cfg.Bias),
		ln2:  NewLayerNorm(be, prefix+"ln2", C, cfg.Bias, cfg.Eps),
		fc1:  NewLinear(be, prefix+"mlp.fc1", C, cfg.MLP, cfg.Bias),
		fc2:  NewLinear(be, prefix+"mlp.fc2", cfg.MLP, C, cfg.Bias),
		drop: NewDropout(be, cfg.ResidualDropout),
	}
	b.params = appendParams(nil, b.ln1.Weight, b.ln1.Bias, b.qkv.Weight, b.qkv.Bias, b.proj.Weight, b.proj.Bias,
		b.ln2.Weight, b.ln2.Bias, b.fc1.Weight, b.fc1.Bias, b.fc2.Weight, b.fc2.Bias)
	return b
}

// Params lists the block's parameters in the order of the forward pass.
func (b *Block) Params() []*tensor.Param { return b.params }

// Forward writes h(x). x and h are (B,T,C).
func (b *Block) Forward(h, x tensor.Tensor, pass backend.Pass) {
	be, t, s := b.be, &b.tape, x.Shape
	B, T, C, M := s[0], s[1], s[2], b.cfg.MLP
	alloc := func(s tensor.Shape) tensor.Tensor { return be.Alloc(backend.Activation, tensor.F32, s) }
	t.pass = pass
	t.n1, t.n2 = alloc(s), alloc(s)
	t.stats1, t.stats2 = alloc(tensor.Shape{2, B * T}), alloc(tensor.Shape{2, B * T})
	t.qkv = alloc(tensor.Shape{B, T, 3 * C})
	t.att, t.lse = alloc(s), alloc(tensor.Shape{B, b.cfg.Heads, T})
	t.a, t.u = alloc(s), alloc(s)
	t.f = alloc(tensor.Shape{B, T, M})
	t.wide = alloc(tensor.Shape{B, T, max(M, 3*C)})

	b.ln1.Forward(t.n1, t.stats1, x)
	b.qkv.Forward(t.qkv, t.n1)
	be.Attention(t.att, t.lse, t.qkv, b.attention())
	b.proj.Forward(t.a, t.att)
	b.drop.Apply(t.a, pass, b.index, backend.SiteAttentionProj)
	be.Add(t.u, x, t.a)
	b.ln2.Forward(t.n2, t.stats2, t.u)
	b.fc1.Forward(t.f, t.n2)
	g := t.wide.Reshape(t.f.Shape)
	be.GELU(g, t.f, b.cfg.GELU)
	b.fc2.Forward(h, g)
	b.drop.Apply(h, pass, b.index, backend.SiteMLP)
	be.Add(h, h, t.a)
}

// Backward turns d, holding dh, into dx = Jᵀ dh. It works in the memory of the
// tape: a gradient takes the place of the activation that is no longer needed.
func (b *Block) Backward(d, x tensor.Tensor) {
	be, t := b.be, &b.tape
	g := t.wide.Reshape(t.f.Shape)
	dm := d // h = a + m
	if b.drop.active(t.pass) {
		dm = t.a
		be.Copy(dm, d)
		b.drop.Apply(dm, t.pass, b.index, backend.SiteMLP)
	}
	dg := g
	b.fc2.Backward(dg, dm, g)
	be.GELUBackward(dg, dg, t.f, b.cfg.GELU)
	b.fc1.Backward(t.n2, dg, t.n2)
	du := t.n2
	b.ln2.Backward(du, t.n2, t.u, t.stats2)
	da := t.a // a reaches h directly and through u
	be.Add(da, d, du)
	b.drop.Apply(da, t.pass, b.index, backend.SiteAttentionProj)
	datt := t.u
	b.proj.Backward(datt, da, t.att)
	dqkv := t.wide.Reshape(t.qkv.Shape)
	be.AttentionBackward(dqkv, datt, t.att, t.lse, t.qkv, b.attention())
	b.qkv.Backward(t.n1, dqkv, t.n1)
	b.ln1.Backward(d, t.n1, x, t.stats1)
	be.Add(d, d, du)
}

func (b *Block) attention() backend.AttentionSpec {
	spec := backend.AttentionSpec{Heads: b.cfg.Heads, Causal: b.cfg.Causal}
	if b.tape.pass.Train {
		spec.Dropout = b.cfg.AttentionDropout
		spec.Draw = backend.Draw{Pass: b.tape.pass, Block: b.index, Site: backend.SiteAttention}
	}
	return spec
}

// Init draws GPT-2's initial weights: deviation 0.02, projections into the
// residual stream scaled by 1/sqrt(2K) for K blocks; norms 1, biases 0.
func (b *Block) Init(seed uint64, residual float64) {
	const std = 0.02
	for i, l := range []*Linear{b.qkv, b.proj, b.fc1, b.fc2} {
		s := std
		if l == b.proj || l == b.fc2 {
			s *= residual
		}
		Normal(b.be, l.Weight, s, seed, 16*(b.index+1)+i)
		Fill(b.be, l.Bias, 0)
	}
	for _, n := range []*LayerNorm{b.ln1, b.ln2} {
		Fill(b.be, n.Weight, 1)
		Fill(b.be, n.Bias, 0)
	}
}
