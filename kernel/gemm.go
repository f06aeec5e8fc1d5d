package kernel

import (
	"fmt"
	"math/bits"
)

// Layout says which operands of a matrix product are read transposed.
type Layout uint8

const (
	NT Layout = iota // C[M,N] = A[M,K]·B[N,K]ᵀ: y = x·Wᵀ
	NN               // C[M,N] = A[M,K]·B[K,N]: dx = dy·W
	TN               // C[M,N] = A[K,M]ᵀ·B[K,N]: dW += dyᵀ·x
)

// operands returns the rows and columns of A and B, as they are stored, of a product of m by n outputs over k.
func (l Layout) operands(m, n, k int) (rowsA, colsA, rowsB, colsB int) {
	switch l {
	case NT:
		return m, k, n, k
	case TN:
		return k, m, k, n
	}
	return m, k, k, n
}

// String returns the two letters of the layout.
func (l Layout) String() string { return [...]string{"NT", "NN", "TN"}[l] }

// Gemm describes one matrix product. A, B and C are row-major with LDA, LDB and
// LDC floats from one row to the next; C overlaps neither A nor B nor Bias.
type Gemm struct {
	Layout        Layout
	M, N, K       int
	A, B, C       []float32
	LDA, LDB, LDC int

	// Half is B as bfloat16, in place of B, for NT and NN: weights that are held so. The product is the one with B
	// widened to float32, bit for bit.
	Half []uint16

	// Where each output's chain of fma starts: with Accumulate at the value in
	// C, else at Bias[j] if Bias (length N) is set, else at +0.
	Accumulate bool
	Bias       []float32

	// SumA, for TN only, takes the sums over rows of A (the gradient of a bias)
	// on the way: SumA[i] += A[k,i], k ascending (length M).
	SumA []float32
}

// Blocking of the assembly path. A block of kcMax×ncMax of B is packed in
// panels and stays in the second-level cache while row blocks of A pass by.
const (
	kcMax = 384 // depth of one kernel call; divides the usual widths
	ncMax = 512 // columns of B packed at a time; a multiple of both panel widths
	mcMax = 140 // rows of A per block; a multiple of 14

	packBFloats = kcMax * ncMax
	packAFloats = (kcMax + 1) * 24 * 8 // 24 tiles of 6 rows, 8 floats apart; 10 of 14 rows, 16 apart, need less
)

// GemmScratch is the length, in floats, of the scratch buffer that Gemm needs
// for any shape.
const GemmScratch = packBFloats + packAFloats

// Gemm computes C from A and B. Output (i,j) is
//
//	c := start
//	for k := 0; k < K; k++ { c = fma(a[i,k], b[k,j], c) }
//
// so any split of C over several calls, and any split of K over successive
// calls with Accumulate, gives the same bits. It panics if the shape is
// impossible or a slice is too short, and never allocates.
func (isa ISA) Gemm(g *Gemm, scratch []float32) {
	g.check()
	if len(scratch) < GemmScratch {
		panic(fmt.Sprintf("kernel: Gemm needs %d floats of scratch, got %d", GemmScratch, len(scratch)))
	}
	if g.M == 0 || g.N == 0 {
		if g.SumA != nil {
			isa.ColumnSum(g.SumA[:g.M], g.A, g.K, g.LDA)
		}
		return
	}
	switch {
	case isa != portable:
		g.blocked(isa, scratch)
	case g.Half != nil:
		g.portableHalf(scratch)
	default:
		g.portable()
	}
}

// check panics on an impossible shape or a slice that is too short.
func (g *Gemm) check() {
	rowsA, colsA, rowsB, colsB := g.Layout.operands(g.M, g.N, g.K)
	ok := g.Layout <= TN && g.M >= 0 && g.N >= 0 && g.K >= 0 &&
		fits(rowsA, colsA, g.LDA, len(g.A)) &&
		fits(rowsB, colsB, g.LDB, max(len(g.B), len(g.Half))) && (g.Half == nil || g.B == nil && g.Layout != TN) &&
		fits(g.M, g.N, g.LDC, len(g.C)) &&
		(g.Bias == nil || len(g.Bias) >= g.N) &&
		(g.SumA == nil || g.Layout == TN && len(g.SumA) >= g.M)
	if !ok {
		panic(fmt.Sprintf("kernel: impossible product %v M=%d N=%d K=%d: lengths A %d B %d half %d C %d bias %d sums %d, strides %d %d %d",
			g.Layout, g.M, g.N, g.K, len(g.A), len(g.B), len(g.Half), len(g.C), len(g.Bias), len(g.SumA), g.LDA, g.LDB, g.LDC))
	}
}

// fits reports whether a rows×cols matrix of row stride ld lies in n floats.
func fits(rows, cols, ld, n int) bool {
	if rows == 0 || cols == 0 {
		return true
	}
	hi, lo := bits.Mul64(uint64(rows-1), uint64(ld))
	return ld >= cols && n >= cols && hi == 0 && lo <= uint64(n-cols)
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

func roundUp(a, b int) int { return ceilDiv(a, b) * b }
