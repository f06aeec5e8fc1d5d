package kernel

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"
)

const gridBits = 9

// units returns n whole numbers up to most in magnitude, small ones and the ends among them, as values and rests.
func (o *operands) units(most int32, unit float32) (n []int32, x []float32, rest []byte) {
	n, x, rest = make([]int32, o.n), o.vec(), o.side(o.n)
	for i := range n {
		switch o.r.IntN(8) {
		case 0:
			n[i] = []int32{0, 1, -1, most, -most}[o.r.IntN(5)]
		case 1:
			n[i] = o.r.Int32N(9) - 4
		default:
			n[i] = int32(o.r.Int64N(2*int64(most)+1) - int64(most))
		}
		x[i], rest[i] = parts(n[i], unit)
	}
	return n, x, rest
}

// TestRetreatInvertsAdvanceExactly holds a step, of states far beyond what float32 holds, against whole numbers of 64
// bits, and undoes it.
func TestRetreatInvertsAdvanceExactly(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		for _, most := range []int32{1 << 12, 1<<24 - 1, 1 << 25, 1<<30 - 33} {
			for _, planes := range []int{1, 2, 3, 4, 8} {
				for _, n := range []int{0, 1, 15, 16, 17, 100, 1003} {
					checkStep(t, isa, most, planes, n)
				}
			}
		}
	})
}

func checkStep(t *testing.T, isa ISA, most int32, planes, n int) {
	o := newOperands(uint64(n+planes), n, false)
	m := int64(1) << planes
	scale, unit := gridScale(gridBits)
	n0, x, rest := o.units(most, unit)
	_, x1, _ := o.units(min(most, 1<<28), unit)
	h := o.vec()
	sign := int64(1 - 2*(n%2))
	gamma := float32(sign) / float32(m)
	stride := (n+7)/8 + 2
	side := o.side(planes * stride)
	before, restBefore := slices.Clone(x), slices.Clone(rest)
	noSide, restNoSide := slices.Clone(x), slices.Clone(rest)
	up := isa.AdvanceQuantised(x, rest, x1, h, side, stride, gamma, planes, gridBits)
	isa.AdvanceQuantised(noSide, restNoSide, x1, h, nil, 0, gamma, planes, gridBits)
	name := fmt.Sprintf("%d units, gamma %v, n %d", most, gamma, n)
	var top uint32
	for i := range x {
		s := (-int64(n0[i])%m + m) % m
		q := math.RoundToEven(float64(fma(h[i], 1+gamma, x1[i]*(1-gamma))) * (1 << gridBits))
		want := sign*((int64(n0[i])+s)/m) + int64(q)
		if got := int64(whole(x[i], rest[i], scale)); got != want || x[i] != float32(want)*unit || math.Float32bits(x[i]) == 1<<31 {
			t.Fatalf("%s: step %d gives %v and rest %d, %d units, want %d", name, i, x[i], int8(rest[i]), got, want)
		}
		if noSide[i] != x[i] || restNoSide[i] != rest[i] {
			t.Fatalf("%s: without side information step %d gives %v and %d, want %v and %d", name, i, noSide[i], restNoSide[i], x[i], rest[i])
		}
		top = max(top, magnitude(x[i]), magnitude(float32(q)*unit))
	}
	if up != top {
		t.Fatalf("%s: maximum %x, want %x", name, up, top)
	}
	for p := range planes {
		if n%8 != 0 && side[p*stride+n/8]>>(n%8) != 0 {
			t.Fatalf("%s: unused bits of plane %d are set", name, p)
		}
	}
	isa.RetreatQuantised(x, rest, x1, h, side, stride, gamma, planes, gridBits)
	for i := range x {
		if math.Float32bits(x[i]) != math.Float32bits(before[i]) || rest[i] != restBefore[i] {
			t.Fatalf("%s: state %d comes back as %v and rest %d, was %v and %d", name, i, x[i], int8(rest[i]), before[i], int8(restBefore[i]))
		}
	}
}

