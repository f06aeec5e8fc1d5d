package model_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// tinyViT has 7 positions of width 12: no multiples of vectors.
func tinyViT() model.ViTConfig {
	return model.ViTConfig{Image: 6, Patch: 3, Classes: 7, Layers: 3, Heads: 3, Width: 12, MLP: 20, GELU: backend.GELUErf}
}

// twoStream is ordinary back-propagation's choice of options, which RevViT has too.
var twoStream = bdia.Options{Memory: bdia.Reversible, Gamma: 0, Grid: bdia.NoGrid}

// newViT returns a model with lively random weights.
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

// newImages returns n random images, each between two classes.
func newImages(c model.ViTConfig, n int) model.ImageBatch {
	b := model.NewImageBatch(c, n)
	key := rng.Key{Seed: 23}
	for i := range b.Pixels {
		b.Pixels[i] = float32(2*key.Float64(uint32(i)) - 1)
	}
	for i := range n {
		row := b.Targets[i*c.Classes:][:c.Classes]
		clear(row)
		row[i%c.Classes] = 0.75
		row[(i+3)%c.Classes] += 0.25
	}
	return b
}

// TestViTGradients holds every gradient against finite differences; see TestGradients.
func TestViTGradients(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*model.ViTConfig){
		"class token": func(*model.ViTConfig) {},
		"mean":        func(c *model.ViTConfig) { c.MeanPool = true },
		"tanh":        func(c *model.ViTConfig) { c.GELU = backend.GELUTanh },
		"dropout": func(c *model.ViTConfig) {
			c.EmbeddingDropout, c.AttentionDropout, c.ResidualDropout, c.StochasticDepth = 0.2, 0.3, 0.25, 0.4
		},
	} {
		for kind, opt := range map[string]bdia.Options{"gamma 0": plain(0), "gamma 0.5": plain(0.5), "two streams": twoStream} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				c := tinyViT()
				change(&c)
				c.TwoStream = kind == "two streams"
				be := newCPU(t, 1)
				m := newViT(t, be, c, opt)
				b := newImages(c, 3)
				checkSlopes(t, be, m.Params(), func(s bdia.Sink) ([]float32, error) { return m.MicroStep(b, trainPass, 1, s) })
			})
		}
	}
}

// TestViTInit: the initial weights of timm, and a loss near ln V.
func TestViTInit(t *testing.T) {
	t.Parallel()
	c := tinyViT()
	c.Width, c.Image = 36, 12
	be := newCPU(t, 1)
	m := newViT(t, be, c, bdia.DefaultOptions())
	m.Init(5)
	var sum float64
	if err := testkit.AddTo(&sum)(m.Loss(newImages(c, 4), bdia.DefaultGrid)); err != nil {
		t.Fatal(err)
	}
	if loss, want := sum/4, math.Log(7); math.Abs(loss-want) > 0.1 {
		t.Errorf("loss %v at the start, want about %v", loss, want)
	}
	for _, p := range m.Params() {
		var squares float64
		for _, v := range read(be, p.Value) {
			squares += float64(v) * float64(v)
		}
		rms, want := math.Sqrt(squares/float64(p.Value.Len())), 0.02
		switch {
		case strings.HasSuffix(p.Name, ".bias"):
			want = 0
		case strings.Contains(p.Name, "ln"):
			want = 1
		case p.Name == "cls":
			want = 1e-6
		case p.Name == "patch.weight":
			want = 1 / math.Sqrt(3*27)
		}
		if math.Abs(rms-want) > 0.3*want {
			t.Errorf("%s: root mean square %v, want %v", p.Name, rms, want)
		}
	}
}

// TestViTLogits holds Loss and Logits against each other, and inference with a
// gamma against the paper's equation on the states without one.
func TestViTLogits(t *testing.T) {
	t.Parallel()
	for _, grid := range []bdia.Grid{bdia.DefaultGrid, bdia.NoGrid} {
		for _, mean := range []bool{false, true} {
			c := tinyViT()
			c.MeanPool = mean
			c.ResidualDropout, c.EmbeddingDropout, c.AttentionDropout, c.StochasticDepth = 0.5, 0.5, 0.5, 0.5 // must not matter
			be := newCPU(t, 2)
			m := newViT(t, be, c, bdia.DefaultOptions())
			b := newImages(c, 3)
			var sum, want float64
			if err := testkit.AddTo(&sum)(m.Loss(b, grid)); err != nil {
				t.Fatal(err)
			}
			logits := make([]float32, 3*c.Classes)
			if err := m.Logits(logits, b, grid, 0); err != nil {
				t.Fatal(err)
			}
			for i := range b.Size {
				row, total := logits[i*c.Classes:][:c.Classes], 0.0
				for _, l := range row {
					total += math.Exp(float64(l))
				}
				for j, p := range b.Targets[i*c.Classes:][:c.Classes] {
					want += float64(p) * (math.Log(total) - float64(row[j]))
				}
			}
			if math.Abs(sum-want) > 1e-5*want {
				t.Errorf("grid %v: loss %v, from the logits %v", grid, sum, want)
			}
			swept := map[float64][]float32{0: logits}
			for _, gamma := range []float64{-0.5, 0.3} {
				swept[gamma] = make([]float32, len(logits))
				if err := m.Logits(swept[gamma], b, grid, gamma); err != nil {
					t.Fatal(err)
				}
				if slices.Equal(swept[gamma], logits) {
					t.Errorf("gamma %v changes nothing", gamma)
				}
			}
		}
	}
}

