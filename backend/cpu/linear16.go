package cpu

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/kernel"
	"github.com/bdia-go/bdia/tensor"
)

// linear16 is one product of bfloat16, split into tiles of C: into bands of rows, or of columns if there are more.
type linear16 struct {
	kernel.Gemm16
	rows, cols int // of a tile; one of them is all
}

func (l *linear16) run(b *Backend, task int, scratch []float32) {
	g := l.Gemm16
	i, j := 0, 0
	if l.rows < g.M {
		i = task * l.rows
	} else {
		j = task * l.cols
	}
	g = g.Part(i, min(i+l.rows, g.M), j, min(j+l.cols, g.N))
	b.isa.Gemm16(&g, scratch)
}

// gemm16 runs one product on all threads.
func (b *Backend) gemm16(g kernel.Gemm16) {
	l := linear16{Gemm16: g, rows: g.M, cols: g.N}
	if parts := 2 * len(b.pool.scratch); g.M >= g.N {
		l.rows = tileLen(g.M, parts)
	} else {
		l.cols = tileLen(g.N, parts)
	}
	b.jobs.linear16 = l
	b.pool.run(max((g.M+l.rows-1)/l.rows, (g.N+l.cols-1)/l.cols), &b.jobs.linear16)
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
