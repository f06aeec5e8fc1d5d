package model_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// own is a block as someone else writes it, h(x) = gelu(x Aᵀ) Bᵀ, with the methods of bdia.Block and no others.
type own struct {
	be   backend.Backend
	a, b *tensor.Param // (M,C), (C,M)
	u, v tensor.Tensor // (B,T,M): before and after gelu
}

// ownBlocks returns what NewGPTWith makes its blocks with.
func ownBlocks(be backend.Backend, C int) func(k int) bdia.Block {
	return func(k int) bdia.Block {
		param := func(name string, id, out, in int) *tensor.Param {
			p := &tensor.Param{Name: fmt.Sprintf("own.%d.%s", k, name), Value: be.Alloc(backend.Weights, tensor.F32, tensor.Shape{out, in})}
			nn.Normal(be, p, 0.3, 5, 2*k+id)
			return p
		}
		return &own{be: be, a: param("a", 0, 2*C, C), b: param("b", 1, C, 2*C)}
	}
}

func (o *own) Params() []*tensor.Param { return []*tensor.Param{o.a, o.b} }

func (o *own) Forward(h, x tensor.Tensor, _ backend.Pass) {
	s := tensor.Shape{x.Shape[0], x.Shape[1], o.a.Value.Rows()}
	o.u, o.v = o.be.Alloc(backend.Activation, tensor.F32, s), o.be.Alloc(backend.Activation, tensor.F32, s)
	o.be.Linear(o.u, x, o.a.Value, tensor.Tensor{})
	o.be.GELU(o.v, o.u, backend.GELUTanh)
	o.be.Linear(h, o.v, o.b.Value, tensor.Tensor{})
}

func (o *own) Backward(g, x tensor.Tensor) {
	o.be.LinearBackwardWeight(o.b.Grad, tensor.Tensor{}, g, o.v)
	o.be.LinearBackwardInput(o.v, g, o.b.Value)
	o.be.GELUBackward(o.v, o.v, o.u, backend.GELUTanh)
	o.be.LinearBackwardWeight(o.a.Grad, tensor.Tensor{}, o.v, x)
	o.be.LinearBackwardInput(g, o.v, o.a.Value)
}

// newOwn returns a GPT of such blocks. Heads of c, which its blocks do not have, do not matter.
func newOwn(t *testing.T, be backend.Backend, opt bdia.Options) *model.GPT {
	t.Helper()
	c := tiny()
	c.Heads, c.EmbeddingDropout = 0, 0.1
	m, err := model.NewGPTWith(be, c, opt, ownBlocks(be, c.Width))
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range m.Params() {
		nn.Normal(be, p, 0.3, 17, i)
	}
	return m
}

// TestOwnBlockGradients: gradients of a model of other people's blocks are the slopes of its loss.
func TestOwnBlockGradients(t *testing.T) {
	t.Parallel()
	be := newCPU(t, 1)
	m := newOwn(t, be, plain(0.5))
	if want := 2*m.Config.Layers + 4; len(m.Params()) != want {
		t.Errorf("%d parameters, want %d", len(m.Params()), want)
	}
	b := newBatch(m.Config, 2)
	checkSlopes(t, be, m.Params(), func(s bdia.Sink) ([]float32, error) { return m.MicroStep(b, trainPass, 1, s) })
}

// TestOwnBlocksReversible: the reversible mode gives them the losses and gradients of stored activations, bit for bit.
func TestOwnBlocksReversible(t *testing.T) {
	t.Parallel()
	run := func(memory bdia.Memory) (losses []float32, grads [][]float32) {
		be := newCPU(t, 2)
		opt := bdia.DefaultOptions()
		opt.Memory = memory
		m := newOwn(t, be, opt)
		losses, err := m.MicroStep(newBatch(m.Config, 3), trainPass, 1, newSink(be, m.Params()))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range m.Params() {
			grads = append(grads, read(be, p.Grad))
		}
		return losses, grads
	}
	stored, want := run(bdia.Store)
	rebuilt, got := run(bdia.Reversible)
	testkit.EqualBits(t, "losses", rebuilt, stored)
	for i := range want {
		testkit.EqualBits(t, fmt.Sprint("gradient ", i), got[i], want[i])
	}
}

