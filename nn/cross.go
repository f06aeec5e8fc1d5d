package nn

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Encoded is the output of an encoder, kept once for all blocks of the decoder. The model fills it in before they run.
type Encoded struct {
	Value   tensor.Tensor // (B,S,C)
	Grad    tensor.Tensor // (B,S,C): each block adds to it as its backward pass runs
	Lengths tensor.Tensor // (B), int32: positions of each sample that are not padding
}

// Cross is the cross-attention branch of a decoder block (Vaswani et al., arXiv
// 1706.03762, section 3.2.3), with a norm at one of its ends (see BlockConfig.NormAfter):
//
//	c(x) = drop(proj(attention(q(norm(x)), kv(encoded))))
//
// The caller adds c to x.
type Cross struct {
	ends
	cfg         BlockConfig
	index       int
	encoded     *Encoded
	q, kv, proj *Linear // (C,C), (KV,C): rows k, v; (C,C)
	params      []*tensor.Param

	tape struct {
		q, kv    tensor.Tensor // (B,T,C), (B,S,KV)
		att, lse tensor.Tensor // (B,T,C), (B,H,T)
	}
}

// NewCross allocates the cross-attention branch of block number index, its
// parameters named prefix+"lnc.weight", prefix+"cross.q.weight" and so on.
func NewCross(be backend.Backend, prefix string, index int, cfg BlockConfig, encoded *Encoded) *Cross {
	C := cfg.Width
	c := &Cross{cfg: cfg, index: index, encoded: encoded,
		ends: newEnds(be, prefix+"lnc", index, cfg, backend.SiteCrossProj, backend.SiteCrossPath),
		q:    newLinear(be, cfg.Weights, prefix+"cross.q", C, C, cfg.Bias),
		kv:   newLinear(be, cfg.Weights, prefix+"cross.kv", C, cfg.KVWidth(), cfg.Bias),
		proj: newLinear(be, cfg.Weights, prefix+"cross.proj", C, C, cfg.Bias),
	}
	c.params = c.around(paramsOf(c.q, c.kv, c.proj))
	return c
}

// Params lists the parameters in the order of the forward pass.
func (c *Cross) Params() []*tensor.Param { return c.params }

// Init draws initial weights as Attention.Init does.
func (c *Cross) Init(seed uint64, residual float64) {
	id := 16*(c.index+1) + 4
	initBranch(c.be, c.norm, c.q, c.proj, residual, seed, id)
	Normal(c.be, c.kv.Weight, 0.02, seed, id+2)
	Fill(c.be, c.kv.Bias, 0)
}

// Forward writes c(x) to h. x and h are (B,T,C).
func (c *Cross) Forward(h, x tensor.Tensor, pass backend.Pass) {
	be, t, s, m := c.be, &c.tape, x.Shape, c.encoded.Value.Shape
	c.begin(x.Rows(), pass)
	t.q, t.kv = operand(be, s), operand(be, tensor.Shape{m[0], m[1], c.cfg.KVWidth()})
	t.att, t.lse = operand(be, s), activation(be, tensor.Shape{s[0], c.cfg.Heads, s[1]})

	c.q.Forward(t.q, c.enter(t.att, x))
	c.Keys(t.kv)
	be.CrossAttention(t.att, t.lse, t.q, t.kv, c.spec())
	c.proj.Forward(c.output(h), t.att)
	c.leave(h)
}

// backward writes dx, which may be dc, with buffers datt and dq (B,T,C), and adds
// to the gradient of the encoder's output:
//
//	dencoded += dkv·W_kv
func (c *Cross) backward(dx, dc, x, datt, dq tensor.Tensor) {
	t, encoded := &c.tape, c.encoded
	m := c.be.Mark()
	dkv := activation(c.be, t.kv.Shape)
	c.proj.Backward(datt, c.leaveBack(dx, dc), t.att)
	c.be.CrossAttentionBackward(dq, dkv, datt, t.att, t.lse, t.q, t.kv, c.spec())
	dencoded := t.kv.View(tensor.F32, encoded.Grad.Shape) // keys and values are done with
	c.kv.Backward(dencoded, dkv, encoded.Value)
	c.be.Add(encoded.Grad, encoded.Grad, dencoded)
	c.enterBack(dx, dq, x, t.att, c.q)
	c.be.Release(m)
}

// scores is how attention scores keys, without dropout.
func (c *Cross) scores() backend.AttentionSpec {
	return backend.AttentionSpec{Heads: c.cfg.Heads, Scale: c.cfg.AttentionScale, Lengths: c.encoded.Lengths}
}

func (c *Cross) spec() backend.AttentionSpec {
	spec := c.scores()
	if c.pass.Train {
		spec.Dropout = c.cfg.AttentionDropout
		spec.Draw = backend.Draw{Pass: c.pass, Block: c.index, Site: backend.SiteCross}
	}
	return spec
}

// Keys writes the keys and values (B,S,KV) of the encoder's output.
func (c *Cross) Keys(kv tensor.Tensor) { c.kv.Forward(kv, c.encoded.Value) }

// next writes c(x) of one position. x and h are (N,1,C): the same number of
// hypotheses for each sample of the encoder. kv holds the keys and values of its output.
func (c *Cross) next(h, x, kv tensor.Tensor) {
	be, B, C := c.be, kv.Shape[0], x.Shape[2]
	beams := x.Shape[0] / B
	s := tensor.Shape{B, beams, C} // the hypotheses of a sample are so many queries
	n, q := operand(be, s), operand(be, s)
	c.begin(B*beams, backend.Pass{})
	lse := activation(be, tensor.Shape{B, c.cfg.Heads, beams})
	c.q.Forward(q, c.enter(n, x))
	be.CrossAttention(n, lse, q, kv, c.scores())
	c.proj.Forward(c.output(h), n)
	c.leave(h)
}
