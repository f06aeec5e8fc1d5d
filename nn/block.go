package nn

import (
	"cmp"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// BlockConfig describes a transformer block, from which every layer of it takes its shape. GPT-2's and ViT's
// leave out what stands below Lengths; Llama's and its kin's have RMS, Rotation, Gated and Separate.
type BlockConfig struct {
	Width, Heads, MLP int  // C, H, hidden width M
	Causal            bool // a position attends to itself and to earlier ones
	Bias              bool // of linear layers and norms
	GELU              backend.GELUForm
	Eps               float32 // of the norms
	AttentionDropout  float32 // of the attention weights
	ResidualDropout   float32 // of the elements of both branches
	StochasticDepth   float32 // of both branches, for a sample as a whole
	// Weights is the type of the weights of linear layers: F32, or BF16, with the bits of the same values in F32. Norms,
	// biases and adapters are F32.
	Weights tensor.DType
	// Lengths points to the lengths (B), int32, of samples with padding at their end, which attention does not see.
	// The model sets them before each pass. It is nil for samples without padding.
	Lengths *tensor.Tensor

	RMS       bool      // norms divide by the root mean square, and have no bias
	KVHeads   int       // G: heads of keys and values, each of which H/G heads of queries share; 0: H
	HeadWidth int       // D; 0: C/H
	HeadNorm  bool      // queries and keys are normalised, every head by itself
	JointNorm bool      // of HeadNorm: all heads together, with a weight for each of their channels
	Rotation  *Rotation // turns queries and keys by the angles of their positions; nil: they are not turned
	Window    int       // a position attends to so many at most, itself included; 0: to all
	Gated     bool      // the MLP is fc2(silu(gate(x))*up(x)), the rows of fc1 being gate and up
	QKVBias   bool      // biases of these layers alone
	ProjBias  bool
	MLPBias   bool
	NormAfter bool // the norm of a branch is what it ends with, not what it begins with
	// AttentionScale multiplies the scores of attention; 0 stands for 1/sqrt(D). BranchScale multiplies both branches; 0
	// stands for 1.
	AttentionScale, BranchScale float32
	// Separate gives queries, keys, values, gate and up adapters of their own, under the names that these layers have in
	// Llama.
	Separate bool
}

// Head is the width D of a head.
func (c BlockConfig) Head() int {
	if c.HeadWidth > 0 {
		return c.HeadWidth
	}
	return c.Width / max(1, c.Heads)
}

// KeyHeads is the number G of heads of keys and values.
func (c BlockConfig) KeyHeads() int { return cmp.Or(c.KVHeads, c.Heads) }

// KVWidth is the width KV of the keys and values of a position, all heads together.
func (c BlockConfig) KVWidth() int { return 2 * c.KeyHeads() * c.Head() }

// attWidth is the width A of the queries of a position, all heads together: C unless HeadWidth says otherwise.
func (c BlockConfig) attWidth() int { return c.Heads * c.Head() }

// qkvWidth is the width A+KV of the queries, keys and values of a position.
func (c BlockConfig) qkvWidth() int { return c.attWidth() + c.KVWidth() }

// fc1Width is the width of what the MLP's first layer makes.
func (c BlockConfig) fc1Width() int {
	if c.Gated {
		return 2 * c.MLP
	}
	return c.MLP
}

// Block is the residual function of a transformer block (GPT-2, ViT, Llama), of its two branches:
//
//	h(x) = a(x) + m(x+a(x))
//
// The caller adds h to x. It implements bdia.Block.
type Block struct {
	be        backend.Backend
	attention *Attention
	mlp       *MLP
	params    []*tensor.Param

	tape struct {
		a, u tensor.Tensor // (B,T,C): a(x), x+a(x)
	}
}

// NewBlock allocates block number index of a stack. NewAttention and NewMLP name its parameters.
func NewBlock(be backend.Backend, prefix string, index int, cfg BlockConfig) *Block {
	b := &Block{be: be, attention: NewAttention(be, prefix, index, cfg), mlp: NewMLP(be, prefix, index, cfg)}
	b.params = paramsOf(b.attention, b.mlp)
	return b
}

// Params lists the trainable parameters in the order of the forward pass: all of them, only the adapters, or none when
// the block is frozen.
func (b *Block) Params() []*tensor.Param { return b.params }

// Forward writes h(x). x and h are (B,T,C).
func (b *Block) Forward(h, x tensor.Tensor, pass backend.Pass) {
	t := &b.tape
	t.a = activation(b.be, x.Shape)
	t.u = activation(b.be, x.Shape)
	b.attention.Forward(t.a, x, pass)
	b.be.Add(t.u, x, t.a)
	b.mlp.Forward(h, t.u, pass)
	b.be.Add(h, h, t.a)
}

// Backward turns d, holding dh, into dx = Jᵀ dh. It works in the memory of the
// tape: once the MLP is done with its buffer, attention uses it.
//
//	du = J_mᵀ dh, da = dh + du, dx = J_aᵀ da + du
func (b *Block) Backward(d, x tensor.Tensor) {
	t := &b.tape
	du := t.a
	b.mlp.backward(du, d, t.u)
	b.be.Add(d, d, du)
	att, qkv, buffer := b.attention.tape.att, b.attention.tape.qkv, b.mlp.tape.buffer
	datt := t.u
	if att.Bytes() > datt.Bytes() {
		datt = buffer.Slice(qkv.Len(), buffer.Len())
	}
	b.attention.backward(d, d, x, datt.View(att.DType, att.Shape), buffer.View(tensor.F32, qkv.Shape))
	b.be.Add(d, d, du)
}

// Init draws the initial weights of both branches; see Attention.Init.
func (b *Block) Init(seed uint64, residual float64) {
	b.attention.Init(seed, residual)
	b.mlp.Init(seed, residual)
}
