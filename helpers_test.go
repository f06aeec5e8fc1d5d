package bdia_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// trial is one training step of a small model.
type trial struct {
	model     model.GPTConfig
	opt       bdia.Options
	isa       string
	precision backend.Precision
	threads   int
	samples   int
	parts     []int // sizes of the micro-batches; nil: one
	freeze    int   // blocks, and the tables with them; 0: nothing is frozen
	lora      model.LoRAConfig
}

// small has T*C = 5*9, no multiple of 8, and every kind of dropout.
func small(K int) trial {
	return trial{model: model.GPTConfig{Vocab: 13, Context: 5, Layers: K, Heads: 3, Width: 9, MLP: 20,
		EmbeddingDropout: 0.1, AttentionDropout: 0.2, ResidualDropout: 0.1}, opt: bdia.DefaultOptions(), threads: 1, samples: 3}
}

// family makes the model one of a family, with odd sizes and all that this has.
func (c *trial) family(f model.Family) {
	m := &c.model
	m.Family, m.Heads, m.KVHeads, m.Rope = f, 6, 2, model.Rope{Theta: 1e4}
	switch f {
	case model.Llama:
		m.Width, m.AttentionBias, m.MLPBias, m.Untied, m.KVHeads = 12, true, true, true, 0
	case model.Qwen2:
		m.Width, m.Window, m.FullLayers = 24, 2, 1
	case model.Qwen3:
		m.HeadWidth = 4 // 24 in all, and the width is 9
	case model.Mistral:
		m.HeadWidth, m.Width, m.Window, m.MLP = 2, 15, 3, 7 // 12 in all, below the width, as is the MLP
	case model.Granite:
		m.HeadWidth, m.EmbeddingScale, m.AttentionScale, m.BranchScale, m.LogitsDivisor = 4, 1.7, 0.3, 0.22, 2.5
	case model.OLMo2:
		m.HeadWidth, m.Width, m.Untied, m.MLP = 4, 15, true, 7
	}
}

// outcome is all that a trial computed.
type outcome struct {
	loss  float64
	grads map[string][]float32
	up    [][]float32 // states x_0..x_K of the first micro-batch
	dx0   []float32
	sums  []uint64 // digests of the states, of all micro-batches
}

// keepAll is a Sink with a gradient for every parameter, over all passes.
type keepAll struct {
	be             backend.Backend
	params         []*tensor.Param
	opened, closed int
}

func newKeepAll(be backend.Backend, params []*tensor.Param) *keepAll {
	for _, p := range params {
		p.Grad = zeroed(be, p.Value.Shape)
		if p.Tied {
			p.Lookups = tensor.NewRows(p.Value.Rows())
			p.Lookups.Begin(zeroed(be, p.Value.Shape))
		}
	}
	return &keepAll{be: be, params: params}
}

func zeroed(be backend.Backend, s tensor.Shape) tensor.Tensor {
	x := be.Alloc(backend.Gradients, tensor.F32, s)
	be.Zero(x)
	return x
}

// finish adds the two sums of a tied table, after the last pass.
func (s *keepAll) finish() {
	for _, p := range s.params {
		if p.Tied {
			bdia.AddLookups(s.be, p.Grad, p.Lookups)
		}
	}
}

func (s *keepAll) Open([]*tensor.Param)  { s.opened++ }
func (s *keepAll) Close([]*tensor.Param) { s.closed++ }

// newModel returns a model with lively random weights.
func newModel(t *testing.T, be backend.Backend, c model.GPTConfig, opt bdia.Options) *model.GPT {
	t.Helper()
	m, err := model.NewGPT(be, c, opt)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range m.Params() {
		nn.Normal(be, p, 0.3, 17, i)
	}
	return m
}

// newBatch returns n samples of random tokens.
func newBatch(c model.GPTConfig, n int) model.Batch {
	b := model.NewBatch(n, c.Context)
	key := rng.Key{Seed: 23}
	for i := range b.Inputs {
		w := key.At(uint32(i))
		b.Inputs[i], b.Targets[i] = int32(w[0]%uint32(c.Vocab)), int32(w[1]%uint32(c.Vocab))
	}
	return b
}

