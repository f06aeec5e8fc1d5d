package nn_test

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
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// newCPU returns a backend of the given MiB that the test closes.
func newCPU(t *testing.T, mib int64) *cpu.Backend {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 2, ArenaBytes: cpu.ScratchBytes(2) + mib<<20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	return be
}

func read(be backend.Backend, x tensor.Tensor) []float32 {
	host := make([]float32, x.Len())
	be.Download(host, x)
	return host
}

// normal returns a tensor of normal draws of the given stream.
func normal(be backend.Backend, id int, s ...int) tensor.Tensor {
	var shape tensor.Shape
	copy(shape[:], s)
	x := be.Alloc(backend.Activation, tensor.F32, shape)
	nn.Normal(be, &tensor.Param{Value: x}, 1, 77, id)
	return x
}

// gradients gives params cleared gradients.
func gradients(be backend.Backend, params []*tensor.Param) {
	for _, p := range params {
		p.Grad = be.Alloc(backend.Gradients, tensor.F32, p.Value.Shape)
		be.Zero(p.Grad)
	}
}

var pass = backend.Pass{Train: true, Seed: 3, Step: 2, Sample: 1}

// TestBlockGradients holds a block's backward pass, in its input and every
// parameter, against finite differences of <h(x), r>.
func TestBlockGradients(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*nn.BlockConfig){
		"causal":    func(*nn.BlockConfig) {},
		"all see":   func(c *nn.BlockConfig) { c.Causal = false },
		"no bias":   func(c *nn.BlockConfig) { c.Bias = false },
		"erf":       func(c *nn.BlockConfig) { c.GELU = backend.GELUErf },
		"MLP < 3C":  func(c *nn.BlockConfig) { c.MLP = 5 },
		"one head":  func(c *nn.BlockConfig) { c.Heads = 1 },
		"attention": func(c *nn.BlockConfig) { c.AttentionDropout = 0.3 },
		"residual":  func(c *nn.BlockConfig) { c.ResidualDropout = 0.3 },
		"depth":     func(c *nn.BlockConfig) { c.StochasticDepth = 0.5 },
		"all":       func(c *nn.BlockConfig) { c.AttentionDropout, c.ResidualDropout, c.StochasticDepth = 0.1, 0.1, 0.5 },
		"after":     func(c *nn.BlockConfig) { c.NormAfter = true },
		"scaled":    func(c *nn.BlockConfig) { c.AttentionScale, c.BranchScale = 0.9, 0.3 },
		"joint norms": func(c *nn.BlockConfig) {
			c.RMS, c.HeadNorm, c.JointNorm, c.Gated, c.KVHeads, c.HeadWidth = true, true, true, true, 1, 6
		},
		"after, all": func(c *nn.BlockConfig) {
			c.NormAfter, c.AttentionScale, c.BranchScale, c.RMS, c.Gated, c.MLP = true, 0.9, 0.3, true, true, 5
			c.AttentionDropout, c.ResidualDropout, c.StochasticDepth = 0.1, 0.1, 0.5
		},
	} {
		cfg := nn.BlockConfig{Width: 12, Heads: 3, MLP: 30, Causal: true, Bias: true, Eps: 1e-5}
		change(&cfg)
		for kind, layer := range layers(cfg) {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				checkBlock(t, layer)
			})
		}
	}
}

// layers makes the residual functions of one configuration: a block, and its branches.
func layers(cfg nn.BlockConfig) map[string]func(be backend.Backend) bdia.Block {
	return map[string]func(be backend.Backend) bdia.Block{
		"block":     func(be backend.Backend) bdia.Block { return nn.NewBlock(be, "b.", 4, cfg) },
		"attention": func(be backend.Backend) bdia.Block { return nn.NewAttention(be, "b.", 4, cfg) },
		"mlp":       func(be backend.Backend) bdia.Block { return nn.NewMLP(be, "b.", 4, cfg) },
	}
}

