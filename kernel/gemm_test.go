package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bdia-go/bdia/internal/cpufeat"
)

// product is a Gemm on its own memory, with guards around C, in its gaps, and
// around the sums of A.
type product struct {
	Gemm
	whole []float32 // fence, C, fence; then, where there are sums, SumA, fence
	sums  int       // where SumA starts in whole
}

const (
	fence      = 40        // floats on each side of C
	fenceValue = -12345.25 // their value, and that of the gaps between rows
)

// newProduct draws a product. pad is added to every row stride; start is 0 for
// +0, 1 for a bias, 2 to accumulate, 3 to accumulate in spite of a bias.
func newProduct(layout Layout, m, n, k, start, pad int, seed uint64) *product {
	rng := rand.New(rand.NewPCG(seed, 7))
	p := &product{}
	p.Layout, p.M, p.N, p.K = layout, m, n, k
	ra, ca, rb, cb := m, k, k, n
	switch layout {
	case NT:
		rb, cb = n, k
	case TN:
		ra, ca = k, m
	}
	p.LDA, p.LDB, p.LDC = ca+pad, cb+pad/2, n+pad%7
	p.A = draw(rng, matrixLen(ra, ca, p.LDA))
	p.B = draw(rng, matrixLen(rb, cb, p.LDB))
	p.sums = fence + matrixLen(m, n, p.LDC) + fence
	p.whole = make([]float32, p.sums, p.sums+m+fence)
	if layout == TN && seed%3 > 0 {
		p.whole = p.whole[:cap(p.whole)]
	}
	for i := range p.whole {
		p.whole[i] = fenceValue
	}
	p.use(p.whole)
	copy(p.SumA, draw(rng, len(p.SumA)))
	if start&1 != 0 {
		p.Bias = draw(rng, n)
	}
	p.Accumulate = start >= 2
	if p.Accumulate && n > 0 {
		for i := range m {
			copy(p.C[i*p.LDC:], draw(rng, n))
		}
	}
	return p
}

// use lets the results lie in whole.
func (p *product) use(whole []float32) {
	p.C, p.SumA = whole[fence:p.sums-fence], nil
	if len(whole) > p.sums {
		p.SumA = whole[p.sums : len(whole)-fence]
	}
}

// matrixLen is the least length of a slice for a matrix.
func matrixLen(rows, cols, ld int) int {
	if rows == 0 || cols == 0 {
		return 0
	}
	return (rows-1)*ld + cols
}

// draw returns n floats, mostly ordinary; special one time in four.
func draw(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	special := []float32{0, float32(math.Copysign(0, -1)), 1e-45, -1e-40, 3e38, -3e38, 1e20, 1e-20, float32(math.Inf(1))}
	odd := rng.IntN(4) == 0
	for i := range x {
		x[i] = float32(rng.NormFloat64())
		if odd && rng.IntN(40) == 0 {
			x[i] = special[rng.IntN(len(special))]
		}
	}
	return x
}

// on returns C and its surroundings as computed by isa from a fresh copy.
func (p *product) on(isa ISA, scratch []float32) []float32 {
	q := *p
	whole := append([]float32(nil), p.whole...)
	q.use(whole)
	isa.Gemm(&q.Gemm, scratch)
	return whole
}

// diff reports the first float that differs in bits; all NaN are one.
func diff(got, want []float32) error {
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) && (got[i] == got[i] || want[i] == want[i]) {
			return fmt.Errorf("float %d is %b (%x), want %b (%x)", i-fence, got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
	return nil
}

// levels are the instruction sets of this machine for float32.
func levels() []ISA {
	var s []ISA
	for _, l := range cpufeat.Supported() {
		s = append(s, ISA(l))
	}
	return s
}

// chain is the definition of one output, in so many words.
func (p *product) chain(i, j int) float32 {
	var s float32
	switch {
	case p.Accumulate:
		s = p.C[i*p.LDC+j]
	case p.Bias != nil:
		s = p.Bias[j]
	}
	for k := range p.K {
		a, b := i*p.LDA+k, k*p.LDB+j
		if p.Layout == TN {
			a = k*p.LDA + i
		}
		if p.Layout == NT {
			b = j*p.LDB + k
		}
		s = fma(p.A[a], p.B[b], s)
	}
	return s
}

// TestGemmDefinition holds the portable product to the definition, output by
// output, and to leaving everything else alone.
func TestGemmDefinition(t *testing.T) {
	t.Parallel()
	scratch := make([]float32, GemmScratch)
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		p := newProduct(Layout(seed%3), rng.IntN(12), rng.IntN(12), rng.IntN(20), rng.IntN(4), rng.IntN(9), seed)
		want := append([]float32(nil), p.whole...)
		for i := range p.M {
			for j := range p.N {
				want[fence+i*p.LDC+j] = p.chain(i, j)
			}
			if p.SumA != nil {
				for k := range p.K {
					want[p.sums+i] += p.A[k*p.LDA+i]
				}
			}
		}
		if err := diff(p.on(portable, scratch), want); err != nil {
			t.Errorf("seed %d %v %d×%d×%d: %v", seed, p.Layout, p.M, p.N, p.K, err)
		}
	}
}