// run executes the trial. It fails the test where a state is off the grid, holds
// -0, or comes back from the reverse walk with other bits.
func (c trial) run(t *testing.T) outcome {
	t.Helper()
	be := newCPU(t, cpu.Options{Threads: c.threads, ISA: c.isa, Precision: c.precision})
	m := newModel(t, be, c.model, c.opt)
	if c.freeze > 0 {
		if err := m.Freeze(c.freeze); err != nil {
			t.Fatal(err)
		}
	}
	if c.lora.Rank > 0 {
		if err := m.AddLoRA(c.lora); err != nil {
			t.Fatal(err)
		}
		for i, p := range m.Adapters() {
			nn.Normal(be, p, 0.3, 19, i)
		}
	}
	m.SetCheck(true)
	sink := newKeepAll(be, m.Trainable())
	out := outcome{grads: map[string][]float32{}}
	if c.parts == nil {
		c.parts = []int{c.samples}
	}
	b, T, first := newBatch(c.model, c.samples), c.model.Context, 0
	for _, n := range c.parts {
		var states [][]float32
		m.Stack.Observe = func(k int, x tensor.Tensor) {
			got := read(be, x)
			if k == len(states) {
				checkGrid(t, k, got, c.opt.Grid)
				states = append(states, got)
				return
			}
			testkit.EqualBits(t, fmt.Sprintf("x_%d of %d on the way back", k, c.model.Layers), got, states[k])
		}
		part := model.Batch{Size: n, Inputs: b.Inputs[first*T : (first+n)*T], Targets: b.Targets[first*T : (first+n)*T]}
		pass := backend.Pass{Train: true, Seed: 31, Step: 6, Sample: first}
		if err := testkit.AddTo(&out.loss)(m.MicroStep(part, pass, float32(1/float64(c.samples*T)), sink)); err != nil {
			t.Fatal(err)
		}
		out.digests(m)
		if out.up == nil {
			out.up = states
		}
		if c.freeze == 0 {
			out.dx0 = append(out.dx0, read(be, m.Stack.Grad())...)
		}
		first += n
	}
	if want := len(c.parts) * (c.model.Layers - c.freeze + 2); sink.opened != want || sink.closed != want {
		t.Errorf("the sink was opened %d and closed %d times, want %d", sink.opened, sink.closed, want)
	}
	sink.finish()
	for _, p := range m.Trainable() {
		out.grads[p.Name] = read(be, p.Grad)
	}
	return out
}

// checkGrid fails where a value of x_k is no multiple of the grid's unit, or -0.
func checkGrid(t *testing.T, k int, x []float32, grid bdia.Grid) {
	t.Helper()
	if grid == bdia.NoGrid {
		return
	}
	for i, v := range x {
		if units := math.Ldexp(float64(v), int(grid)); units != math.Trunc(units) || math.Float32bits(v) == 1<<31 {
			t.Fatalf("x_%d[%d] = %v is off the grid of 2^-%v", k, i, v, grid)
		}
	}
}

// digests adds the digests of the latest pass.
func (a *outcome) digests(m interface{ AppendDigests(sums []uint64) []uint64 }) {
	for k, sum := range m.AppendDigests(nil) {
		if k == len(a.sums) {
			a.sums = append(a.sums, 0)
		}
		a.sums[k] += sum
	}
}

// equal fails unless a and b agree in every bit.
func (a outcome) equal(t *testing.T, b outcome) {
	t.Helper()
	if math.Float64bits(a.loss) != math.Float64bits(b.loss) {
		t.Errorf("loss %v, want %v", a.loss, b.loss)
	}
	for name, grad := range b.grads {
		testkit.EqualBits(t, "gradient of "+name, a.grads[name], grad)
	}
	for k := range min(len(a.up), len(b.up)) {
		if len(a.up[k]) == len(b.up[k]) {
			testkit.EqualBits(t, fmt.Sprintf("x_%d", k), a.up[k], b.up[k])
		}
	}
	if b.sums != nil && !slices.Equal(a.sums, b.sums) {
		t.Errorf("digests of states %x, want %x", a.sums, b.sums)
	}
	if b.dx0 != nil {
		testkit.EqualBits(t, "dloss/dx_0", a.dx0, b.dx0)
	}
}

// lively fails where a trial's gradients are all zero, so that nothing was tested.
func (a outcome) lively(t *testing.T) {
	t.Helper()
	for name, grad := range a.grads {
		alive := false
		for _, v := range grad {
			alive = alive || v != 0
		}
		if !alive {
			t.Errorf("the gradient of %s is zero", name)
		}
	}
}