// checkBlock holds a layer's gradients against slopes, those of its input, its
// parameters and what more it has.
func checkBlock(t *testing.T, layer func(be backend.Backend) bdia.Block, more ...func() (name string, x, dx tensor.Tensor)) {
	t.Helper()
	const B, T, C = 5, 5, 12 // of five samples, stochastic depth keeps and drops some
	be := newCPU(t, 4)
	b := layer(be)
	for i, p := range b.Params() {
		nn.Normal(be, p, 0.4, 1, i)
	}
	gradients(be, b.Params())
	x, r := normal(be, 100, B, T, C), normal(be, 101, B, T, C)
	h, d := normal(be, 0, B, T, C), normal(be, 0, B, T, C)
	R := read(be, r)
	value := func() (sum float64) {
		mark := be.Mark()
		b.Forward(h, x, pass)
		be.Release(mark)
		for i, v := range read(be, h) {
			sum += float64(v) * float64(R[i])
		}
		return sum
	}
	mark := be.Mark()
	b.Forward(h, x, pass)
	be.Copy(d, r)
	b.Backward(d, x)
	be.Release(mark)
	checkDirection(t, be, "x", x, read(be, d), value)
	for _, p := range b.Params() {
		checkDirection(t, be, p.Name, p.Value, read(be, p.Grad), value)
	}
	for _, m := range more {
		name, x, dx := m()
		checkDirection(t, be, name, x, read(be, dx), value)
	}
}

// checkDirection compares the norm of gradient g with the slope of f along g.
func checkDirection(t *testing.T, be backend.Backend, name string, x tensor.Tensor, g []float32, f func() float64) {
	t.Helper()
	var squares float64
	for _, v := range g {
		squares += float64(v) * float64(v)
	}
	norm, at := math.Sqrt(squares), read(be, x)
	if norm == 0 {
		t.Errorf("the gradient of %s is zero", name)
		return
	}
	const eps = 5e-3
	shifted := func(by float64) float64 {
		host := make([]float32, len(at))
		for i := range host {
			host[i] = at[i] + float32(by*float64(g[i])/norm)
		}
		be.Upload(x, host)
		return f()
	}
	got := (shifted(eps) - shifted(-eps)) / (2 * eps)
	be.Upload(x, at)
	if math.Abs(got-norm) > 0.01*norm+1e-5/eps {
		t.Errorf("%s: slope %.6g along the gradient, want %.6g", name, got, norm)
	}
}

// TestBlockRepeats: the same pass gives the same bits; outside training there is
// no dropout, and another step, sample or block draws another mask.
func TestBlockRepeats(t *testing.T) {
	t.Parallel()
	const B, T, C = 2, 3, 8
	be := newCPU(t, 4)
	cfg := nn.BlockConfig{Width: C, Heads: 2, MLP: 16, Bias: true, Eps: 1e-5, AttentionDropout: 0.4, ResidualDropout: 0.4}
	dry := cfg
	dry.AttentionDropout, dry.ResidualDropout = 0, 0
	x, h := normal(be, 1, B, T, C), normal(be, 2, B, T, C)
	run := func(index int, cfg nn.BlockConfig, pass backend.Pass) []float32 {
		b := nn.NewBlock(be, "", index, cfg)
		for i, p := range b.Params() {
			nn.Normal(be, p, 0.4, 1, i)
		}
		b.Forward(h, x, pass)
		return read(be, h)
	}
	first := run(0, cfg, pass)
	testkit.EqualBits(t, "the same pass", run(0, cfg, pass), first)
	testkit.EqualBits(t, "outside training", run(0, cfg, backend.Pass{Seed: 3}), run(0, dry, pass))
	step, sample, seed := pass, pass, pass
	step.Step++
	sample.Sample++
	seed.Seed++
	for name, other := range map[string][]float32{"step": run(0, cfg, step), "sample": run(0, cfg, sample), "seed": run(0, cfg, seed), "block": run(1, cfg, pass)} {
		same := true
		for i := range first {
			same = same && first[i] == other[i]
		}
		if same {
			t.Errorf("another %s has the same masks", name)
		}
	}
}