// checkLevels compares every instruction set with the portable one.
func checkLevels(t *testing.T, p *product, scratch []float32) {
	t.Helper()
	want := p.on(portable, scratch)
	for _, isa := range levels()[1:] {
		if err := diff(p.on(isa, scratch), want); err != nil {
			t.Errorf("%v %v M=%d N=%d K=%d strides %d %d %d bias %t accumulate %t: %v", isa, p.Layout, p.M, p.N, p.K,
				p.LDA, p.LDB, p.LDC, p.Bias != nil, p.Accumulate, err)
		}
	}
}

// TestGemmLevels runs every tile kernel, and shapes around every limit of the
// blocking.
func TestGemmLevels(t *testing.T) {
	t.Parallel()
	scratch := make([]float32, GemmScratch)
	rng := rand.New(rand.NewPCG(3, 3))
	seed := uint64(0)
	check := func(m, n, k int) {
		for layout := range Layout(3) {
			seed++
			checkLevels(t, newProduct(layout, m, n, k, rng.IntN(4), rng.IntN(20), seed), scratch)
		}
	}
	for m := 1; m <= 30; m++ {
		for _, n := range []int{1, 8, 13, 16, 20, 32, 33} {
			check(m, n, 1+rng.IntN(11))
		}
	}
	for n := 1; n <= 70; n++ {
		check(1+rng.IntN(16), n, 1+rng.IntN(40))
	}
	for _, n := range []int{15, 16, 17, 31, 32, 33, 64, 95} { // one row against columns as they lie
		for _, k := range []int{15, 16, 17, 32, 48, 63, 400} {
			check(1, n, k)
		}
	}
	limits := [][3]int{{57, 129, 33}, {141, 37, 40}, {143, 1100, 5}, {281, 150, 9}, {3, 5, 800}, {70, 140, 385}, {200, 300, 20}, {30, 129, 512}, {0, 4, 4}, {4, 0, 4}, {5, 6, 0}}
	if testing.Short() {
		limits = limits[:4]
	}
	for _, l := range limits {
		check(l[0], l[1], l[2])
	}
	for layout := range Layout(3) { // rows whole pages apart
		checkLevels(t, newProduct(layout, 70, 290, 1024, 1, 0, 1), scratch)
	}
}

func FuzzGemm(f *testing.F) {
	f.Add(uint16(14), uint16(32), uint16(64), uint8(0), uint8(0), uint8(3), uint64(1))
	f.Add(uint16(29), uint16(65), uint16(385), uint8(1), uint8(1), uint8(0), uint64(2))
	f.Add(uint16(141), uint16(33), uint16(13), uint8(2), uint8(2), uint8(17), uint64(3))
	f.Add(uint16(1), uint16(131), uint16(7), uint8(0), uint8(3), uint8(1), uint64(4))
	scratch := make([]float32, GemmScratch)
	f.Fuzz(func(t *testing.T, m, n, k uint16, layout, start, pad uint8, seed uint64) {
		M, N, K := int(m)%600, int(n)%1500, int(k)%1000
		if M*N*K > 1<<21 {
			t.Skip("slow on the portable path")
		}
		checkLevels(t, newProduct(Layout(layout%3), M, N, K, int(start%4), int(pad), seed), scratch)
	})
}

