package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/half"
)

// levels16 are the instruction sets of this machine for products of bfloat16.
func levels16() []ISA {
	var s []ISA
	for _, l := range cpufeat.SupportedBF16() {
		s = append(s, ISA(l))
	}
	return s
}

// product16 is a Gemm16 on its own memory, with fences around what it writes.
type product16 struct {
	Gemm16
	floats []float32 // fence, C, fence, SumA, fence
	halves []uint16  // fence, Half, fence
}

// shape16 says which product to draw.
type shape16 struct {
	layout   Layout
	m, n, k  int
	samples  int // of TN, each of k rows
	fullA    bool
	fullB    bool
	narrow   bool // outputs of bfloat16
	bias     bool
	more     bool // accumulate
	pad      int
	seed     uint64
	ordinary bool
}

func (s shape16) String() string {
	return fmt.Sprintf("%v %dx%dx%d, %d samples, full %t %t, narrow %t, bias %t, more %t, pad %d, seed %d",
		s.layout, s.m, s.n, s.k, s.samples, s.fullA, s.fullB, s.narrow, s.bias, s.more, s.pad, s.seed)
}

func newProduct16(s shape16) *product16 {
	rng := rand.New(rand.NewPCG(s.seed, 16))
	p := &product16{}
	p.Layout, p.M, p.N, p.K = s.layout, s.m, s.n, s.k
	if s.layout == TN && s.samples > 0 {
		p.Rows = s.k
		p.K *= s.samples
		if p.Rows == 0 {
			p.Rows, p.K = 1, s.samples
		}
	}
	ra, ca, rb, cb := p.M, p.K, p.K, p.N
	switch s.layout {
	case NT:
		rb, cb = p.N, p.K
	case TN:
		ra, ca = p.K, p.M
	}
	draw := func(full bool, rows, cols, ld int) Operand {
		x := draw16(rng, matrixLen(rows, cols, ld), s.ordinary)
		if full {
			return Operand{Full: x, LD: ld}
		}
		h := make([]uint16, len(x))
		portable.RoundNearest(h, x)
		return Operand{Half: h, LD: ld}
	}
	p.A, p.B = draw(s.fullA, ra, ca, ca+s.pad), draw(s.fullB, rb, cb, cb+s.pad/2)
	p.LDC = p.N + s.pad%7
	n := matrixLen(p.M, p.N, p.LDC)
	p.floats, p.halves = make([]float32, n+p.M+3*fence), make([]uint16, n+2*fence)
	for i := range p.floats {
		p.floats[i] = fenceValue
	}
	for i := range p.halves {
		p.halves[i] = 0x7f31
	}
	if s.bias {
		p.Bias = draw16(rng, p.N, s.ordinary)
	}
	if p.Accumulate = s.more && !s.narrow; p.Accumulate && p.N > 0 {
		for i := range p.M {
			copy(p.floats[fence+i*p.LDC:], draw16(rng, p.N, s.ordinary))
		}
	}
	p.use(p.floats, p.halves, s.narrow)
	if s.layout == TN && s.seed%2 == 0 {
		p.SumA = p.floats[2*fence+n:][:p.M]
		copy(p.SumA, draw16(rng, p.M, true))
	}
	return p
}

// use lets outputs lie in the given memory.
func (p *product16) use(floats []float32, halves []uint16, narrow bool) {
	n := len(halves) - 2*fence
	if p.C, p.Half = nil, nil; narrow {
		p.Half = halves[fence : fence+n : fence+n]
	} else {
		p.C = floats[fence : fence+n : fence+n]
	}
	if p.SumA != nil {
		p.SumA = floats[2*fence+n:][:p.M]
	}
}

// draw16 returns ordinary floats, or a mixture of the hard ones: of 60 and of all binades, subnormals, infinities and
// NaN, zeros of both signs, ties of rounding, and few large ones that cancel.
func draw16(rng *rand.Rand, n int, ordinary bool) []float32 {
	x := make([]float32, n)
	kind := rng.IntN(6)
	if ordinary {
		kind = 0
	}
	for i := range x {
		v := float32(rng.NormFloat64())
		switch kind {
		case 1: // 60 binades
			v = float32(math.Ldexp(float64(v), rng.IntN(60)-30))
		case 2: // around the least normal number, for products of two and for each
			v = float32(math.Ldexp(float64(v), -[]int{60, 63, 66, 75, 120, 126, 130, 140}[rng.IntN(8)]))
		case 3: // any bits
			if rng.IntN(8) == 0 {
				v = math.Float32frombits(rng.Uint32())
			}
		case 4: // ties, and values that a rounding makes normal, infinite or NaN
			b := rng.Uint32()&0xffff0000 | []uint32{0x8000, 0x7fff, 0x8001, 0}[rng.IntN(4)]
			if rng.IntN(4) > 0 {
				b = b&^0x7f800000 | uint32(120+rng.IntN(14))<<23
			}
			if rng.IntN(30) == 0 {
				b = []uint32{0x007fffff, 0x7f7fffff, 0x7f800001, 0x80000001, 0x80000000, 0, 0x007f8000, 0xff7f8000}[rng.IntN(8)]
			}
			v = math.Float32frombits(b)
		case 5: // cancellation
			v = float32(rng.IntN(5)-2) * float32(math.Ldexp(1, rng.IntN(3)*12))
		}
		x[i] = v
	}
	return x
}