// TestHeadChunks: logits in chunks of 256 rows give the bits of 75 at a time.
func TestHeadChunks(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("ten million logits")
	}
	const V, C, rows = 1 << 14, 3, 600
	be := newCPU(t, 48)
	head := nn.NewHead(be, "", nn.BlockConfig{Width: C, Bias: true, Eps: 1e-5}, V, nil)
	params := append(head.Norm.Params(), head.Logits.Weight)
	for i, p := range params {
		nn.Normal(be, p, 1, 2, i)
	}
	gradients(be, params)
	x, dx := normal(be, 5, rows, C), normal(be, 6, rows, C)
	losses, again := normal(be, 7, rows), normal(be, 8, rows)
	targets := be.Alloc(backend.Data, tensor.I32, tensor.Shape{rows})
	host := make([]int32, rows)
	for i := range host {
		host[i] = int32(i * 27)
	}
	be.UploadInts(targets, host)
	run := func(step int) map[string][]float32 {
		for _, p := range params {
			be.Zero(p.Grad)
		}
		for from := 0; from < rows; from += step {
			to := from + step
			head.LossBackward(dx.RowRange(from, to), losses.Slice(from, to), x.RowRange(from, to), targets.Slice(from, to), 0.125)
		}
		out := map[string][]float32{"dx": read(be, dx), "losses": read(be, losses)}
		for _, p := range params {
			out[p.Name] = read(be, p.Grad)
		}
		return out
	}
	whole, parts := run(rows), run(75)
	for name, got := range whole {
		testkit.EqualBits(t, name, got, parts[name])
	}
	head.Loss(again, x, targets)
	testkit.EqualBits(t, "losses without gradients", read(be, again), whole["losses"])
}

// TestNormalPieces: what is made in pieces, by several processors, is what each
// place by itself says, and the same of a shorter parameter.
func TestNormalPieces(t *testing.T) {
	t.Parallel()
	const n, short = 1<<20 + 20_003, 9_999
	be := newCPU(t, 8)
	long := read(be, normal(be, 3, n))
	testkit.EqualBits(t, "beginning", long[:short], read(be, normal(be, 3, short)))
	key := rng.Key{Seed: 77, Block: 3, Site: rng.SiteInit}
	for _, i := range []int{0, 2, 4094, 1<<19 + 2, 1<<20 - 2, 1 << 20, 1<<20 + 4096, n - 1} {
		w := key.At(uint32(i / 2))
		u1 := (float64(uint64(w[0])<<32|uint64(w[1])) + 1) * 0x1p-64
		u2 := float64(uint64(w[2])<<32|uint64(w[3])) * 0x1p-64
		if want := float32(math.Sqrt(-2*math.Log(u1)) * math.Cos(2*math.Pi*u2)); long[i] != want {
			t.Errorf("element %d is %v, want %v", i, long[i], want)
		}
	}
	p := &tensor.Param{Value: be.Alloc(backend.Weights, tensor.F32, tensor.Shape{n / 4})}
	nn.Fill(be, p, 3)
	if x := read(be, p.Value); slices.Min(x) != 3 || slices.Max(x) != 3 {
		t.Error("filled with 3, it has other elements")
	}
}

// TestNormal checks moments, tails and independence of the initial weights.
func TestNormal(t *testing.T) {
	t.Parallel()
	be := newCPU(t, 4)
	const n = 100_001
	draws := map[int][]float32{}
	for _, id := range []int{0, 1} {
		p := &tensor.Param{Value: be.Alloc(backend.Weights, tensor.F32, tensor.Shape{n})}
		nn.Normal(be, p, 0.5, 42, id)
		x := read(be, p.Value)
		draws[id] = x
		var sum, squares, fourth, within float64
		for _, v := range x {
			z := float64(v) / 0.5
			sum += z
			squares += z * z
			fourth += z * z * z * z
			if math.Abs(z) < 1 {
				within++
			}
		}
		for what, c := range map[string]struct{ got, want, deviation float64 }{
			"mean":            {sum / n, 0, 1},
			"variance":        {squares / n, 1, math.Sqrt2},
			"fourth moment":   {fourth / n, 3, math.Sqrt(96)},
			"share within 1σ": {within / n, 0.682689, 0.4654},
		} {
			if z := (c.got - c.want) / c.deviation * math.Sqrt(n); math.Abs(z) > 4.5 {
				t.Errorf("stream %d: %s %v, want %v: %.1f deviations off", id, what, c.got, c.want, z)
			}
		}
	}
	var product float64
	for i := range draws[0] {
		product += float64(draws[0][i]) * float64(draws[1][i]) / 0.25
	}
	if z := product / math.Sqrt(n); math.Abs(z) > 4.5 {
		t.Errorf("two streams correlate: %.1f deviations", z)
	}
	nn.Fill(be, nil, 1) // an absent bias is no error
	p := &tensor.Param{Value: be.Alloc(backend.Weights, tensor.F32, tensor.Shape{3})}
	nn.Fill(be, p, 2.5)
	testkit.EqualBits(t, "Fill", read(be, p.Value), []float32{2.5, 2.5, 2.5})
}