// TestGemmSplit computes a product in blocks of C and pieces of K, which must
// not change a bit.
func TestGemmSplit(t *testing.T) {
	t.Parallel()
	scratch := make([]float32, GemmScratch)
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 5))
		p := newProduct(Layout(seed%3), 1+rng.IntN(200), 1+rng.IntN(200), 1+rng.IntN(500), int(seed%4), 5, seed)
		for _, isa := range levels()[1:] {
			want := p.on(isa, scratch)
			got := append([]float32(nil), p.whole...)
			q := *p
			q.use(got)
			g := q.Gemm
			i, j, k := rng.IntN(p.M+1), rng.IntN(p.N+1), rng.IntN(p.K+1)
			for _, rows := range [][2]int{{0, i}, {i, p.M}} {
				for n, cols := range [][2]int{{0, j}, {j, p.N}} {
					if g.SumA = nil; n == 0 {
						g.SumA = q.SumA
					}
					part := g.sub(rows[0], rows[1], cols[0], cols[1], 0, k)
					isa.Gemm(&part, scratch)
					part = g.sub(rows[0], rows[1], cols[0], cols[1], k, p.K)
					part.Accumulate = true
					isa.Gemm(&part, scratch)
				}
			}
			if err := diff(got, want); err != nil {
				t.Errorf("%v seed %d: %v", isa, seed, err)
			}
		}
	}
}

// sub is the part of g that computes a block of C over a range of k.
func (g Gemm) sub(i0, i1, j0, j1, k0, k1 int) Gemm {
	cut := func(x []float32, rows, cols, ld, r, c int) []float32 {
		if rows == 0 || cols == 0 {
			return nil
		}
		return x[r*ld+c:][:matrixLen(rows, cols, ld)]
	}
	m, n, k := i1-i0, j1-j0, k1-k0
	p := g
	p.M, p.N, p.K = m, n, k
	if g.Layout == TN {
		p.A = cut(g.A, k, m, g.LDA, k0, i0)
	} else {
		p.A = cut(g.A, m, k, g.LDA, i0, k0)
	}
	if g.Layout == NT {
		p.B = cut(g.B, n, k, g.LDB, j0, k0)
	} else {
		p.B = cut(g.B, k, n, g.LDB, k0, j0)
	}
	p.C = cut(g.C, m, n, g.LDC, i0, j0)
	if g.Bias != nil {
		p.Bias = g.Bias[j0:j1]
	}
	if g.SumA != nil {
		p.SumA = g.SumA[i0:i1]
	}
	return p
}

// TestGemmPanics checks that impossible products are refused.
func TestGemmPanics(t *testing.T) {
	t.Parallel()
	scratch := make([]float32, GemmScratch)
	f := func(n int) []float32 { return make([]float32, n) }
	good := Gemm{M: 2, N: 3, K: 4, A: f(8), B: f(12), C: f(6), LDA: 4, LDB: 4, LDC: 3}
	isa := ISA(cpufeat.Best())
	isa.Gemm(&good, scratch)
	for name, change := range map[string]func(*Gemm){
		"short A":     func(g *Gemm) { g.A = f(7) },
		"short B":     func(g *Gemm) { g.B = f(11) },
		"short C":     func(g *Gemm) { g.C = f(5) },
		"short bias":  func(g *Gemm) { g.Bias = f(2) },
		"short sums":  func(g *Gemm) { g.Layout, g.LDA, g.SumA = TN, 2, f(1) },
		"sums of NT":  func(g *Gemm) { g.SumA = f(2) },
		"stride":      func(g *Gemm) { g.LDA = 3 },
		"negative":    func(g *Gemm) { g.M = -1 },
		"layout":      func(g *Gemm) { g.Layout = 3 },
		"overflow":    func(g *Gemm) { g.LDA = math.MaxInt },
		"NN reads it": func(g *Gemm) { g.Layout = NN; g.LDB = 2 },
	} {
		g := good
		change(&g)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			isa.Gemm(&g, scratch)
		}()
	}
	defer func() {
		if recover() == nil {
			t.Error("short scratch: no panic")
		}
	}()
	isa.Gemm(&good, scratch[1:])
}

func TestGemmAllocs(t *testing.T) {
	scratch := make([]float32, GemmScratch)
	for layout := range Layout(3) {
		p := newProduct(layout, 150, 70, 90, 1, 0, 1)
		for _, isa := range levels() {
			if n := testing.AllocsPerRun(3, func() { isa.Gemm(&p.Gemm, scratch) }); n != 0 {
				t.Errorf("%v %v: %v allocations", isa, layout, n)
			}
		}
	}
}