// on runs the product on isa with fresh outputs.
func (p *product16) on(isa ISA, scratch []float32) (floats []float32, halves []uint16) {
	q := *p
	floats, halves = append([]float32(nil), p.floats...), append([]uint16(nil), p.halves...)
	q.use(floats, halves, p.Half != nil)
	isa.Gemm16(&q.Gemm16, scratch)
	return floats, halves
}

// diffHalves is diff of bfloat16.
func diffHalves(got, want []uint16) error {
	for i := range want {
		if g, w := half.BToFloat(got[i]), half.BToFloat(want[i]); got[i] != want[i] && (g == g || w == w) {
			return fmt.Errorf("bfloat16 %d is %x (%v), want %x (%v)", i-fence, got[i], g, want[i], w)
		}
	}
	return nil
}

// check16 compares every instruction set with the portable one.
func check16(t *testing.T, s shape16, scratch []float32) {
	t.Helper()
	p := newProduct16(s)
	floats, halves := p.on(portable, scratch)
	for _, isa := range levels16()[1:] {
		for i := range scratch { // what others left there does not count
			scratch[i] = nan
		}
		room := scratch
		if max(p.M, p.N, p.K) <= 256 && s.seed%2 > 0 {
			room = scratch[:Gemm16Small]
		}
		f, h := p.on(isa, room)
		if err := diff(f, floats); err != nil {
			t.Errorf("%v %v: %v", isa, s, err)
		}
		if err := diffHalves(h, halves); err != nil {
			t.Errorf("%v %v: %v", isa, s, err)
		}
	}
}

// shapeOf takes the variant of a product from bits.
func shapeOf(layout Layout, m, n, k, samples int, bits, pad uint8, seed uint64) shape16 {
	return shape16{layout: layout, m: m, n: n, k: k, samples: samples, fullA: bits&1 > 0, fullB: bits&2 > 0, narrow: bits&4 > 0,
		bias: bits&8 > 0, more: bits&16 > 0, pad: int(pad), seed: seed}
}

func TestGemm16Levels(t *testing.T) {
	t.Parallel()
	scratch := make([]float32, Gemm16Scratch)
	rng := rand.New(rand.NewPCG(3, 16))
	seed := uint64(0)
	check := func(m, n, k int) {
		for layout := range Layout(3) {
			seed++
			check16(t, shapeOf(layout, m, n, k, rng.IntN(4), uint8(rng.IntN(32)), uint8(rng.IntN(20)), seed), scratch)
		}
	}
	for m := 1; m <= 34; m++ {
		check(m, 1+rng.IntN(40), 1+rng.IntN(70))
	}
	for n := 1; n <= 70; n++ {
		check(1+rng.IntN(34), n, 1+rng.IntN(40))
	}
	for k := 1; k <= 70; k++ {
		check(1+rng.IntN(10), 1+rng.IntN(34), k)
	}
	for n := 15; n <= 70; n += 5 { // one row against columns as they lie
		for _, k := range []int{32, 64, 96, 288, 320} {
			check(1, n, k)
		}
	}
	limits := [][3]int{{64, 64, 64}, {33, 65, 97}, {0, 4, 4}, {4, 0, 4}, {5, 6, 0}, {5, 3, 800}, {130, 33, 33}, {10, 260, 32}, {3, 5, 2000}}
	for _, l := range limits {
		for range 3 {
			check(l[0], l[1], l[2])
		}
	}
}

