package cpu

import (
	"unsafe"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/kernel"
	"github.com/bdia-go/bdia/tensor"
)

// sharedFloats16 is the length of the buffer in which an operand is packed for all threads: 6 MiB.
const sharedFloats16 = 6 << 20 / 4

// pack16 packs panels of a block of the second operand, a few a task.
type pack16 struct {
	kernel.Gemm16
	block kernel.Block16
	each  int // panels of a task
}

func (j *pack16) run(b *Backend, task int, scratch []float32) {
	from := task * j.each
	b.isa.Pack16(&j.Gemm16, &j.block, from, min(from+j.each, j.block.Panels()), scratch)
}

// multiply16 multiplies rows of the first operand with a packed block of the second, a band of rows a task.
type multiply16 struct {
	kernel.Gemm16
	block kernel.Block16
	rows  int // of a task
}

func (j *multiply16) run(b *Backend, task int, scratch []float32) {
	i := task * j.rows
	b.isa.Multiply16(&j.Gemm16, &j.block, i, min(i+j.rows, j.M), scratch)
}

// columns16 computes columns of a product of few rows: a band of columns a task, which packs them for itself.
type columns16 struct {
	kernel.Gemm16
	cols int // of a task
}

func (j *columns16) run(b *Backend, task int, scratch []float32) {
	at := task * j.cols
	g := j.Part(0, j.M, at, min(at+j.cols, j.N))
	b.isa.Gemm16(&g, scratch)
}

// gemm16 runs one product on all threads. The second operand is packed once for all of them, and then each band of
// rows of the first is a task; but products of few rows are cut by columns.
func (b *Backend) gemm16(g kernel.Gemm16) {
	threads := len(b.pool.scratch)
	data := unsafe.Slice((*uint16)(unsafe.Pointer(&b.shared[0])), 2*len(b.shared))
	bands, parts := b.isa.Blocks16(&g, len(data))
	if g.M <= 64 || parts == 0 {
		j := columns16{Gemm16: g, cols: tileLen(g.N, 4*threads)}
		b.jobs.columns16 = j
		b.pool.run((g.N+j.cols-1)/j.cols, &b.jobs.columns16)
		return
	}
	for band := range bands {
		for part := range parts {
			block := g.Block(band, bands, part, parts)
			block.Data = data
			panels := block.Panels()
			p := pack16{Gemm16: g, block: block, each: (panels + 2*threads - 1) / (2 * threads)}
			b.jobs.pack16 = p
			b.pool.run((panels+p.each-1)/max(p.each, 1), &b.jobs.pack16)
			m := multiply16{Gemm16: g, block: block, rows: tileLen(g.M, 2*threads)}
			b.jobs.multiply16 = m
			b.pool.run((g.M+m.rows-1)/m.rows, &b.jobs.multiply16)
		}
	}
}

// bfloat16 reports whether products are of bfloat16.
func (b *Backend) bfloat16() bool { return b.precision == backend.BFloat16 }

// operand returns a matrix of F32 or BF16 as an operand of a product of bfloat16.
func (b *Backend) operand(t tensor.Tensor) kernel.Operand {
	w := b.elements(t)
	return kernel.Operand{Full: w.floats, Half: w.halves, LD: t.Cols()}
}

// outputs sets where the outputs of g go: to a matrix of F32 or BF16.
func (b *Backend) outputs(g *kernel.Gemm16, t tensor.Tensor) {
	w := b.elements(t)
	g.C, g.Half, g.LDC = w.floats, w.halves, t.Cols()
}

// linear16 is Linear, or LinearAdd, of bfloat16.
func (b *Backend) linear16(y, x, w, bias tensor.Tensor, add bool) {
	g := kernel.Gemm16{Layout: kernel.NT, M: x.Rows(), N: w.Rows(), K: w.Cols(), A: b.operand(x), B: b.operand(w), Accumulate: add, Bias: b.f32(bias)}
	b.outputs(&g, y)
	b.gemm16(g)
}

// linearBackwardInput16 is LinearBackwardInput of bfloat16.
func (b *Backend) linearBackwardInput16(dx, dy, w tensor.Tensor) {
	g := kernel.Gemm16{Layout: kernel.NN, M: dy.Rows(), N: w.Cols(), K: w.Rows(), A: b.operand(dy), B: b.operand(w)}
	b.outputs(&g, dx)
	b.gemm16(g)
}

// linearBackwardWeight16 is LinearBackwardWeight of bfloat16. A sample is what dy's outermost dimension counts, if it
// has more than two.
func (b *Backend) linearBackwardWeight16(dw, db, dy, x tensor.Tensor) {
	g := kernel.Gemm16{Layout: kernel.TN, M: dy.Cols(), N: x.Cols(), K: dy.Rows(), A: b.operand(dy), B: b.operand(x), Accumulate: true, SumA: b.f32(db)}
	if dy.Shape.Rank() > 2 {
		g.Rows = g.K / dy.Shape[0]
	}
	b.outputs(&g, dw)
	b.gemm16(g)
}
