package kernel

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia/internal/half"
)

// Products of bfloat16. The definition is TDPBF16PS, the instruction of matrix units (AMX), so that these and
// every other path give the same bits: k is cut into groups of 32, and an output is
//
//	c := start
//	for each group, ascending: c += (even chain of the group + odd chain of the group)
//
// where the even chain is fma over the even k of the group from +0, ascending, and the odd chain is the same over the
// odd k. A group at an end is filled up with zeros. Every operation rounds to nearest even and takes subnormal
// operands and results, also c, as zeros of their sign. So a split of C over several calls keeps the bits, and so
// does a split of K at a group's beginning, the later calls with Accumulate.
//
// Rejected: VDPBF16PS, which has no chains in the order of k; and one chain, which no matrix unit computes.

// group is the number of k that are summed before their sum is added to an output.
const group = 32

// Operand is one matrix of a product of bfloat16: row-major, LD elements from one row to the next. It is held as
// bfloat16 or as float32, which are rounded to nearest, ties to even, where they are used.
type Operand struct {
	Half []uint16
	Full []float32 // in place of Half
	LD   int
}

// at returns the element at i, rounded to bfloat16.
func (o *Operand) at(i int) float32 {
	if o.Full != nil {
		return half.BToFloat(half.BFromFloat(o.Full[i]))
	}
	return half.BToFloat(o.Half[i])
}

// Gemm16 describes one product of bfloat16 matrices.
type Gemm16 struct {
	Layout  Layout
	M, N, K int
	A, B    Operand

	// Where the outputs go, row-major with LDC elements from one row to the next: C, or Half, rounded to nearest.
	C    []float32
	Half []uint16
	LDC  int

	// Where an output starts: with Accumulate at the value in C, else at Bias[j] if Bias (length N) is set, else at
	// +0.
	Accumulate bool
	Bias       []float32

	// Rows, for TN only, is the number of rows of A and B that are one sample, or 0 for all: K is a multiple of it,
	// and the groups of every sample start at its first row. So a split into whole samples keeps the bits.
	Rows int
	// SumA, for TN only, takes the sums over rows of A (the gradient of a bias) on the way, in float32: SumA[i] +=
	// A[k,i], k ascending (length M). They are the sums of what is held, before it is rounded.
	SumA []float32
}

// check panics on an impossible shape or a slice that is too short.
func (g *Gemm16) check() {
	rowsA, colsA, rowsB, colsB := g.Layout.operands(g.M, g.N, g.K)
	ok := g.Layout <= TN && g.M >= 0 && g.N >= 0 && g.K >= 0 && g.A.fits(rowsA, colsA) && g.B.fits(rowsB, colsB) &&
		(g.C == nil) != (g.Half == nil) && fits(g.M, g.N, g.LDC, max(len(g.C), len(g.Half))) && !(g.Accumulate && g.Half != nil) &&
		(g.Bias == nil || len(g.Bias) >= g.N) && (g.SumA == nil || g.Layout == TN && len(g.SumA) >= g.M) &&
		(g.Rows == 0 || g.Layout == TN && g.Rows > 0 && g.K%g.Rows == 0)
	if !ok {
		panic(fmt.Sprintf("kernel: impossible bfloat16 product %v M=%d N=%d K=%d, samples of %d rows", g.Layout, g.M, g.N, g.K, g.Rows))
	}
}

func (o *Operand) fits(rows, cols int) bool {
	return (o.Half == nil) != (o.Full == nil) && fits(rows, cols, o.LD, max(len(o.Half), len(o.Full)))
}

// Gemm16 computes C, or Half, from A and B by the definition above. It panics if the shape is impossible or a slice
// is too short, and never allocates.
func (isa ISA) Gemm16(g *Gemm16, scratch []float32) {
	g.check()
	need := Gemm16Scratch
	if max(g.M, g.N, g.K) <= 256 {
		need = Gemm16Small
	}
	if len(scratch) < need {
		panic(fmt.Sprintf("kernel: Gemm16 needs %d floats of scratch, got %d", need, len(scratch)))
	}
	g.whole(isa, room(scratch))
}

