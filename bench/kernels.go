package bench

import (
	"context"
	"fmt"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/meter"
	"github.com/bdia-go/bdia/tensor"
)

// Kernel is the best time of one operation of the engine.
type Kernel struct {
	Name    string  `json:"name"`
	Shape   string  `json:"shape"`
	Seconds float64 `json:"seconds"`
	GFLOPS  float64 `json:"gflops,omitempty"` // matrix products
	GBps    float64 `json:"gbps,omitempty"`   // other operations, counting each operand once
	Share   float64 `json:"share_of_limit"`   // of the peak of products or of the bandwidth
}

// products are shapes (rows, out, in) from training: a 6-block GPT of width 384,
// GPT-2, a ViT of width 512.
var products = [][3]int{
	{4096, 1152, 384}, {4096, 384, 384}, {4096, 1536, 384}, {4096, 384, 1536},
	{2048, 2304, 768}, {2048, 3072, 768}, {2048, 768, 3072}, {8320, 1536, 512}, {8320, 512, 512}, {1024, 50257, 768},
}

// rounds is the number of times each operation runs; the fastest counts.
const rounds = 5

// MeasureKernels times the operations of the CPU backend at training's shapes.
// report, if not nil, is called with each result. When ctx is done, it stops with an error.
func MeasureKernels(ctx context.Context, m Machine, report func(Kernel)) ([]Kernel, error) {
	o := backend.Options{Threads: m.Threads, ISA: m.ISA, Precision: m.Precision}
	plan, err := backend.NewPlan(o)
	if err != nil {
		return nil, err
	}
	be, err := backend.Open(o, plan.Peak().Total+1<<30)
	if err != nil {
		return nil, err
	}
	defer be.Close()
	k := timer{done: ctx.Err, be: be, meter: meter.New(be), machine: m, report: report}
	for _, s := range products {
		k.product(s[0], s[1], s[2])
	}
	k.attention(16, 256, 6, 64)
	k.attention(2, 1024, 12, 64)
	k.elementwise(16384, 768)
	return k.list, ctx.Err()
}

type timer struct {
	done    func() error // not nil when nothing more is to be timed
	be      backend.Backend
	meter   *meter.Backend
	machine Machine
	report  func(Kernel)
	list    []Kernel
}

func (k *timer) f32(dims ...int) tensor.Tensor { return k.alloc(tensor.F32, dims) }

// operand is an activation that only products read, which is kept in their precision.
func (k *timer) operand(dims ...int) tensor.Tensor {
	if k.machine.Precision == backend.BFloat16 {
		return k.alloc(tensor.BF16, dims)
	}
	return k.alloc(tensor.F32, dims)
}

func (k *timer) alloc(d tensor.DType, dims []int) tensor.Tensor {
	var s tensor.Shape
	copy(s[:], dims)
	t := k.be.Alloc(backend.Activation, d, s)
	k.be.Zero(t)
	return t
}

// time runs f, one metered operation, and keeps its fastest round.
func (k *timer) time(shape string, f func(be backend.Backend)) {
	if k.done() != nil {
		return
	}
	var top Kernel
	for range rounds {
		k.meter.Reset()
		f(k.meter)
		op := k.meter.Ops()[0]
		if top.Seconds != 0 && op.Seconds >= top.Seconds {
			continue
		}
		top = Kernel{Name: op.Name, Shape: shape, Seconds: op.Seconds}
		if op.MatrixFLOPs > 0 {
			top.GFLOPS = float64(op.MatrixFLOPs) / op.Seconds / 1e9
			top.Share = top.GFLOPS / k.machine.Products
		} else {
			top.GBps = float64(op.Bytes) / op.Seconds / 1e9
			top.Share = top.GBps / k.machine.Bandwidth
		}
	}
	k.list = append(k.list, top)
	if k.report != nil {
		k.report(top)
	}
}

