package bdia_test

import (
	"fmt"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/golden"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// tinyViT is the model of vit_tiny_bdia.safetensors.
var tinyViT = model.ViTConfig{Image: 8, Patch: 4, Classes: 10, Layers: 3, Heads: 4, Width: 32, GELU: backend.GELUErf, Eps: 1e-5}

// TestGoldenViT holds a vision transformer against the reference: states and side
// information in bits; loss, gradients and logits within 1e-5.
func TestGoldenViT(t *testing.T) {
	t.Parallel()
	g := golden.Open(t, "vit_tiny_bdia.safetensors")
	for _, level := range cpufeat.Supported() {
		for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
			t.Run(fmt.Sprintf("%v/%v", level, memory), func(t *testing.T) {
				t.Parallel()
				goldenViT(t, g, newCPU(t, cpu.Options{Threads: 2, ISA: level.String()}), memory)
			})
		}
	}
}

func goldenViT(t *testing.T, g *golden.File, be backend.Backend, memory bdia.Memory) {
	opt := bdia.DefaultOptions()
	opt.Memory = memory
	m, err := model.NewViT(be, tinyViT, opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		be.Upload(p.Value, g.F32("param."+p.Name))
	}
	labels := g.I32("input.labels")
	batch := model.NewImageBatch(tinyViT, len(labels))
	copy(batch.Pixels, g.F32("input.image"))
	clear(batch.Targets)
	for i, l := range labels {
		batch.Targets[i*tinyViT.Classes+int(l)] = 1
	}

	stack := m.Stack.(*bdia.Stack)
	stack.SetGammas(g.F32("gamma"))
	seen := 0
	stack.Observe = func(k int, x tensor.Tensor) {
		seen++
		testkit.EqualBits(t, fmt.Sprintf("x_%d (visit %d)", k, seen), read(be, x), g.F32(fmt.Sprintf("x.%d", k)))
		if memory == bdia.Reversible && k == tinyViT.Layers {
			side := stack.Side().Of(0)
			bits := make([]byte, side.Len())
			be.DownloadBytes(bits, side)
			if want := g.Bytes("s_packed.0"); string(bits) != string(want) {
				t.Error("side information s_0 differs")
			}
		}
	}
	sink := &collect{be: be, grads: map[string][]float32{}}
	n := float64(batch.Size)
	var sum float64
	if err := testkit.AddTo(&sum)(m.MicroStep(batch, backend.Pass{Train: true}, float32(1/n), sink)); err != nil {
		t.Fatal(err)
	}
	want := tinyViT.Layers + 1
	if memory == bdia.Reversible {
		want++ // x_0 again
	}
	if seen != want {
		t.Errorf("%d states were observed, want %d", seen, want)
	}
	testkit.Near(t, "loss", []float32{float32(sum / n)}, g.F32("loss"), 1e-5)
	for name, grad := range sink.grads {
		testkit.Near(t, "gradient of "+name, grad, g.F32("grad."+name), 1e-5)
	}
	if len(sink.grads) != len(m.Params()) {
		t.Errorf("%d gradients for %d parameters", len(sink.grads), len(m.Params()))
	}
	testkit.Near(t, "dloss/dx_0", read(be, stack.Grad()), g.F32("gx.0"), 1e-5)

	stack.Observe = func(k int, x tensor.Tensor) {
		testkit.EqualBits(t, fmt.Sprintf("inference x_%d", k), read(be, x), g.F32(fmt.Sprintf("infer.x.%d", k)))
	}
	sum = 0
	if err := testkit.AddTo(&sum)(m.Loss(batch, bdia.DefaultGrid)); err != nil {
		t.Fatal(err)
	}
	testkit.Near(t, "inference loss", []float32{float32(sum / n)}, g.F32("infer.loss"), 1e-5)
	logits := make([]float32, batch.Size*tinyViT.Classes)
	if err := m.Logits(logits, batch, bdia.DefaultGrid, 0); err != nil {
		t.Fatal(err)
	}
	testkit.Near(t, "inference logits", logits, g.F32("infer.logits"), 1e-5)
}
