package bdia_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// twoStreamViT is a trial of RevViT.
func twoStreamViT(K int, memory bdia.Memory) vitTrial {
	c := smallViT(K)
	c.model.TwoStream, c.opt = true, bdia.Options{Memory: memory, Grid: bdia.NoGrid}
	return c
}

// TestTwoStreamModes: stored and recomputed activations give the same bits; the
// inverse gives states and gradients back but for rounding.
func TestTwoStreamModes(t *testing.T) {
	t.Parallel()
	for _, K := range []int{1, 2, 6} {
		want := twoStreamViT(K, bdia.Store).run(t)
		want.lively(t)
		twoStreamViT(K, bdia.Recompute).run(t).equal(t, want)
		got := twoStreamViT(K, bdia.Reversible).run(t)
		if got.loss != want.loss {
			t.Errorf("K %d: loss %v, stored %v", K, got.loss, want.loss)
		}
		for name, g := range want.grads {
			testkit.Near(t, "gradient of "+name, got.grads[name], g, 1e-3)
		}
		testkit.Near(t, "dloss/dx_0", got.dx0, want.dx0, 1e-3)
	}
}

// TestTwoStreamEquations runs two pairs of blocks by hand: y1 = x1 + F(x2),
// y2 = x2 + G(y1), x1 = x2 = x at the start, the mean at the end.
func TestTwoStreamEquations(t *testing.T) {
	t.Parallel()
	be := newCPU(t, cpu.Options{Threads: 1})
	by := []float32{0.5, 0.25, -0.5, 2} // all exact
	blocks := make([]bdia.Block, len(by))
	for j, f := range by {
		blocks[j] = &grow{be, f}
	}
	s, err := bdia.NewTwoStream(be, blocks, bdia.Options{Memory: bdia.Reversible, Grid: bdia.NoGrid})
	if err != nil {
		t.Fatal(err)
	}
	y := []float32{3, 3}
	for j, f := range by {
		y = append(y, y[j]+f*y[j+1])
	}
	x := s.Begin(tensor.Shape{1, 1, 1}, backend.Pass{Train: true})
	be.Upload(x, []float32{3})
	visits := 0
	s.Observe = func(j int, got tensor.Tensor) {
		visits++
		testkit.EqualBits(t, "state", read(be, got), y[j:j+1])
	}
	out, err := s.Forward()
	if err != nil {
		t.Fatal(err)
	}
	want := (y[4] + y[5]) / 2
	testkit.EqualBits(t, "mean", read(be, out), []float32{want})
	be.Upload(s.Grad(), []float32{1})
	s.Reverse(&keepAll{})
	testkit.EqualBits(t, "dmean/dx", read(be, s.Grad()), []float32{want / 3}) // all is linear
	if visits != 6+4 {
		t.Errorf("%d states were observed, want 6 up and 4 back", visits)
	}
	be.Upload(x, []float32{3})
	s.Infer(x)
	testkit.EqualBits(t, "inference", read(be, x), []float32{want})
}

// TestTwoStreamDrift: the error of the inverse is seen, small, and grows on the
// way back.
func TestTwoStreamDrift(t *testing.T) {
	t.Parallel()
	be := newCPU(t, cpu.Options{Threads: 1})
	c := twoStreamViT(12, bdia.Recompute)
	m := newViT(t, be, c.model, c.opt)
	var ks []int
	var errs []float64
	pass := backend.Pass{Train: true, Seed: 1}
	if err := m.Drift(newImages(c.model, 3), pass, func(k int, rms, largest float64) {
		ks, errs = append(ks, k), append(errs, rms)
		if !(rms <= largest) {
			t.Errorf("pair %d: root mean square %v above the largest error %v", k, rms, largest)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if len(ks) != 12 || ks[0] != 11 || ks[11] != 0 {
		t.Fatalf("pairs %v", ks)
	}
	if !(errs[11] > errs[0]) || errs[11] == 0 || errs[11] > 1e-3 {
		t.Errorf("errors from the last pair to the first %v", errs)
	}
	c = twoStreamViT(2, bdia.Reversible)
	if err := newViT(t, be, c.model, c.opt).Drift(newImages(c.model, 1), pass, nil); err == nil {
		t.Error("drift without stored states")
	}
}

func TestTwoStreamErrors(t *testing.T) {
	t.Parallel()
	be := newCPU(t, cpu.Options{Threads: 1})
	none := bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid}
	for _, n := range []int{0, 1, 3} {
		if _, err := bdia.NewTwoStream(be, make([]bdia.Block, n), none); err == nil || !strings.Contains(err.Error(), "pairs") {
			t.Errorf("%d branches: error %v", n, err)
		}
	}
	_, err := bdia.NewTwoStream(be, make([]bdia.Block, 2), bdia.DefaultOptions())
	var of *bdia.OptionsError
	if !errors.As(err, &of) || !of.TwoStream || of.Options != bdia.DefaultOptions() || !strings.Contains(err.Error(), "use gamma 0 and no grid") {
		t.Errorf("error %v", err)
	}
}

// TestInferenceGamma: without a grid, inference with a gamma is the training law
// with that gamma everywhere; on a grid each state is that sum rounded once.
func TestInferenceGamma(t *testing.T) {
	t.Parallel()
	be := newCPU(t, cpu.Options{Threads: 1})
	cfg := nn.BlockConfig{Width: 12, Heads: 3, MLP: 20, Bias: true, Eps: 1e-5, ResidualDropout: 0.5, StochasticDepth: 0.5}
	const K, gamma = 5, -0.4
	s, _ := repeat(t, be, K, cfg, bdia.Options{Memory: bdia.Store, Gamma: 0.5, Grid: bdia.NoGrid})
	gammas := make([]float32, 2*K)
	for i := range gammas {
		gammas[i] = gamma
	}
	s.SetGammas(gammas)
	x := s.Begin(tensor.Shape{2, 3, 12}, backend.Pass{})
	nn.Normal(be, &tensor.Param{Value: x}, 1, 4, 0)
	y := be.Alloc(backend.States, tensor.F32, x.Shape)
	be.Copy(y, x)
	xK, err := s.Forward()
	if err != nil {
		t.Fatal(err)
	}
	s.Infer(y, bdia.NoGrid, gamma)
	testkit.EqualBits(t, "x_K without a grid", read(be, y), read(be, xK))

	for k := 1; k <= 4; k++ { // the result may end in either buffer
		blocks := make([]bdia.Block, k)
		for i := range blocks {
			blocks[i] = &grow{be, 0.5}
		}
		s, err := bdia.NewStack(be, blocks, bdia.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		const unit, g = 0x1p-9, 0.25
		round := func(v float64) float64 { return math.RoundToEven(v/unit) * unit }
		prev, cur := 0.0, round(0.123)
		for i := range k {
			next := round(1.5 * cur)
			if i > 0 {
				next = round(g*prev + (1-g)*cur + (1+g)*0.5*cur)
			}
			prev, cur = cur, next
		}
		x := be.Alloc(backend.States, tensor.F32, tensor.Shape{1, 1, 1})
		be.Upload(x, []float32{0.123})
		mark := be.Mark()
		s.Infer(x, bdia.DefaultGrid, g)
		if be.Mark() != mark {
			t.Error("Infer left memory allocated")
		}
		testkit.EqualBits(t, "x_K on a grid", read(be, x), []float32{float32(cur)})
	}
}
