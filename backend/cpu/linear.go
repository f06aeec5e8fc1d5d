package cpu

import (
	"github.com/bdia-go/bdia/kernel"
	"github.com/bdia-go/bdia/tensor"
)

// linear is one matrix product, split into a grid of tiles of C.
type linear struct {
	kernel.Gemm
	tileRows, tileCols int // size of a tile
	tilesAcross        int // tiles in a row
}

func (l *linear) run(b *Backend, task int, scratch []float32) {
	i, j := task/l.tilesAcross*l.tileRows, task%l.tilesAcross*l.tileCols
	g := l.Gemm
	g.M, g.N = min(l.tileRows, l.M-i), min(l.tileCols, l.N-j)
	g.C = g.C[i*g.LDC+j:]
	if g.Bias != nil {
		g.Bias = g.Bias[j : j+g.N]
	}
	if j > 0 {
		g.SumA = nil
	} else if g.SumA != nil {
		g.SumA = g.SumA[i : i+g.M]
	}
	fromA, fromB := i*g.LDA, j
	switch g.Layout {
	case kernel.NT:
		fromB = j * g.LDB
	case kernel.TN:
		fromA = i
	}
	g.A = g.A[fromA:]
	if g.Half != nil {
		g.Half = g.Half[fromB:]
	} else {
		g.B = g.B[fromB:]
	}
	b.isa.Gemm(&g, scratch)
}

// weights runs one product with the weights w, of F32 or BF16, as B.
func (b *Backend) weights(g kernel.Gemm, w tensor.Tensor) {
	if w.DType == tensor.BF16 {
		g.Half = b.bf16(w)
	} else {
		g.B = b.f32(w)
	}
	b.gemm(g)
}

// gemm runs one product on all threads. The longer side of C is split into two
// tiles per thread, so that a delayed thread does not delay the others. The
// gradient of a weight uses one tile per thread, because every tile packs the
// whole other operand, which is as long as the batch.
func (b *Backend) gemm(g kernel.Gemm) {
	l := linear{Gemm: g, tileRows: g.M, tileCols: g.N}
	if parts := len(b.pool.scratch); parts > 1 {
		if g.Layout != kernel.TN {
			parts *= 2
		}
		if g.M >= g.N {
			l.tileRows = tileLen(g.M, parts)
		} else {
			l.tileCols = tileLen(g.N, parts)
		}
	}
	l.tilesAcross = (g.N + l.tileCols - 1) / l.tileCols
	b.jobs.linear = l
	b.pool.run(l.tilesAcross*((g.M+l.tileRows-1)/l.tileRows), &b.jobs.linear)
}

// tileLen returns the length of the pieces that split n into about parts
// pieces, in whole vectors.
func tileLen(n, parts int) int { return ((n+parts-1)/parts + 31) &^ 31 }

// band returns the number of columns, of cols, in one task of a sum over rows:
// enough to make a call for each row worthwhile.
func (b *Backend) band(cols int) int { return max(64, tileLen(cols, 2*len(b.pool.scratch))) }

// Linear writes y = x Wᵀ + bias.
func (b *Backend) Linear(y, x, w, bias tensor.Tensor) {
	M, N, K := x.Rows(), w.Rows(), w.Cols()
	must(x.Cols() == K && y.Rows() == M && y.Cols() == N && (!bias.Valid() || bias.Len() == N), "Linear", y, x, w, bias)
	if b.bfloat16() {
		b.linear16(y, x, w, bias, false)
		return
	}
	b.weights(kernel.Gemm{Layout: kernel.NT, M: M, N: N, K: K, A: b.f32(x), LDA: K, LDB: K, C: b.f32(y), LDC: N, Bias: b.f32(bias)}, w)
}

// LinearAdd adds y += x Wᵀ.
func (b *Backend) LinearAdd(y, x, w tensor.Tensor) {
	M, N, K := x.Rows(), w.Rows(), w.Cols()
	must(x.Cols() == K && y.Rows() == M && y.Cols() == N, "LinearAdd", y, x, w)
	if b.bfloat16() {
		b.linear16(y, x, w, tensor.Tensor{}, true)
		return
	}
	b.weights(kernel.Gemm{Layout: kernel.NT, M: M, N: N, K: K, A: b.f32(x), LDA: K, LDB: K, C: b.f32(y), LDC: N, Accumulate: true}, w)
}

// LinearBackwardInput writes dx = dy W.
func (b *Backend) LinearBackwardInput(dx, dy, w tensor.Tensor) {
	M, N, K := dy.Rows(), w.Cols(), w.Rows()
	must(dy.Cols() == K && dx.Rows() == M && dx.Cols() == N, "LinearBackwardInput", dx, dy, w)
	if b.bfloat16() {
		b.linearBackwardInput16(dx, dy, w)
		return
	}
	b.weights(kernel.Gemm{Layout: kernel.NN, M: M, N: N, K: K, A: b.f32(dy), LDA: K, LDB: N, C: b.f32(dx), LDC: N}, w)
}

// LinearBackwardWeight adds dw += dyᵀ x and db += column sums of dy.
func (b *Backend) LinearBackwardWeight(dw, db, dy, x tensor.Tensor) {
	M, N, K := dy.Cols(), x.Cols(), dy.Rows()
	must(x.Rows() == K && dw.Rows() == M && dw.Cols() == N && (!db.Valid() || db.Len() == M), "LinearBackwardWeight", dw, db, dy, x)
	if b.bfloat16() {
		b.linearBackwardWeight16(dw, db, dy, x)
		return
	}
	b.gemm(kernel.Gemm{Layout: kernel.TN, M: M, N: N, K: K, A: b.f32(dy), LDA: M, B: b.f32(x), LDB: N,
		C: b.f32(dw), LDC: N, Accumulate: true, SumA: b.f32(db)})
}
