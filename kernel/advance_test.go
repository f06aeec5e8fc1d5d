package kernel

import (
	"bytes"
	"fmt"
	"math"
	"testing"
)

const gridBits = 9

// onGrid reports whether x is a multiple of 2^-gridBits and not -0.
func onGrid(x float32) bool {
	n := float64(x) * (1 << gridBits)
	return n == math.Trunc(n) && math.Float32bits(x) != 1<<31
}

func TestRetreatInvertsAdvanceExactly(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		r := newRand()
		for _, c := range []struct {
			gamma  float32
			planes int
		}{{0.5, 1}, {-0.5, 1}, {0.25, 2}, {-0.25, 2}, {0.125, 3}, {-0.125, 3}, {1, 0}, {-1, 0}} {
			for _, n := range []int{0, 1, 15, 16, 17, 100, 1003} {
				o := newOperands(uint64(n), n, false)
				x0, x1 := o.grid(gridBits), o.grid(gridBits)
				for i := range x0 {
					if i%5 == 0 {
						x0[i] = 0
					}
				}
				h := normals(r, n, 2)
				stride := (n+7)/8 + 2
				side := o.side(3 * stride)
				x2 := append([]float32(nil), x0...)
				up := isa.AdvanceQuantised(x2, x1, h, side, stride, c.gamma, c.planes, gridBits)
				noSide := append([]float32(nil), x0...)
				isa.AdvanceQuantised(noSide, x1, h, nil, 0, c.gamma, c.planes, gridBits)
				name := fmt.Sprintf("gamma %v n %d", c.gamma, n)
				for i, v := range x2 {
					if !onGrid(v) {
						t.Fatalf("%s: x2[%d] = %v is off the grid", name, i, v)
					}
					if v != noSide[i] {
						t.Fatalf("%s: x2[%d] = %v, without side information %v", name, i, v, noSide[i])
					}
					exact := float64(c.gamma)*float64(x0[i]) + (1-float64(c.gamma))*float64(x1[i]) + (1+float64(c.gamma))*float64(h[i])
					if math.Abs(exact-float64(v)) > 1.6/(1<<gridBits) {
						t.Fatalf("%s: x2[%d] = %v, want about %v", name, i, v, exact)
					}
					if magnitude(v) > up {
						t.Fatalf("%s: maximum %x is below |x2[%d]| = %x", name, up, i, magnitude(v))
					}
				}
				isa.RetreatQuantised(x2, x1, h, side, stride, c.gamma, c.planes, gridBits)
				for i, v := range x2 {
					if math.Float32bits(v) != math.Float32bits(x0[i]) {
						t.Fatalf("%s: x0[%d] comes back as %x, was %x", name, i, v, x0[i])
					}
				}
				for p := range c.planes {
					if n%8 != 0 && side[p*stride+n/8]>>(n%8) != 0 {
						t.Fatalf("%s: unused bits of plane %d are set", name, p)
					}
				}
			}
		}
	})
}

// Without the side information the step cannot be undone.
func TestSideInformationMatters(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		x := []float32{1. / 512, 2. / 512, 3. / 512, 0}
		x1, h := make([]float32, 4), make([]float32, 4)
		side := []byte{0xff}
		isa.AdvanceQuantised(x, x1, h, side, 0, 0.5, 1, gridBits)
		if side[0] != 0b0101 {
			t.Errorf("side information %04b, want 0101", side[0])
		}
		isa.RetreatQuantised(x, x1, h, []byte{0}, 0, 0.5, 1, gridBits)
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
	portable.AdvanceQuantised(x, zero, zero, side, 1, 0.25, 2, 0)
	if want := []byte{0b01010101, 0b01100011}; !bytes.Equal(side, want) {
		t.Errorf("planes %08b, want %08b", side, want)
	}
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
		isa.AddQuantised(y, x, h, gridBits)
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
	x := make([]float32, 9)
	for name, f := range map[string]func(){
		"gamma":  func() { portable.AdvanceQuantised(x, x, x, nil, 0, 0.5, 2, 9) },
		"side":   func() { portable.RetreatQuantised(x, x, x, make([]byte, 1), 0, 0.5, 1, 9) },
		"stride": func() { portable.AdvanceQuantised(x, x, x, make([]byte, 8), 1, 0.25, 2, 9) },
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