// TestRestMatters: float32 alone does not hold the grid beyond 2^24 units, so that steps in float32 do not come back.
func TestRestMatters(t *testing.T) {
	t.Parallel()
	o := newOperands(1, 1000, false)
	_, unit := gridScale(gridBits)
	_, x0, rest := o.units(1<<28, unit)
	_, x1, _ := o.units(1<<28, unit)
	side := o.side(125)
	x, lost := slices.Clone(x0), 0
	portable.AdvanceQuantised(x, slices.Clone(rest), x1, make([]float32, 1000), side, 0, 0.5, 1, gridBits)
	portable.RetreatQuantised(x, make([]byte, 1000), x1, make([]float32, 1000), side, 0, 0.5, 1, gridBits)
	for i := range x {
		if x[i] != x0[i] {
			lost++
		}
	}
	if lost < 300 {
		t.Errorf("%d of 1000 states did not come back", lost)
	}
}

// Without the side information the step cannot be undone.
func TestSideInformationMatters(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		x := []float32{1. / 512, 2. / 512, 3. / 512, 0}
		x1, h, rest := make([]float32, 4), make([]float32, 4), make([]byte, 4)
		side := []byte{0xff}
		isa.AdvanceQuantised(x, rest, x1, h, side, 0, 0.5, 1, gridBits)
		if side[0] != 0b0101 {
			t.Errorf("side information %04b, want 0101", side[0])
		}
		isa.RetreatQuantised(x, rest, x1, h, []byte{0}, 0, 0.5, 1, gridBits)
		if x[0] == 1./512 {
			t.Errorf("x came back without its side information")
		}
	})
}

func TestSideInformationOfQuarters(t *testing.T) {
	t.Parallel()
	// (-n) mod 4 for n = 1, 2, 3, 4, -1, -2, -3, 0.
	x := []float32{1, 2, 3, 4, -1, -2, -3, 0}
	zero := make([]float32, 8)
	side := make([]byte, 2)
	portable.AdvanceQuantised(x, make([]byte, 8), zero, zero, side, 1, 0.25, 2, 0)
	if want := []byte{0b01010101, 0b01100011}; !bytes.Equal(side, want) {
		t.Errorf("planes %08b, want %08b", side, want)
	}
}

// TestAddQuantisedRests: the sum of two numbers that float32 holds may be none.
func TestAddQuantisedRests(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		x, h, y, rest := make([]float32, 19), make([]float32, 19), make([]float32, 19), make([]byte, 19)
		for i := range x {
			x[i], h[i] = 1<<21, -1./512
		}
		top := isa.AddQuantised(y, rest, x, h, gridBits)
		for i := range y {
			if y[i] != 1<<21 || int8(rest[i]) != -1 || top != math.Float32bits(1<<21) {
				t.Fatalf("2^21 - 2^-9 is %v and rest %d, maximum %x", y[i], int8(rest[i]), top)
			}
		}
	})
}

// TestBadNumbers: what is not a number, or no int32 holds, is a magnitude beyond every limit.
func TestBadNumbers(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		for _, bad := range []float32{nan, inf, -inf, 3e38, -3e38, 1 << 22, -1 << 22} {
			for _, at := range []int{3, 17} {
				x, x1, h, rest, side := make([]float32, 19), make([]float32, 19), make([]float32, 19), make([]byte, 19), make([]byte, 3)
				h[at] = bad
				for name, top := range map[string]uint32{
					"first":   isa.AddQuantised(slices.Clone(x), rest, x1, h, gridBits),
					"advance": isa.AdvanceQuantised(slices.Clone(x), rest, x1, h, side, 0, -0.5, 1, gridBits),
					"retreat": isa.RetreatQuantised(slices.Clone(x), rest, x1, h, side, 0, -0.5, 1, gridBits),
				} {
					if v := math.Float32frombits(top); v < 1<<21 {
						t.Errorf("%s with %v at %d: maximum %v", name, bad, at, v)
					}
				}
			}
		}
	})
}

