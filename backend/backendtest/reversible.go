package backendtest

import (
	"bytes"
	"fmt"
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tensor"
)

// q is the grid's rounding in float64.
func q(x float64, bits int) float64 {
	return math.Ldexp(math.RoundToEven(math.Ldexp(x, bits)), -bits)
}

// reversibleTest holds steps against the paper's equations and undoes them.
func reversibleTest(e *env) {
	for _, u := range []backend.Law{{Planes: 1, Bits: 9}, {Planes: 2, Bits: 9}, {Planes: 3, Bits: 5}, {Planes: 8, Bits: 12}} {
		for _, s := range []struct{ B, n int }{{1, 1}, {3, 7 * 36}, {2, 65}, {2, chunk + 13}} {
			if s.n > chunk && u.Planes != 1 && u.Planes != 8 {
				continue
			}
			mark := e.Mark()
			name := fmt.Sprintf("%+v %+v ", u, s)
			m := 1 << u.Planes
			gammas := make([]float32, s.B)
			for b := range gammas {
				gammas[b] = float32(1-2*(b%2)) / float32(m)
			}
			prev, x, h := e.grid(3, u.Bits, s.B, s.n), e.grid(3, u.Bits, s.B, s.n), e.normal(1, s.B, s.n)
			gamma, peak := e.of(gammas...), e.peak(s.B)
			side := e.Alloc(backend.SideBits, tensor.U8, tensor.Shape{u.Planes, s.B, (s.n + 7) / 8})
			e.UploadBytes(side, bytes.Repeat([]byte{0xff}, side.Len()))
			before := e.host(prev)
			next := e.clone(prev)
			e.Advance(next, x, h, side, gamma, peak, u)

			P, X, H := e.wide(prev), e.wide(x), e.wide(h)
			want, wantSide, top := make([]float64, len(P)), make([]byte, side.Len()), make([]float64, s.B)
			for i := range P {
				b, g := i/s.n, float64(gammas[i/s.n])
				units := int(math.Ldexp(P[i], u.Bits))
				bits := ((-units)%m + m) % m
				for p := range u.Planes {
					wantSide[(p*s.B+b)*((s.n+7)/8)+i%s.n/8] |= byte(bits>>p&1) << (i % s.n % 8)
				}
				// One float32 rounding of the inner sum, as the kernel has it, decides ties.
				inner := float64(float32(math.FMA(1+g, H[i], float64(float32((1-g)*X[i])))))
				round := q(inner, u.Bits)
				want[i] = g*(P[i]+math.Ldexp(float64(bits), -u.Bits)) + round
				top[b] = max(top[b], math.Abs(want[i]), math.Abs(round))
			}
			e.near(name+"x_{k+1}", next, want, 0)
			got := make([]byte, side.Len())
			e.DownloadBytes(got, side)
			if !bytes.Equal(got, wantSide) {
				e.t.Errorf("%sside information differs", name)
			}
			for b, bits := range e.ints(peak) {
				if v := math.Float32frombits(uint32(bits)); float64(v) != top[b] {
					e.t.Errorf("%speak of sample %d is %v, want %v", name, b, v, top[b])
				}
			}
			bare := e.clone(prev)
			e.Advance(bare, x, h, tensor.Tensor{}, gamma, peak, u)
			testkit.EqualBits(e.t, name+"without keeping side information", e.host(bare), e.host(next))

			e.Retreat(next, x, h, side, gamma, peak, u)
			testkit.EqualBits(e.t, name+"x_{k-1}", e.host(next), before)
			e.Release(mark)
		}
	}
	noGridTest(e)
}

func noGridTest(e *env) {
	const B, n = 2, 100
	none := backend.Law{Bits: backend.NoGrid}
	prev, x, h, gamma, peak := e.normal(1, B, n), e.normal(1, B, n), e.normal(1, B, n), e.of(0.6, -0.6), e.peak(B)
	P, X, H := e.wide(prev), e.wide(x), e.wide(h)
	for i := range P {
		g := float64(float32(0.6)) * float64(1-2*(i/n))
		P[i] = g*P[i] + (1-g)*X[i] + (1+g)*H[i]
	}
	before := e.wide(prev)
	e.Advance(prev, x, h, tensor.Tensor{}, gamma, peak, none)
	e.near("step without a grid", prev, P, 3e-7)
	e.Retreat(prev, x, h, tensor.Tensor{}, gamma, peak, none)
	e.near("its inverse", prev, before, 2e-6)

	// The other three updates, at inference and at the first block.
	for _, bits := range []int{0, 9, 20} {
		x, h := e.normal(1, B, n), e.normal(1, B, n)
		X, H := e.wide(x), e.wide(h)
		rounded, sum, first := make([]float64, B*n), make([]float64, B*n), make([]float64, B*n)
		for i := range X {
			rounded[i] = q(X[i], bits)
			sum[i] = q(float64(float32(X[i]+H[i])), bits)
			first[i] = rounded[i] + q(H[i], bits)
		}
		y := e.empty(B, n)
		e.QuantisedAdd(y, x, h, peak, bits)
		e.near(fmt.Sprint(bits, " Q[x+h]"), y, sum, 0)
		e.Quantise(x, peak, bits)
		e.near(fmt.Sprint(bits, " Q[x]"), x, rounded, 0)
		e.AddQuantised(x, x, h, peak, bits)
		e.near(fmt.Sprint(bits, " x+Q[h]"), x, first, 0)
	}
}

// noNegativeZeroTest: -0 would equal +0 but differ in bits.
func noNegativeZeroTest(e *env) {
	minus := float32(math.Copysign(0, -1))
	for _, n := range []int{3, 16, 35} {
		x, h, prev := e.zero(1, n), e.zero(1, n), e.zero(1, n)
		host := make([]float32, n)
		for i := range host {
			host[i] = []float32{minus, -1e-6, 0.0001, -0.0001}[i%4]
		}
		e.Upload(h, host)
		e.Upload(x, host)
		peak, gamma := e.peak(1), e.of(-0.5)
		u := backend.Law{Planes: 1, Bits: 9}
		side := e.Alloc(backend.SideBits, tensor.U8, tensor.Shape{1, 1, (n + 7) / 8})
		e.Quantise(x, peak, 9)
		check := func(what string, x tensor.Tensor) {
			for i, v := range e.host(x) {
				if math.Float32bits(v) == 1<<31 {
					e.t.Errorf("%s: element %d of %d is -0", what, i, n)
				}
			}
		}
		check("Quantise", x)
		y := e.empty(1, n)
		e.QuantisedAdd(y, x, h, peak, 9)
		check("QuantisedAdd", y)
		e.AddQuantised(y, x, h, peak, 9)
		check("AddQuantised", y)
		e.Advance(prev, x, h, side, gamma, peak, u)
		check("Advance", prev)
		e.Retreat(prev, x, h, side, gamma, peak, u)
		check("Retreat", prev)
	}
}

// badPeaksTest: infinite and NaN are larger than every limit.
func badPeaksTest(e *env) {
	for _, bad := range []float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), -40000} {
		const n = chunk + 40
		for _, at := range []int{0, 17, n - 1} {
			x, peak := e.zero(2, n), e.peak(2)
			host := make([]float32, 2*n)
			host[n+at] = bad
			e.Upload(x, host)
			e.Quantise(x, peak, 9)
			got := e.ints(peak)
			if v := math.Float32frombits(uint32(got[1])); got[0] != 0 || v < 40000 {
				e.t.Errorf("peaks with %v at element %d of sample 1: %v", bad, at, got)
			}
		}
	}
}