func FuzzGemm16(f *testing.F) {
	f.Add(uint16(33), uint16(65), uint16(64), uint8(0), uint8(0), uint8(3), uint8(0), uint64(1))
	f.Add(uint16(70), uint16(100), uint16(700), uint8(0), uint8(4), uint8(0), uint8(0), uint64(2))
	f.Add(uint16(64), uint16(33), uint16(65), uint8(2), uint8(16), uint8(17), uint8(3), uint64(3))
	f.Add(uint16(1), uint16(131), uint16(7), uint8(1), uint8(15), uint8(1), uint8(0), uint64(4))
	f.Fuzz(func(t *testing.T, m, n, k uint16, layout, bits, pad, samples uint8, seed uint64) {
		s := shapeOf(Layout(layout%3), int(m)%400, int(n)%1300, int(k)%2000, int(samples)%5, bits, pad, seed)
		if s.m*s.n*s.k*max(s.samples, 1) > 1<<19 {
			t.Skip("slow on the portable path")
		}
		check16(t, s, make([]float32, Gemm16Scratch))
	})
}

// TestGemm16Limits runs shapes around every limit of the blocking. The paths are compared with each other: the
// portable one is too slow for them.
func TestGemm16Limits(t *testing.T) {
	t.Parallel()
	if len(levels16()) < 3 {
		t.Skip("one path alone")
	}
	scratch := make([]float32, Gemm16Scratch)
	shapes := []shape16{
		{layout: NT, m: 150, n: 1100, k: 700, fullA: true, bias: true, pad: 3}, // A is kept packed, over several bands
		{layout: NT, m: 97, n: 1030, k: 640},                                   // A in place, two parts of k
		{layout: NN, m: 200, n: 300, k: 1300, narrow: true},                    // outputs go on in part
		{layout: NT, m: 40, n: 70, k: 17000, narrow: true},                     // too long for the scratch buffer
		{layout: NN, m: 40, n: 70, k: 17000, more: true},
		{layout: NT, m: 70, n: 2100, k: 64, narrow: true, fullB: true},
		{layout: TN, m: 700, n: 130, k: 1500, more: true, pad: 5}, // more rows than are packed at once, parts of k
		{layout: TN, m: 100, n: 1000, k: 65, samples: 13, more: true, fullA: true},
		{layout: TN, m: 60, n: 90, k: 45, samples: 20, narrow: true},
		{layout: NT, m: 33, n: 65, k: 1024},
	}
	if testing.Short() {
		shapes = shapes[:7]
	}
	for i, s := range shapes {
		for seed := range uint64(2) {
			s.seed = uint64(2*i) + seed
			p := newProduct16(s)
			floats, halves := p.on(avx2, scratch)
			for _, isa := range levels16()[2:] {
				f, h := p.on(isa, scratch)
				if err := diff(f, floats); err != nil {
					t.Errorf("%v %v: %v", isa, s, err)
				}
				if err := diffHalves(h, halves); err != nil {
					t.Errorf("%v %v: %v", isa, s, err)
				}
			}
		}
	}
}

// TestGemm16Phases packs blocks apart, panels and rows in any order, as several threads would.
func TestGemm16Phases(t *testing.T) {
	t.Parallel()
	scratch := make([]float32, Gemm16Scratch)
	for i, s := range []shape16{
		{layout: NT, m: 100, n: 300, k: 1000, narrow: true}, {layout: NN, m: 70, n: 90, k: 2600, fullB: true, bias: true},
		{layout: TN, m: 130, n: 100, k: 50, samples: 23, more: true}, {layout: NT, m: 33, n: 70, k: 40, more: true},
	} {
		s.seed = uint64(2 * i)
		for _, isa := range levels16()[1:] {
			p := newProduct16(s)
			floats, halves := p.on(isa, scratch)
			bands, parts := isa.Blocks16(&p.Gemm16, 200_000)
			data := make([]uint16, 200_000)
			for band := range bands {
				for part := range parts {
					b := p.Block(band, bands, part, parts)
					b.Data = data
					cut, row := b.Panels()/3, p.M/64*32
					isa.Pack16(&p.Gemm16, &b, cut, b.Panels(), scratch)
					isa.Pack16(&p.Gemm16, &b, 0, cut, scratch)
					isa.Multiply16(&p.Gemm16, &b, row, p.M, scratch)
					isa.Multiply16(&p.Gemm16, &b, 0, row, scratch)
				}
			}
			if err := diff(p.floats, floats); err != nil {
				t.Errorf("%v %v, %d bands, %d parts: %v", isa, s, bands, parts, err)
			}
			if err := diffHalves(p.halves, halves); err != nil {
				t.Errorf("%v %v, %d bands, %d parts: %v", isa, s, bands, parts, err)
			}
		}
	}
}