func TestQuantise(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		unit := float32(1) / 512
		in := []float32{0.5, 1.5, -0.5, -1.5, 2.25, 2.75, -0.2, 0, 1e6, -3}
		want := []float32{0, 2, 0, -2, 2, 3, 0, 0, 1e6, -3}
		x := make([]float32, 30)
		h := make([]float32, 30)
		for i := range x {
			x[i] = in[i%10] * unit
		}
		copy(h, x)
		if got := isa.Quantise(x, gridBits); got != math.Float32bits(1e6*unit) {
			t.Errorf("maximum %x", math.Float32frombits(got))
		}
		y, z := make([]float32, 30), make([]float32, 30)
		isa.AddQuantised(y, make([]byte, 30), x, h, gridBits)
		isa.QuantisedAdd(z, h, make([]float32, 30), gridBits)
		for i := range x {
			w := want[i%10] * unit
			if math.Float32bits(x[i]) != math.Float32bits(w) || z[i] != w || y[i] != 2*w {
				t.Errorf("%v units: Q %v, x+Q[h] %v, Q[x+0] %v, want %v units", in[i%10], x[i]/unit, y[i]/unit, z[i]/unit, want[i%10])
			}
		}
		for _, bad := range []float32{nan, inf, -inf} {
			x[17] = bad
			if got := isa.Quantise(x, gridBits); got < math.Float32bits(inf) {
				t.Errorf("maximum with %v among the values is %x", bad, got)
			}
			x[17] = 0
		}
	})
}

func TestRetreatInvertsAdvanceUpToRounding(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		r := newRand()
		x0, x1, h := normals(r, 100, 1), normals(r, 100, 1), normals(r, 100, 1)
		x := append([]float32(nil), x0...)
		isa.Advance(x, x1, h, -0.5)
		for i, v := range x {
			near(t, "x2", float64(v), -0.5*float64(x0[i])+1.5*float64(x1[i])+0.5*float64(h[i]), 1e-6)
		}
		isa.Retreat(x, x1, h, -0.5)
		for i, v := range x {
			near(t, "x0", float64(v), float64(x0[i]), 1e-5)
		}
	})
}

func TestCompleteGrad(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		n := 21
		dx, pending, g := make([]float32, n), make([]float32, n), make([]float32, n)
		for i := range g {
			dx[i], pending[i], g[i] = 1, 1<<24, 2
		}
		isa.CompleteGrad(dx, pending, g, 0.5)
		for i := range g {
			// 1 + 0.5*2 first, then 2^24: the other order would lose the 1.
			if dx[i] != 1<<24+2 || pending[i] != 1 {
				t.Fatalf("dx, pending = %v, %v, want %v, 1", dx[i], pending[i], 1<<24+2)
			}
		}
	})
}

func TestAdvanceRefusesMisuse(t *testing.T) {
	t.Parallel()
	x, rest := make([]float32, 9), make([]byte, 9)
	for name, f := range map[string]func(){
		"gamma":  func() { portable.AdvanceQuantised(x, rest, x, x, nil, 0, 0.5, 2, 9) },
		"side":   func() { portable.RetreatQuantised(x, rest, x, x, make([]byte, 1), 0, 0.5, 1, 9) },
		"planes": func() { portable.AdvanceQuantised(x, rest, x, x, nil, 0, 1, 0, 9) },
		"rest":   func() { portable.AdvanceQuantised(x, rest[1:], x, x, nil, 0, 0.5, 1, 9) },
		"stride": func() { portable.AdvanceQuantised(x, rest, x, x, make([]byte, 8), 1, 0.25, 2, 9) },
		"bits":   func() { portable.Quantise(x, -1) },
		"length": func() { portable.Add(x, x[1:], x) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}