// Part returns the part of g that computes rows i0..i1-1 and columns j0..j1-1 of C; with the first columns go the
// sums.
func (g *Gemm16) Part(i0, i1, j0, j1 int) Gemm16 {
	p := *g
	p.M, p.N = i1-i0, j1-j0
	switch g.Layout {
	case NT:
		p.A, p.B = g.A.from(i0*g.A.LD), g.B.from(j0*g.B.LD)
	case NN:
		p.A, p.B = g.A.from(i0*g.A.LD), g.B.from(j0)
	case TN:
		p.A, p.B = g.A.from(i0), g.B.from(j0)
	}
	if at := i0*g.LDC + j0; g.Half != nil {
		p.Half = g.Half[min(at, len(g.Half)):]
	} else {
		p.C = g.C[min(at, len(g.C)):]
	}
	if g.Bias != nil {
		p.Bias = g.Bias[j0:j1]
	}
	if p.SumA = nil; g.SumA != nil && j0 == 0 {
		p.SumA = g.SumA[i0:i1]
	}
	return p
}

// from is o from element i on.
func (o Operand) from(i int) Operand {
	if o.Full != nil {
		o.Full = o.Full[min(i, len(o.Full)):]
	} else {
		o.Half = o.Half[min(i, len(o.Half)):]
	}
	return o
}

// portable is the definition, but for the sums over rows. Small blocks of outputs are computed together, so that the
// operands of a group are rounded once for all of them.
func (g *Gemm16) portable() {
	const side = 16
	var a, b [side][group]float32
	var c [side][side]float32
	for i0 := 0; i0 < g.M; i0 += side {
		rows := min(side, g.M-i0)
		for j0 := 0; j0 < g.N; j0 += side {
			cols := min(side, g.N-j0)
			for i := range rows {
				for j := range cols {
					c[i][j] = g.start(i0+i, j0+j)
				}
			}
			for q := range g.Groups() {
				k, n := g.groupAt(q)
				safe := g.A.group(a[:rows], g.Layout != TN, i0, k, n)
				safe = g.B.group(b[:cols], g.Layout == NT, j0, k, n) && safe
				for i := range rows {
					for j := range cols {
						c[i][j] = flush(flush(c[i][j]) + chains(&a[i], &b[j], safe))
					}
				}
			}
			for i := range rows {
				g.finish(i0+i, j0, c[i][:cols])
			}
		}
	}
}

// group reads n k of lines (rows of A, columns of B) from line at on, rounded and flushed, and fills them up with
// zeros. It reports whether no product of two such elements is tiny or huge.
func (o *Operand) group(lines [][group]float32, along bool, at, k, n int) (safe bool) {
	safe = true
	for i := range lines {
		for q := range group {
			v := float32(0)
			if q < n && along {
				v = flush(o.at((at+i)*o.LD + k + q))
			} else if q < n {
				v = flush(o.at((k+q)*o.LD + at + i))
			}
			lines[i][q] = v
			safe = safe && (v == 0 || math.Abs(float64(v)) > 0x1p-60 && math.Abs(float64(v)) < 0x1p60)
		}
	}
	return safe
}

// chains returns the sum of the two chains of a group. If it is safe, products are exact in float32.
func chains(a, b *[group]float32, safe bool) float32 {
	var even, odd float32
	for k := 0; k < group; k += 2 {
		if safe {
			even, odd = flush(float32(a[k]*b[k])+even), flush(float32(a[k+1]*b[k+1])+odd)
		} else {
			even, odd = fmaFlush(a[k], b[k], even), fmaFlush(a[k+1], b[k+1], odd)
		}
	}
	return flush(even + odd)
}

// finish puts the outputs of row i from column j on in their place.
func (g *Gemm16) finish(i, j int, c []float32) {
	if g.Half == nil {
		copy(g.C[i*g.LDC+j:], c)
		return
	}
	for k, v := range c {
		g.Half[i*g.LDC+j+k] = half.BFromFloat(v)
	}
}

func (g *Gemm16) start(i, j int) float32 {
	switch {
	case g.Accumulate:
		return g.C[i*g.LDC+j]
	case g.Bias != nil:
		return g.Bias[j]
	}
	return 0
}

// flush takes a subnormal as a zero of its sign.
func flush(x float32) float32 {
	if b := math.Float32bits(x); b&0x7f800000 == 0 {
		return math.Float32frombits(b & 0x80000000)
	}
	return x
}

// fmaFlush returns a*b+c rounded once, for a and b of bfloat16; it takes subnormal results as zeros. No operand is
// subnormal.
func fmaFlush(a, b, c float32) float32 {
	p := float32(a * b)
	if e := math.Float32bits(p) & 0x7f800000; e != 0 && e != 0x7f800000 {
		return flush(p + c) // p has 16 bits at most, so it is exact
	}
	const least = 0x1p-126 - 0x1p-151 // from here on a result is rounded to a normal number
	if s := float64(a)*float64(b) + float64(c); math.Abs(s) < least {
		return float32(math.Copysign(0, s))
	}
	return fma(a, b, c)
}