// TestGemm16Split computes a product in blocks of C, of whole groups of k and of whole samples, which must not change
// a bit.
func TestGemm16Split(t *testing.T) {
	t.Parallel()
	scratch := make([]float32, Gemm16Scratch)
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 17))
		s := shapeOf(Layout(seed%3), 1+rng.IntN(70), 1+rng.IntN(80), 1+rng.IntN(100), rng.IntN(4), uint8(rng.IntN(32))&^4, uint8(rng.IntN(9)), seed)
		p := newProduct16(s)
		for _, isa := range levels16() {
			floats, _ := p.on(isa, scratch)
			q := *p
			got := append([]float32(nil), p.floats...)
			q.use(got, p.halves, false)
			step := group * (1 + rng.IntN(2))
			if q.Rows > 0 {
				step = q.Rows
			}
			i, j := rng.IntN(p.M+1), rng.IntN(p.N+1)
			for _, rows := range [][2]int{{0, i}, {i, p.M}} {
				for _, cols := range [][2]int{{0, j}, {j, p.N}} {
					for k := 0; k < p.K; k += step {
						part := q.Part(rows[0], rows[1], cols[0], cols[1])
						part.alongK(k, min(k+step, p.K))
						if cols[0] == cols[1] || cols[0] == 0 && j == 0 && cols[1] == 0 {
							part.SumA = nil
						}
						part.Accumulate = part.Accumulate || k > 0
						isa.Gemm16(&part, scratch)
					}
				}
			}
			if err := diff(got, floats); err != nil {
				t.Errorf("%v %v, cut at %d, %d and every %d: %v", isa, s, i, j, step, err)
			}
		}
	}
}

// alongK restricts g to some k.
func (g *Gemm16) alongK(k0, k1 int) {
	g.K = k1 - k0
	if g.Layout == TN {
		g.A = g.A.from(k0 * g.A.LD)
	} else {
		g.A = g.A.from(k0)
	}
	if g.Layout == NT {
		g.B = g.B.from(k0)
	} else {
		g.B = g.B.from(k0 * g.B.LD)
	}
}

func TestGemm16Panics(t *testing.T) {
	t.Parallel()
	scratch := make([]float32, Gemm16Scratch)
	h := func(n int) []uint16 { return make([]uint16, n) }
	f := func(n int) []float32 { return make([]float32, n) }
	good := Gemm16{M: 2, N: 3, K: 4, A: Operand{Half: h(8), LD: 4}, B: Operand{Full: f(12), LD: 4}, C: f(6), LDC: 3}
	isa := ISA(cpufeat.Best())
	isa.Gemm16(&good, scratch)
	isa.Gemm16(&good, scratch[:Gemm16Small])
	refused := func(name string, scratch []float32, change func(*Gemm16)) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s: no panic", name)
			}
		}()
		g := good
		change(&g)
		isa.Gemm16(&g, scratch)
	}
	for name, change := range map[string]func(*Gemm16){
		"short A":          func(g *Gemm16) { g.A.Half = h(7) },
		"short B":          func(g *Gemm16) { g.B.Full = f(11) },
		"two of A":         func(g *Gemm16) { g.A.Full = f(8) },
		"no A":             func(g *Gemm16) { g.A.Half = nil },
		"short C":          func(g *Gemm16) { g.C = f(5) },
		"two outputs":      func(g *Gemm16) { g.Half = h(6) },
		"rounded sums":     func(g *Gemm16) { g.C, g.Half, g.Accumulate = nil, h(6), true },
		"short bias":       func(g *Gemm16) { g.Bias = f(2) },
		"sums of NT":       func(g *Gemm16) { g.SumA = f(2) },
		"samples of NT":    func(g *Gemm16) { g.Rows = 4 },
		"part of a sample": func(g *Gemm16) { g.Layout, g.A.LD, g.Rows = TN, 2, 3 },
		"negative":         func(g *Gemm16) { g.N = -1 },
		"overflow":         func(g *Gemm16) { g.B.LD = math.MaxInt },
	} {
		refused(name, scratch, change)
	}
	refused("short scratch", scratch[:Gemm16Small-1], func(*Gemm16) {})
	refused("scratch for a large one", scratch[:Gemm16Scratch-1], func(g *Gemm16) {
		g.K = 257
		g.A, g.B = Operand{Half: h(600), LD: 257}, Operand{Half: h(900), LD: 257}
	})
}

func TestGemm16Allocs(t *testing.T) {
	scratch := make([]float32, Gemm16Scratch)
	for layout := range Layout(3) {
		for bits := range uint8(8) {
			p := newProduct16(shapeOf(layout, 70, 70, 40, 1, bits, 0, 2))
			for _, isa := range levels16() {
				if n := testing.AllocsPerRun(2, func() { isa.Gemm16(&p.Gemm16, scratch) }); n != 0 {
					t.Errorf("%v %v: %v allocations", isa, layout, n)
				}
			}
		}
	}
}
