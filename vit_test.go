package bdia_test

import (
	"fmt"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// vitTrial is one training step of a small vision transformer with every kind of
// dropout, and stochastic depth.
type vitTrial struct {
	model     model.ViTConfig
	opt       bdia.Options
	isa       string
	precision backend.Precision
	threads   int
	parts     []int // sizes of the micro-batches, 7 samples in all
}

const vitSamples = 7

func smallViT(K int) vitTrial {
	return vitTrial{model: model.ViTConfig{Image: 6, Patch: 3, Classes: 4, Layers: K, Heads: 3, Width: 9, MLP: 20, GELU: backend.GELUErf,
		EmbeddingDropout: 0.1, AttentionDropout: 0.2, ResidualDropout: 0.1, StochasticDepth: 0.3},
		opt: bdia.DefaultOptions(), threads: 1, parts: []int{vitSamples}}
}

func newViT(t *testing.T, be backend.Backend, c model.ViTConfig, opt bdia.Options) *model.ViT {
	t.Helper()
	m, err := model.NewViT(be, c, opt)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range m.Params() {
		nn.Normal(be, p, 0.3, 17, i)
	}
	return m
}

// newImages returns n images of random pixels, each between two classes.
func newImages(c model.ViTConfig, n int) model.ImageBatch {
	b := model.NewImageBatch(c, n)
	key := rng.Key{Seed: 23}
	for i := range b.Pixels {
		b.Pixels[i] = float32(2*key.Float64(uint32(i)) - 1)
	}
	for i := range n {
		b.Targets[i*c.Classes] = 0.25
		b.Targets[i*c.Classes+1+i%(c.Classes-1)] = 0.75
	}
	return b
}

// run executes the trial, as trial.run does.
func (c vitTrial) run(t *testing.T) outcome {
	t.Helper()
	be := newCPU(t, cpu.Options{Threads: c.threads, ISA: c.isa, Precision: c.precision})
	m := newViT(t, be, c.model, c.opt)
	m.SetCheck(true)
	sink := newKeepAll(be, m.Params())
	out := outcome{grads: map[string][]float32{}}
	b, first := newImages(c.model, vitSamples), 0
	for _, n := range c.parts {
		var states [][]float32
		if s, ok := m.Stack.(*bdia.Stack); ok {
			s.Observe = func(k int, x tensor.Tensor) {
				got := read(be, x)
				if k == len(states) {
					checkGrid(t, k, got, c.opt.Grid)
					states = append(states, got)
					return
				}
				testkit.EqualBits(t, fmt.Sprintf("x_%d of %d on the way back", k, c.model.Layers), got, states[k])
			}
		}
		part := model.ImageBatch{Size: n, Pixels: b.Pixels[first*c.model.Pixels():][:n*c.model.Pixels()],
			Targets: b.Targets[first*c.model.Classes:][:n*c.model.Classes]}
		pass := backend.Pass{Train: true, Seed: 31, Step: 6, Sample: first}
		if err := testkit.AddTo(&out.loss)(m.MicroStep(part, pass, 0.25, sink)); err != nil {
			t.Fatal(err)
		}
		out.digests(m)
		if out.up == nil {
			out.up = states
		}
		out.dx0 = append(out.dx0, read(be, m.Stack.Grad())...)
		first += n
	}
	for _, p := range m.Params() {
		out.grads[p.Name] = read(be, p.Grad)
	}
	return out
}

// TestViTMemoryModesAgree: with every kind of dropout and stochastic depth, the
// reversible walk has the bits of stored and of recomputed activations.
func TestViTMemoryModesAgree(t *testing.T) {
	t.Parallel()
	for _, gamma := range []bdia.Gamma{0.5, 0.25} {
		for _, K := range []int{1, 2, 3, 6, 48} {
			for _, mean := range []bool{false, true} {
				t.Run(fmt.Sprintf("gamma %v/K %d/mean %v", gamma, K, mean), func(t *testing.T) {
					t.Parallel()
					c := smallViT(K)
					c.opt.Gamma, c.model.MeanPool = gamma, mean
					want := c.run(t)
					want.lively(t)
					for _, memory := range []bdia.Memory{bdia.Store, bdia.Recompute} {
						c.opt.Memory = memory
						c.run(t).equal(t, want)
					}
				})
			}
		}
	}
}

// TestViTPathsAgree: instruction sets, threads and micro-batches change no bit, of
// one residual stream or of two.
func TestViTPathsAgree(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(c *vitTrial){
		"class token": func(*vitTrial) {},
		"mean":        func(c *vitTrial) { c.model.MeanPool = true },
		"stored":      func(c *vitTrial) { c.opt.Memory = bdia.Store },
		"two streams": func(c *vitTrial) {
			c.model.TwoStream, c.opt = true, bdia.Options{Memory: bdia.Reversible, Grid: bdia.NoGrid}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := smallViT(4)
			change(&c)
			want := c.run(t)
			for _, level := range cpufeat.Supported() {
				other := c
				other.isa, other.threads = level.String(), 3
				other.run(t).equal(t, want)
			}
			for _, parts := range [][]int{{1, 1, 1, 1, 1, 1, 1}, {2, 5}, {6, 1}} {
				other := c
				other.threads, other.parts = 2, parts
				other.run(t).equal(t, want)
			}
		})
	}
}