// TestOwnBlocksLearn: some steps bring the loss down, and it is measured and used as any other model.
func TestOwnBlocksLearn(t *testing.T) {
	t.Parallel()
	be := newCPU(t, 2)
	m := newOwn(t, be, bdia.DefaultOptions())
	before := read(be, m.Params()[2].Value)
	m.Init(3) // of what is outside the blocks
	testkit.EqualBits(t, "the first block", read(be, m.Params()[2].Value), before)
	b := newBatch(m.Config, 2)
	for i := range b.Targets {
		b.Targets[i] = b.Inputs[i]
	}
	var first, last float64
	pass := trainPass
	for range 30 {
		pass.Step++
		losses, err := m.MicroStep(b, pass, 1/float32(len(b.Inputs)), descend{be})
		if err != nil {
			t.Fatal(err)
		}
		if last = model.AddLosses(0, losses); first == 0 {
			first = last
		}
	}
	losses, err := m.Loss(b, bdia.DefaultGrid)
	if loss := model.AddLosses(0, losses); err != nil || !(last < 0.8*first) || !(loss < 0.8*first) {
		t.Errorf("loss %v, then %v, %v without training; error %v", first, last, loss, err)
	}
	logits := make([]float32, m.Config.Vocab)
	if err := m.NextLogits(logits, []int32{1, 2}, bdia.DefaultGrid); err != nil {
		t.Error(err)
	}
}

// TestLackingAbilities: a method that needs more of the blocks than they have is an error that says so and changes
// nothing.
func TestLackingAbilities(t *testing.T) {
	t.Parallel()
	be := newCPU(t, 1)
	m := newOwn(t, be, bdia.DefaultOptions())
	mark := be.Mark()
	_, decode := m.Decode(1, 2, bdia.NoGrid)
	for method, err := range map[string]error{"Next": decode, "Freeze": m.Freeze(1), "AddLoRA": m.AddLoRA(model.LoRAConfig{Rank: 1, Alpha: 1, Targets: model.Targets{"all"}})} {
		if !errors.Is(err, model.ErrAbility) || !strings.Contains(err.Error(), "block 0, of type *model_test.own, lacks the method "+method) {
			t.Errorf("%s: error %v", method, err)
		}
	}
	m.InitLoRA(1)
	m.MergeLoRA()
	if be.Mark() != mark || m.LoRA.Rank != 0 || m.FrozenBlocks() != 0 || len(m.Trainable()) != len(m.Params()) {
		t.Error("a call that fails leaves something behind")
	}
	if err := m.Freeze(0); err != nil { // the tables alone
		t.Error(err)
	}
	for name, change := range map[string]func(*model.GPTConfig){
		"layers": func(c *model.GPTConfig) { c.Layers = 0 }, "width": func(c *model.GPTConfig) { c.Width = -1 },
		"vocabulary": func(c *model.GPTConfig) { c.Vocab = 0 }, "context": func(c *model.GPTConfig) { c.Context = 0 },
		"embedding dropout": func(c *model.GPTConfig) { c.EmbeddingDropout = 1 }, "epsilon": func(c *model.GPTConfig) { c.Eps = -1 },
	} {
		c := tiny()
		change(&c)
		if _, err := model.NewGPTWith(be, c, bdia.DefaultOptions(), ownBlocks(be, 4)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestOptionsShare: what is frozen in one of the models of WithOptions is so in all, and their steps agree.
func TestOptionsShare(t *testing.T) {
	t.Parallel()
	be := newCPU(t, 1)
	c := tiny()
	m := newModel(t, be, c, bdia.DefaultOptions())
	other, err := m.WithOptions(bdia.Options{Memory: bdia.Store, Gamma: 0.5, Grid: bdia.DefaultGrid})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Freeze(1); err != nil {
		t.Fatal(err)
	}
	if m.FrozenBlocks() != 1 || len(m.Trainable()) != len(other.Trainable()) {
		t.Errorf("%d blocks are frozen", m.FrozenBlocks())
	}
	var grads [2][][]float32
	for i, m := range []*model.GPT{m, other} {
		if _, err := m.MicroStep(newBatch(c, 2), trainPass, 1, newSink(be, m.Trainable())); err != nil {
			t.Fatal(err)
		}
		for _, p := range m.Trainable() {
			grads[i] = append(grads[i], read(be, p.Grad))
		}
	}
	for i := range grads[0] {
		testkit.EqualBits(t, fmt.Sprint("gradient ", i), grads[1][i], grads[0][i])
	}
	if err := m.AddLoRA(model.LoRAConfig{Rank: 1, Alpha: 1, Targets: model.Targets{"qkv"}}); err != nil || other.LoRA.Rank != 1 || len(other.Adapters()) == 0 {
		t.Errorf("adapters of one model: %v, of the other: %v; error %v", m.LoRA, other.LoRA, err)
	}
}
