package nn

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// DecoderBlock is the residual function of a decoder block, of its three branches:
//
//	u = x + s(x), a = s(x) + c(u), w = x + a, h(x) = a + m(w)
//
// with s causal self-attention, c cross-attention and m the MLP. The caller adds h
// to x. It implements bdia.Block; the encoder's output is a constant to the stack, and its
// gradient is added up on the way back.
type DecoderBlock struct {
	be     backend.Backend
	self   *Attention
	cross  *Cross
	mlp    *MLP
	params []*tensor.Param

	tape struct {
		a, u, w tensor.Tensor // (B,T,C)
	}
}

// NewDecoderBlock allocates block number index. NewAttention, NewCross and NewMLP name its parameters.
func NewDecoderBlock(be backend.Backend, prefix string, index int, cfg BlockConfig, encoded *Encoded) *DecoderBlock {
	cfg.Causal, cfg.Lengths = true, nil // padding at the end of a target is seen by padding only
	b := &DecoderBlock{be: be, self: NewAttention(be, prefix, index, cfg), cross: NewCross(be, prefix, index, cfg, encoded), mlp: NewMLP(be, prefix, index, cfg)}
	b.params = paramsOf(b.self, b.cross, b.mlp)
	return b
}

// Params lists the block's parameters in the order of the forward pass.
func (b *DecoderBlock) Params() []*tensor.Param { return b.params }

// Init draws the initial weights of all branches; see Attention.Init.
func (b *DecoderBlock) Init(seed uint64, residual float64) {
	b.self.Init(seed, residual)
	b.cross.Init(seed, residual)
	b.mlp.Init(seed, residual)
}

// Forward writes h(x). x and h are (B,T,C).
func (b *DecoderBlock) Forward(h, x tensor.Tensor, pass backend.Pass) {
	t := &b.tape
	t.a = activation(b.be, x.Shape)
	t.u = activation(b.be, x.Shape)
	t.w = activation(b.be, x.Shape)
	b.self.Forward(t.a, x, pass)
	b.be.Add(t.u, x, t.a)
	b.cross.Forward(h, t.u, pass)
	b.be.Add(t.a, t.a, h)
	b.be.Add(t.w, x, t.a)
	b.mlp.Forward(h, t.w, pass)
	b.be.Add(h, h, t.a)
}

// Backward turns d, holding dh, into dx = Jᵀ dh in place. It works in tensors of the tape that are done with:
//
//	dw = J_mᵀ dh, da = dh + dw, du = J_cᵀ da, ds = da + du, dx = J_sᵀ ds + (dw + du)
func (b *DecoderBlock) Backward(d, x tensor.Tensor) {
	t := &b.tape
	dw, du := t.a, t.w
	b.mlp.backward(dw, d, t.w)
	b.be.Add(d, d, dw)
	buffer, qkv, operands := b.mlp.tape.buffer, b.self.tape.qkv, OperandType(b.be)
	b.cross.backward(du, d, t.u, buffer.Slice(x.Len(), buffer.Len()).View(operands, x.Shape), buffer.View(tensor.F32, x.Shape))
	b.be.Add(d, d, du)
	b.be.Add(dw, dw, du)
	b.self.backward(d, d, x, t.u.View(operands, x.Shape), buffer.View(tensor.F32, qkv.Shape))
	b.be.Add(d, d, dw)
}

// KV is a block's cache while a model writes position after position.
type KV struct {
	Self  tensor.Tensor // (N,M,KV): keys and values of up to M positions of N hypotheses
	Cross tensor.Tensor // (B,S,KV): of the encoder's output; N/B hypotheses look at each sample
}

// Keys fills kv.Cross from the encoder's output.
func (b *DecoderBlock) Keys(kv KV) { b.cross.Keys(kv.Cross) }

// Next writes h(x) at the next position of hypotheses, and keeps their keys and values in
// kv.Self; see Attention.Next. The bits are the same as from Forward over all positions.
func (b *DecoderBlock) Next(h, x tensor.Tensor, kv KV, pairs, seen tensor.Tensor) {
	a := activation(b.be, x.Shape)
	u := activation(b.be, x.Shape)
	b.self.Next(a, x, kv.Self, pairs, seen)
	b.be.Add(u, x, a)
	b.cross.next(h, u, kv.Cross)
	b.be.Add(a, a, h)
	b.be.Add(u, x, a)
	b.mlp.Forward(h, u, backend.Pass{})
	b.be.Add(h, h, a)
}
