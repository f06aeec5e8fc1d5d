package nn

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// BlockConfig describes a pre-norm transformer block, from which every layer of it takes its shape.
type BlockConfig struct {
	Width, Heads, MLP int  // C, H, hidden width M
	Causal            bool // a position attends to itself and to earlier ones
	Bias              bool // of linear layers and norms
	GELU              backend.GELUForm
	Eps               float32 // of the norms
	AttentionDropout  float32 // of the attention weights
	ResidualDropout   float32 // of the elements of both branches
	StochasticDepth   float32 // of both branches, for a sample as a whole
	// Lengths points to the lengths (B), int32, of samples with padding at their end, which attention does not see.
	// The model sets them before each pass. It is nil for samples without padding.
	Lengths *tensor.Tensor
}

// KVWidth is the width KV of the keys and values of a position, all heads together.
func (c BlockConfig) KVWidth() int { return 2 * c.Width }

// qkvWidth is the width C+KV of the queries, keys and values of a position.
func (c BlockConfig) qkvWidth() int { return c.Width + c.KVWidth() }

// Block is the residual function of a pre-norm transformer block (GPT-2, ViT),
// of its two branches:
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
	b.attention.backward(d, d, x, t.u, b.mlp.tape.buffer.Reshape(b.attention.tape.qkv.Shape))
	b.be.Add(d, d, du)
}

// Init draws the initial weights of both branches; see Attention.Init.
func (b *Block) Init(seed uint64, residual float64) {
	b.attention.Init(seed, residual)
	b.mlp.Init(seed, residual)
}
