package model_test

import (
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// newCPU returns a backend that the test closes.
func newCPU(t *testing.T, threads int) *cpu.Backend {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: threads, ArenaBytes: cpu.ScratchBytes(threads) + 8<<20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	return be
}

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

// sink gives every parameter a gradient of its own, once.
type sink struct{}

func newSink(be backend.Backend, params []*tensor.Param) sink {
	for _, p := range params {
		p.Grad = be.Alloc(backend.Gradients, tensor.F32, p.Value.Shape)
		be.Zero(p.Grad)
	}
	return sink{}
}

func (sink) Open([]*tensor.Param)  {}
func (sink) Close([]*tensor.Param) {}

func read(be backend.Backend, x tensor.Tensor) []float32 {
	host := make([]float32, x.Len())
	be.Download(host, x)
	return host
}

// tiny is small, with sizes that are no multiples of vectors.
func tiny() model.GPTConfig {
	return model.GPTConfig{Vocab: 11, Context: 5, Layers: 3, Heads: 3, Width: 12}
}

// plain is ordinary back-propagation with gamma g.
func plain(g bdia.Gamma) bdia.Options {
	return bdia.Options{Memory: bdia.Store, Gamma: g, Grid: bdia.NoGrid}
}

var trainPass = backend.Pass{Train: true, Seed: 9, Step: 3, Sample: 4}
