package nn_test

import (
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// newDecoderBlock returns a block with lively weights and gradients, and its memory
// of 7 positions, not all of which are seen.
func newDecoderBlock(be backend.Backend, cfg nn.BlockConfig, lengths ...int32) (*nn.DecoderBlock, *nn.Encoded) {
	B := len(lengths)
	m := &nn.Encoded{Value: normal(be, 200, B, 7, cfg.Width), Grad: normal(be, 201, B, 7, cfg.Width), Lengths: be.Alloc(backend.Data, tensor.I32, tensor.Shape{B})}
	be.UploadInts(m.Lengths, lengths)
	be.Zero(m.Grad)
	b := nn.NewDecoderBlock(be, "b.", 4, cfg, m)
	for i, p := range b.Params() {
		nn.Normal(be, p, 0.4, 1, i)
	}
	gradients(be, b.Params())
	return b, m
}

// TestDecoderBlockGradients holds the backward pass, in the input, the memory and
// every parameter, against finite differences.
func TestDecoderBlockGradients(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*nn.BlockConfig){
		"plain":   func(*nn.BlockConfig) {},
		"no bias": func(c *nn.BlockConfig) { c.Bias = false },
		"narrow":  func(c *nn.BlockConfig) { c.MLP = 5 },
		"after":   func(c *nn.BlockConfig) { c.NormAfter, c.AttentionScale, c.BranchScale = true, 0.9, 0.3 },
		"dropout": func(c *nn.BlockConfig) { c.AttentionDropout, c.ResidualDropout, c.StochasticDepth = 0.1, 0.1, 0.5 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := nn.BlockConfig{Width: 12, Heads: 3, MLP: 30, Bias: true, Eps: 1e-5}
			change(&cfg)
			var memory *nn.Encoded
			checkBlock(t, func(be backend.Backend) bdia.Block {
				b, m := newDecoderBlock(be, cfg, 7, 1, 3, 6, 7)
				memory = m
				return b
			}, func() (string, tensor.Tensor, tensor.Tensor) { return "memory", memory.Value, memory.Grad })
		})
	}
}

// TestMemoryGradientAddsUp: a block adds to what the blocks after it have left, and
// what it does not see gets nothing.
func TestMemoryGradientAddsUp(t *testing.T) {
	t.Parallel()
	be := newCPU(t, 4)
	b, m := newDecoderBlock(be, nn.BlockConfig{Width: 12, Heads: 3, MLP: 30, Bias: true, Eps: 1e-5}, 7, 2)
	x, h := normal(be, 1, 2, 3, 12), normal(be, 2, 2, 3, 12)
	run := func() []float32 {
		mark := be.Mark()
		b.Forward(h, x, pass)
		b.Backward(h, x)
		be.Release(mark)
		return read(be, m.Grad)
	}
	once := run()
	for i, v := range once[9*12:] { // positions 2.. of sample 1
		if v != 0 {
			t.Fatalf("element %d of the padding has gradient %v", i, v)
		}
	}
	left := normal(be, 9, 2, 7, 12)
	be.Copy(m.Grad, left)
	want := read(be, left)
	for i := range want {
		want[i] += once[i]
	}
	testkit.EqualBits(t, "gradient", run(), want)
}

// TestSinusoids holds positions against their definition (Vaswani et al., section
// 3.5), and tokens against their scale.
func TestSinusoids(t *testing.T) {
	t.Parallel()
	be := newCPU(t, 4)
	const C = 4 // so that the scale is 2
	e := nn.NewSequence(be, "", nn.NewTable(be, "wte.weight", 2, C), 8, true)
	be.Upload(e.Token.Value, []float32{0, 0, 0, 0, 1, 2, 3, 4})
	ids, x := be.Alloc(backend.Data, tensor.I32, tensor.Shape{1, 2}), normal(be, 1, 1, 2, C)
	be.UploadInts(ids, []int32{0, 1})
	e.Forward(x, ids, 3)
	testkit.Near(t, "x", read(be, x), []float32{
		0.14112001, -0.9899925, 0.0299955, 0.99955003, // sin 3, cos 3, sin 0.03, cos 0.03
		-0.7568025 + 2, -0.6536436 + 4, 0.03998933 + 6, 0.9992001 + 8}, 1e-6)
	if e.Position != nil || e.Deviation() != 0.5 {
		t.Errorf("sinusoids have parameters, or deviation %v", e.Deviation())
	}
}