// TestPatchOrder: a patch is cut by channel, row and column, and patches follow
// each other by row. The projection passes one value of each patch through, which
// is then the first state's.
func TestPatchOrder(t *testing.T) {
	t.Parallel()
	c := model.ViTConfig{Image: 4, Patch: 2, Classes: 2, Layers: 1, Heads: 1, Width: 1, MLP: 1}
	be := newCPU(t, 1)
	m := newViT(t, be, c, plain(0))
	b := model.NewImageBatch(c, 2)
	for i := range b.Pixels {
		b.Pixels[i] = float32(i)
	}
	value := map[string][]float32{}
	for _, p := range m.Params() {
		value[p.Name] = make([]float32, p.Value.Len())
	}
	value["cls"][0], value["patch.bias"][0] = 7, 0.5
	copy(value["pos"], []float32{0.125, 0.25, 0.375, 0.5, 0.625})
	for at := range 12 {
		clear(value["patch.weight"])
		value["patch.weight"][at] = 1
		for _, p := range m.Params() {
			be.Upload(p.Value, value[p.Name])
		}
		var want []float32
		for image := range 2 {
			want = append(want, 7.125)
			for patch := range 4 {
				channel, y, x := at/4, patch/2*2+at/2%2, patch%2*2+at%2
				want = append(want, float32(image*48+channel*16+y*4+x)+0.5+0.25+0.125*float32(patch))
			}
		}
		m.Stack.(*bdia.Stack).Observe = func(k int, x tensor.Tensor) {
			if k == 0 {
				testkit.EqualBits(t, fmt.Sprintf("value %d of the patches", at), read(be, x), want)
			}
		}
		if _, err := m.MicroStep(b, trainPass, 1, newSink(be, m.Params())); err != nil {
			t.Fatal(err)
		}
	}
}

// TestViTBadBatches: see TestBadBatches.
func TestViTBadBatches(t *testing.T) {
	t.Parallel()
	c := tinyViT()
	be := newCPU(t, 1)
	m := newViT(t, be, c, bdia.DefaultOptions())
	s := newSink(be, m.Params())
	mark := be.Mark()
	for name, change := range map[string]func(*model.ImageBatch){
		"no images":            func(b *model.ImageBatch) { b.Size = 0 },
		"another size":         func(b *model.ImageBatch) { b.Pixels = b.Pixels[3:] },
		"no targets":           func(b *model.ImageBatch) { b.Targets = nil },
		"negative probability": func(b *model.ImageBatch) { b.Targets[0], b.Targets[1] = -0.5, 1.5 },
		"no class":             func(b *model.ImageBatch) { clear(b.Targets) },
		"NaN":                  func(b *model.ImageBatch) { b.Targets[2] = float32(math.NaN()) },
		"infinite":             func(b *model.ImageBatch) { b.Targets[2] = float32(math.Inf(1)) },
	} {
		b := newImages(c, 2)
		change(&b)
		var sum float64
		if err := testkit.AddTo(&sum)(m.MicroStep(b, trainPass, 1, s)); !errors.Is(err, model.ErrBatch) {
			t.Errorf("%s: Step: error %v", name, err)
		}
		if err := testkit.AddTo(&sum)(m.Loss(b, bdia.NoGrid)); !errors.Is(err, model.ErrBatch) {
			t.Errorf("%s: Loss: error %v", name, err)
		}
	}
	b := newImages(c, 2)
	b.Pixels[9] = float32(math.NaN())
	var sum float64
	if err := testkit.AddTo(&sum)(m.MicroStep(b, trainPass, 1, s)); !errors.Is(err, bdia.ErrRange) {
		t.Errorf("a pixel that is NaN: error %v", err)
	}
	logits := make([]float32, 2*c.Classes)
	for _, gamma := range []float64{1, -1.5, math.NaN()} {
		if err := m.Logits(logits, newImages(c, 2), bdia.NoGrid, gamma); err == nil || !strings.Contains(err.Error(), "below 1") {
			t.Errorf("gamma %v: error %v", gamma, err)
		}
	}
	if be.Mark() != mark {
		t.Error("memory is left allocated")
	}
	c.TwoStream = true
	two := newViT(t, be, c, twoStream)
	if err := two.Logits(logits, newImages(c, 2), bdia.DefaultGrid, 0); err == nil || !strings.Contains(err.Error(), "two-stream") {
		t.Errorf("a grid for two streams: error %v", err)
	}
	if err := two.Logits(logits, newImages(c, 2), bdia.NoGrid, 0.5); err == nil || !strings.Contains(err.Error(), "two-stream") {
		t.Errorf("a gamma for two streams: error %v", err)
	}
}

