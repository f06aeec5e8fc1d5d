package model_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// TestGradients holds the gradient of every parameter tensor against directional
// finite differences of the loss. Directions are the gradient itself with random
// halves of its entries left out: the derivative along one is the sum of the
// squares that stay, so no entry can be wrong for long.
func TestGradients(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*model.GPTConfig){
		"tied, tanh": func(*model.GPTConfig) {},
		"untied":     func(c *model.GPTConfig) { c.Untied = true },
		"erf":        func(c *model.GPTConfig) { c.GELU = backend.GELUErf },
		"no bias":    func(c *model.GPTConfig) { c.NoBias = true },
		"narrow MLP": func(c *model.GPTConfig) { c.MLP = 7 }, // < 3C/4
		"MLP of 2C":  func(c *model.GPTConfig) { c.MLP = 24 },
		"one block":  func(c *model.GPTConfig) { c.Layers = 1 },
		"dropout": func(c *model.GPTConfig) {
			c.EmbeddingDropout, c.AttentionDropout, c.ResidualDropout = 0.2, 0.3, 0.25
		},
		"everything": func(c *model.GPTConfig) {
			c.Untied, c.NoBias, c.GELU, c.MLP, c.Eps = true, true, backend.GELUErf, 9, 1e-2
			c.EmbeddingDropout, c.AttentionDropout, c.ResidualDropout = 0.1, 0.1, 0.1
		},
	} {
		for _, gamma := range []bdia.Gamma{0, 0.5, 0.6} {
			t.Run(fmt.Sprintf("%s/gamma %v", name, gamma), func(t *testing.T) {
				t.Parallel()
				c := tiny()
				change(&c)
				checkGradients(t, c, plain(gamma))
			})
		}
	}
}

func checkGradients(t *testing.T, c model.GPTConfig, opt bdia.Options) {
	t.Helper()
	be := newCPU(t, 1)
	m := newModel(t, be, c, opt)
	b := newBatch(c, 2)
	checkSlopes(t, be, m.Params(), func(s bdia.Sink) ([]float32, error) { return m.MicroStep(b, trainPass, 1, s) })
}

// checkSlopes holds the gradients of a step against the slopes of its loss.
func checkSlopes(t *testing.T, be backend.Backend, params []*tensor.Param, step func(s bdia.Sink) ([]float32, error)) {
	t.Helper()
	s := newSink(be, params)
	loss := func() float64 {
		losses, err := step(s)
		if err != nil {
			t.Fatal(err)
		}
		return model.AddLosses(0, losses)
	}
	loss()
	grads := map[string][]float32{}
	for _, p := range params {
		grads[p.Name] = read(be, p.Grad)
	}
	for i, p := range params {
		g, at := grads[p.Name], read(be, p.Value)
		for half := range 3 {
			key := rng.Key{Seed: 1, Block: uint32(8*i + half)}
			dir, squares, norm := make([]float64, len(g)), 0.0, 0.0
			for j, v := range g {
				norm += float64(v) * float64(v)
				if half == 0 || key.At(uint32(j))[0]&1 == 0 {
					dir[j] = float64(v)
					squares += dir[j] * dir[j]
				}
			}
			if norm == 0 {
				t.Errorf("the gradient of %s is zero", p.Name)
				break
			}
			if squares == 0 {
				continue
			}
			// A step long enough to rise above the rounding of float32, short
			// enough for the curvature.
			eps := min(0.02/math.Sqrt(squares), 0.02)
			shifted := func(by float64) float64 {
				host, length := make([]float32, len(at)), math.Sqrt(squares)
				for j := range host {
					host[j] = at[j] + float32(by*dir[j]/length)
				}
				be.Upload(p.Value, host)
				return loss()
			}
			got := (shifted(eps) - shifted(-eps)) / (2 * eps)
			be.Upload(p.Value, at)
			want := math.Sqrt(squares)
			if math.Abs(got-want) > 0.01*want+1e-5/eps {
				t.Errorf("%s: the loss changes by %.6g along the gradient (half %d), want %.6g", p.Name, got, half, want)
			}
		}
	}
}

// TestGradientsOnAFineGrid: rounding is passed over by the gradient, so on a fine
// grid it must be nearly that of the run without a grid.
func TestGradientsOnAFineGrid(t *testing.T) {
	t.Parallel()
	c := tiny()
	c.Layers, c.ResidualDropout = 5, 0.1
	for gamma, grid := range map[bdia.Gamma]bdia.Grid{0.5: 18, 0.25: 18} {
		all := map[bool]map[string][]float32{}
		for _, exact := range []bool{false, true} {
			be := newCPU(t, 1)
			opt := plain(gamma)
			if !exact {
				opt = bdia.Options{Memory: bdia.Reversible, Gamma: gamma, Grid: grid}
			}
			m := newModel(t, be, c, opt)
			s := newSink(be, m.Params())
			var sum float64
			if err := testkit.AddTo(&sum)(m.MicroStep(newBatch(c, 3), trainPass, 1, s)); err != nil {
				t.Fatal(err)
			}
			all[exact] = map[string][]float32{"loss": {float32(sum)}}
			for _, p := range m.Params() {
				all[exact][p.Name] = read(be, p.Grad)
			}
		}
		for name, g := range all[true] {
			testkit.Near(t, fmt.Sprintf("gamma %v: %s", gamma, name), all[false][name], g, 1e-3)
		}
	}
}

// TestGradientIsLinearInScale: scale multiplies the gradients and nothing else.
func TestGradientIsLinearInScale(t *testing.T) {
	t.Parallel()
	c := tiny()
	be := newCPU(t, 1)
	m := newModel(t, be, c, bdia.DefaultOptions())
	s, b := newSink(be, m.Params()), newBatch(c, 2)
	var one, quarter float64
	if err := testkit.AddTo(&one)(m.MicroStep(b, trainPass, 1, s)); err != nil {
		t.Fatal(err)
	}
	first := map[string][]float32{}
	for _, p := range m.Params() {
		be.Scale(p.Grad, 0.25) // a power of two is exact
		first[p.Name] = read(be, p.Grad)
		be.Zero(p.Grad)
	}
	if err := testkit.AddTo(&quarter)(m.MicroStep(b, trainPass, 0.25, s)); err != nil {
		t.Fatal(err)
	}
	if one != quarter {
		t.Errorf("losses %v and %v", one, quarter)
	}
	for _, p := range m.Params() {
		testkit.EqualBits(t, p.Name, read(be, p.Grad), first[p.Name])
	}
}