// TestBranchesMakeTheBlock: h(x) = a(x) + m(x+a(x)), of the same weights and masks.
func TestBranchesMakeTheBlock(t *testing.T) {
	t.Parallel()
	cfg := nn.BlockConfig{Width: 12, Heads: 3, MLP: 30, Bias: true, Eps: 1e-5, AttentionDropout: 0.2, ResidualDropout: 0.2, StochasticDepth: 0.4}
	be := newCPU(t, 4)
	block, att, mlp := nn.NewBlock(be, "", 2, cfg), nn.NewAttention(be, "", 2, cfg), nn.NewMLP(be, "", 2, cfg)
	block.Init(3, 0.5)
	att.Init(3, 0.5)
	mlp.Init(3, 0.5)
	for i, p := range append(att.Params(), mlp.Params()...) {
		if q := block.Params()[i]; q.Name != p.Name {
			t.Errorf("parameter %s of the branches is %s in the block", p.Name, q.Name)
		}
	}
	x, a, h, want := normal(be, 1, 4, 5, 12), normal(be, 0, 4, 5, 12), normal(be, 0, 4, 5, 12), normal(be, 0, 4, 5, 12)
	block.Forward(want, x, pass)
	att.Forward(a, x, pass)
	be.Add(x, x, a)
	mlp.Forward(h, x, pass)
	be.Add(h, h, a)
	testkit.EqualBits(t, "h", read(be, h), read(be, want))
}

// TestStochasticDepth: a branch is there or not for a sample as a whole, its mean
// is that of inference, and outside training it is always there.
func TestStochasticDepth(t *testing.T) {
	t.Parallel()
	const B, p = 400, 0.25
	cfg := nn.BlockConfig{Width: 4, Heads: 1, MLP: 4, Bias: true, Eps: 1e-5, StochasticDepth: p}
	for kind, layer := range layers(cfg) {
		if kind == "block" {
			continue // two branches, one of which feeds the other
		}
		be := newCPU(t, 4)
		b := layer(be)
		for i, q := range b.Params() {
			nn.Normal(be, q, 0.4, 1, i)
		}
		x, h := normal(be, 1, B, 2, 4), normal(be, 0, B, 2, 4)
		mark := be.Mark()
		b.Forward(h, x, backend.Pass{})
		be.Release(mark)
		whole := read(be, h)
		b.Forward(h, x, pass)
		dropped, kept := read(be, h), 0
		for s := range B {
			got, want := dropped[s*8:][:8], whole[s*8:][:8]
			if got[0] != 0 {
				kept++
			}
			for i := range got {
				if e := float64(got[i]) - float64(want[i])/(1-p); got[0] != 0 && math.Abs(e) > 1e-6 || got[0] == 0 && got[i] != 0 {
					t.Fatalf("%s: element %d of sample %d is %v, %v at inference", kind, i, s, got[i], want[i])
				}
			}
		}
		if z := (float64(kept) - B*(1-p)) / math.Sqrt(B*p*(1-p)); math.Abs(z) > 4 {
			t.Errorf("%s: %d of %d samples are kept", kind, kept, B)
		}
	}
}

// TestBlockTapeIsPlanned: Backward works in the memory of the tape.
func TestBlockTapeIsPlanned(t *testing.T) {
	t.Parallel()
	for i, mlp := range []int{1, 11, 12, 24, 48, 1, 24} {
		be := newCPU(t, 4)
		cfg := nn.BlockConfig{Width: 12, Heads: 3, MLP: mlp, Bias: true, Eps: 1e-5}
		if i >= 5 {
			cfg.NormAfter, cfg.BranchScale, cfg.RMS, cfg.HeadNorm, cfg.JointNorm, cfg.HeadWidth = true, 0.3, true, true, true, 6
		}
		b := nn.NewBlock(be, "", 0, cfg)
		for i, p := range b.Params() {
			nn.Normal(be, p, 0.4, 1, i)
		}
		gradients(be, b.Params())
		x, h := normal(be, 1, 2, 3, 12), normal(be, 2, 2, 3, 12)
		b.Forward(h, x, pass)
		top, peak := be.Mark(), be.Peak()
		b.Backward(h, x)
		if be.Mark() != top || be.Peak() != peak {
			t.Errorf("MLP %d: Backward allocates: %s", mlp, fmt.Sprint(be.Peak(), peak))
		}
	}
}
