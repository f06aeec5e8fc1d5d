package kernel

import "fmt"

// operand is the matrix B shared by several products of few rows each; it is
// packed once for all of them.
type operand struct {
	Gemm             // Layout, N, K, B, LDB
	panels []float32 // assembly only: K rows of two vectors, for every so many columns
}

// pack prepares B, stored as the layout says, in dst. dst has k*n floats, with n
// rounded up to 32.
func (isa ISA) pack(dst []float32, layout Layout, b []float32, ldb, k, n int) operand {
	o := operand{Gemm: Gemm{Layout: layout, N: n, K: k, B: b, LDB: ldb}}
	o.check()
	if len(dst) < k*roundUp(n, 32) {
		panic(fmt.Sprintf("kernel: %d floats for an operand of %d by %d", len(dst), k, n))
	}
	if assembly && isa != portable {
		o.panels = dst
		o.pack(isa)
	}
	return o
}

// product computes the first n columns of C, m rows, from k rows of the operand
// from row k0 on, none of them 0: output (i,j) is
//
//	c := C[i,j] // or +0 unless accumulate
//	for q := 0; q < k; q++ { c = fma(a[i,q], b[k0+q,j], c) }
//
// With layout TN, a[i,q] is at q*lda+i, else at i*lda+q; an operand of layout NT
// has k0 = 0.
func (o *operand) product(isa ISA, layout Layout, m, n, k0, k int, a []float32, lda int, c []float32, ldc int, accumulate bool) {
	if n > o.N || k0+k > o.K {
		panic(fmt.Sprintf("kernel: a product reads %d columns, %d rows of an operand of %d by %d", n, k0+k, o.N, o.K))
	}
	rows, cols := m, k
	if layout == TN {
		rows, cols = k, m
	}
	_, _ = a[(rows-1)*lda+cols-1], c[(m-1)*ldc+n-1]
	if assembly && isa != portable {
		o.tiles(isa, layout, m, n, k0, k, a, lda, c, ldc, accumulate)
		return
	}
	g := Gemm{Layout: layout, M: m, N: n, K: k, A: a, LDA: lda, B: o.B[k0*o.LDB:], LDB: o.LDB, C: c, LDC: ldc, Accumulate: accumulate}
	g.portable()
}