// product times the three products of a linear layer.
func (k *timer) product(rows, out, in int) {
	m := k.be.Mark()
	x, y, w := k.operand(rows, in), k.operand(rows, out), k.f32(out, in)
	shape := fmt.Sprintf("%dx%dx%d", rows, out, in)
	k.time(shape, func(be backend.Backend) { be.Linear(y, x, w, tensor.Tensor{}) })
	k.time(shape, func(be backend.Backend) { be.LinearBackwardInput(x, y, w) })
	k.time(shape, func(be backend.Backend) { be.LinearBackwardWeight(w, tensor.Tensor{}, y, x) })
	k.be.Release(m)
}

func (k *timer) attention(B, T, H, D int) {
	m := k.be.Mark()
	C := H * D
	qkv, dqkv, out, lse := k.operand(B, T, 3*C), k.operand(B, T, 3*C), k.operand(B, T, C), k.f32(B, H, T)
	spec := backend.AttentionSpec{Heads: H, Causal: true}
	shape := fmt.Sprintf("%dx%d, %d heads of %d", B, T, H, D)
	k.time(shape, func(be backend.Backend) { be.Attention(out, lse, qkv, spec) })
	k.time(shape, func(be backend.Backend) { be.AttentionBackward(dqkv, out, out, lse, qkv, spec) })
	k.be.Release(m)
}

// elementwise times everything else on rows x C elements, which do not fit the cache.
func (k *timer) elementwise(rows, C int) {
	m := k.be.Mark()
	x, y, z := k.f32(1, rows, C), k.f32(1, rows, C), k.f32(1, rows, C)
	stats, w, b, dw, db := k.f32(2, rows), k.f32(C), k.f32(C), k.f32(C), k.f32(C)
	peak := k.be.Alloc(backend.Data, tensor.I32, tensor.Shape{1})
	gamma := k.be.Alloc(backend.Data, tensor.F32, tensor.Shape{1})
	side := k.be.Alloc(backend.SideBits, tensor.U8, tensor.Shape{1, 1, rows * C / 8})
	rest := k.be.Alloc(backend.States, tensor.U8, tensor.Shape{1, rows, C})
	k.be.Zero(peak)
	k.be.Zero(rest)
	k.be.Upload(gamma, []float32{-0.5})
	law := backend.Law{Planes: 1, Bits: 9}
	adam := backend.AdamScalars{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Bias1: 0.1, Bias2: 0.001}
	draw := backend.Draw{Pass: backend.Pass{Train: true, Seed: 1}}
	shape := fmt.Sprintf("%dx%d", rows, C)
	for _, f := range []func(be backend.Backend){
		func(be backend.Backend) { be.LayerNorm(y, stats, x, w, b, 1e-5) },
		func(be backend.Backend) { be.LayerNormBackward(y, dw, db, z, x, w, stats) },
		func(be backend.Backend) { be.GELU(y, x, backend.GELUTanh) },
		func(be backend.Backend) { be.GELUBackward(y, z, x, backend.GELUTanh) },
		func(be backend.Backend) { be.Add(y, x, z) },
		func(be backend.Backend) { be.Dropout(y, x, 0.1, draw) },
		func(be backend.Backend) { be.Advance(y, rest, x, z, side, gamma, peak, law) },
		func(be backend.Backend) { be.Retreat(y, rest, x, z, side, gamma, peak, law) },
		func(be backend.Backend) { be.CompleteGrad(y, x, z, gamma) },
	} {
		k.time(shape, f)
	}
	v := k.f32(1, rows, C)
	k.time(shape, func(be backend.Backend) { be.AdamW(x, y, z, v, adam, backend.Rounding{}) })
	codes, maxima := k.be.Alloc(backend.Optimiser, tensor.U8, tensor.Shape{2, rows * C}), k.f32(2, backend.CodeGroups(rows*C))
	k.be.Zero(codes)
	k.be.Zero(maxima)
	k.time(shape, func(be backend.Backend) {
		be.AdamW8(x, y, codes.Index(0), codes.Index(1), maxima.Index(0), maxima.Index(1), adam, backend.Rounding{})
	})
	k.be.Release(m)
}