// TestViTStepsDoNotAllocate: see TestStepsDoNotAllocate.
func TestViTStepsDoNotAllocate(t *testing.T) {
	for name, opt := range map[string]bdia.Options{"stack": bdia.DefaultOptions(), "two streams": twoStream} {
		c := tinyViT()
		c.TwoStream = opt == twoStream
		c.ResidualDropout, c.StochasticDepth = 0.1, 0.1
		be := newCPU(t, 2)
		m := newViT(t, be, c, opt)
		s, b, pass := newSink(be, m.Params()), newImages(c, 3), trainPass
		if got := testing.AllocsPerRun(20, func() {
			var sum float64
			pass.Step++
			if err := testkit.AddTo(&sum)(m.MicroStep(b, pass, 1, s)); err != nil {
				t.Fatal(err)
			}
			if err := testkit.AddTo(&sum)(m.Loss(b, opt.Grid)); err != nil {
				t.Fatal(err)
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations a step", name, got)
		}
	}
}

// TestViTPlan: a step and an evaluation take what planning says, to the byte.
func TestViTPlan(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*model.ViTConfig){
		"class token": func(*model.ViTConfig) {},
		"mean":        func(c *model.ViTConfig) { c.MeanPool, c.MLP = true, 5 },
		"dropout":     func(c *model.ViTConfig) { c.ResidualDropout, c.StochasticDepth = 0.1, 0.1 },
		"two streams": func(c *model.ViTConfig) { c.TwoStream = true },
	} {
		for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
			c, opt := tinyViT(), bdia.DefaultOptions()
			if change(&c); c.TwoStream {
				opt = twoStream
			}
			opt.Memory = memory
			run := func(be backend.Backend) backend.Usage {
				m := newViT(t, be, c, opt)
				b := newImages(c, 3)
				var sum float64
				if err := testkit.AddTo(&sum)(m.MicroStep(b, trainPass, 1, newSink(be, m.Params()))); err != nil {
					t.Fatal(err)
				}
				if err := testkit.AddTo(&sum)(m.Loss(b, opt.Grid)); err != nil {
					t.Fatal(err)
				}
				return be.Peak()
			}
			planned := run(plan.New(cpu.ScratchBytes(1)))
			be, err := cpu.New(cpu.Options{Threads: 1, ArenaBytes: planned.Total})
			if err != nil {
				t.Fatal(err)
			}
			if got := run(be); got != planned {
				t.Errorf("%s, %v: peak %v, planned %v", name, memory, got, planned)
			}
			be.Close()
		}
	}
}

// TestPaperMemory: at the paper's setting (K=6, width 512, batch 128, an optimiser
// with two moments) the peak of a reversible step is below the paper's 0.44 of
// ordinary back-propagation's, and below the 0.365 that it reports for RevViT. Half a state, 0.007, is what float32
// rounds off two states, so that they reach 2^30 units.
func TestPaperMemory(t *testing.T) {
	t.Parallel()
	c, err := model.ViTPreset("vit-paper")
	if err != nil {
		t.Fatal(err)
	}
	peak := func(c model.ViTConfig, opt bdia.Options, now bool) float64 {
		be := plan.New(cpu.ScratchBytes(2))
		m, err := model.NewViT(be, c, opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range m.Params() {
			be.Alloc(backend.Optimiser, tensor.F32, tensor.Shape{2 * p.Value.Len()})
		}
		var s bdia.Sink = passing{be}
		if !now {
			s = newSink(be, m.Params())
		}
		if _, err := m.MicroStep(model.NewImageBatch(c, 128), trainPass, 1, s); err != nil {
			t.Fatal(err)
		}
		return float64(be.Peak().Total)
	}
	store, reversible := peak(c, plain(0), false), peak(c, bdia.DefaultOptions(), true)
	c.TwoStream = true
	two := peak(c, twoStream, true)
	if ratio := reversible / store; ratio > 0.3+0.007 {
		t.Errorf("reversible takes %.3f of store", ratio)
	}
	if ratio := two / store; ratio > 0.3 || two > reversible {
		t.Errorf("two streams take %.3f of store", ratio)
	}
}

// passing is a Sink that is done with gradients when a pass is over.
type passing struct{ be backend.Backend }

func (s passing) Open(params []*tensor.Param) { bdia.AllocGrads(s.be, params) }
func (passing) Close([]*tensor.Param)         {}
