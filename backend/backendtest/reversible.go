package backendtest

import (
	"bytes"
	"fmt"
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tensor"
)

// q is the grid's rounding in float64.
func q(x float64, bits int) float64 {
	return math.Ldexp(math.RoundToEven(math.Ldexp(x, bits)), -bits)
}

// units returns whole numbers up to most units of 2^-bits as states: values and their rests.
func (e *env) units(most float64, bits int, s ...int) (n []int64, x, rest tensor.Tensor) {
	x, rest = e.empty(s...), e.rests(s...)
	n = make([]int64, x.Len())
	e.inputs++
	key := rng.Key{Seed: 7, Block: e.inputs}
	values, rests := make([]float32, len(n)), make([]byte, len(n))
	for i := range n {
		n[i] = int64((2*key.Float64(uint32(i)) - 1) * most)
		values[i] = float32(math.Ldexp(float64(float32(n[i])), -bits))
		rests[i] = byte(n[i] - int64(float32(n[i])))
	}
	e.Upload(x, values)
	e.UploadBytes(rest, rests)
	return n, x, rest
}

// rests returns memory for the rests of a state, of zeros.
func (e *env) rests(s ...int) tensor.Tensor {
	t := e.Alloc(backend.States, tensor.U8, shape(s))
	e.Zero(t)
	return t
}

func (e *env) bytes(x tensor.Tensor) []byte {
	out := make([]byte, x.Len())
	e.DownloadBytes(out, x)
	return out
}

// reversibleTest holds steps against the paper's equations and undoes them, of states that float32 holds and of others.
func reversibleTest(e *env) {
	for _, u := range []backend.Law{{Planes: 1, Bits: 9}, {Planes: 2, Bits: 9}, {Planes: 3, Bits: 5}, {Planes: 8, Bits: 12}, {Planes: 1, Bits: 26}} {
		for _, s := range []struct {
			B, n int
			most float64 // units
		}{{1, 1, 3000}, {3, 7 * 36, 3000}, {2, 65, 1 << 24}, {2, 65, 1 << 29}, {1, 100, 1<<30 - 32}, {2, chunk + 13, 1 << 28}} {
			if s.n > chunk && u.Planes != 1 && u.Planes != 8 {
				continue
			}
			mark := e.Mark()
			name := fmt.Sprintf("%+v %+v ", u, s)
			m := int64(1) << u.Planes
			gammas := make([]float32, s.B)
			for b := range gammas {
				gammas[b] = float32(1-2*(b%2)) / float32(m)
			}
			N, prev, rest := e.units(s.most, u.Bits, s.B, s.n)
			_, x, _ := e.units(min(s.most, 1<<28), u.Bits, s.B, s.n)
			h := e.normal(1, s.B, s.n)
			gamma, peak := e.of(gammas...), e.peak(s.B)
			side := e.Alloc(backend.SideBits, tensor.U8, tensor.Shape{u.Planes, s.B, (s.n + 7) / 8})
			e.UploadBytes(side, bytes.Repeat([]byte{0xff}, side.Len()))
			before, restBefore := e.host(prev), e.bytes(rest)
			next, nextRest := e.clone(prev), e.rests(s.B, s.n)
			e.Copy(nextRest, rest)
			e.Advance(next, nextRest, x, h, side, gamma, peak, u)

			X, H := e.wide(x), e.wide(h)
			want, wantRest, wantSide, top := make([]float64, len(N)), make([]byte, len(N)), make([]byte, side.Len()), make([]float64, s.B)
			for i, n := range N {
				b, g := i/s.n, float64(gammas[i/s.n])
				bits := (-n%m + m) % m
				for p := range u.Planes {
					wantSide[(p*s.B+b)*((s.n+7)/8)+i%s.n/8] |= byte(bits>>p&1) << (i % s.n % 8)
				}
				// One float32 rounding of the inner sum, as the kernel has it, decides ties.
				inner := float64(float32(math.FMA(1+g, H[i], float64(float32((1-g)*X[i])))))
				round := q(inner, u.Bits)
				sum := int64(g*float64(n+bits) + math.Ldexp(round, u.Bits))
				want[i] = math.Ldexp(float64(float32(sum)), -u.Bits)
				wantRest[i] = byte(sum - int64(float32(sum)))
				top[b] = max(top[b], math.Abs(want[i]), math.Abs(round))
			}
			e.near(name+"x_{k+1}", next, want, 0)
			if got := e.bytes(nextRest); !bytes.Equal(got, wantRest) {
				e.t.Errorf("%srests differ", name)
			}
			if got := e.bytes(side); !bytes.Equal(got, wantSide) {
				e.t.Errorf("%sside information differs", name)
			}
			for b, bits := range e.ints(peak) {
				if v := math.Float32frombits(uint32(bits)); float64(v) != top[b] {
					e.t.Errorf("%speak of sample %d is %v, want %v", name, b, v, top[b])
				}
			}
			bare, bareRest := e.clone(prev), e.rests(s.B, s.n)
			e.Copy(bareRest, rest)
			e.Advance(bare, bareRest, x, h, tensor.Tensor{}, gamma, peak, u)
			testkit.EqualBits(e.t, name+"without keeping side information", e.host(bare), e.host(next))
			if !bytes.Equal(e.bytes(bareRest), wantRest) {
				e.t.Errorf("%srests differ without side information", name)
			}

			e.Retreat(next, nextRest, x, h, side, gamma, peak, u)
			testkit.EqualBits(e.t, name+"x_{k-1}", e.host(next), before)
			if !bytes.Equal(e.bytes(nextRest), restBefore) {
				e.t.Errorf("%srests of x_{k-1} differ", name)
			}
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
	e.Advance(prev, tensor.Tensor{}, x, h, tensor.Tensor{}, gamma, peak, none)
	e.near("step without a grid", prev, P, 3e-7)
	e.Retreat(prev, tensor.Tensor{}, x, h, tensor.Tensor{}, gamma, peak, none)
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
		e.AddQuantised(x, e.rests(B, n), x, h, peak, bits)
		e.near(fmt.Sprint(bits, " x+Q[h]"), x, first, 0)
	}
	large, rest := e.of(1<<15, -1<<15), e.rests(2)
	e.AddQuantised(large, rest, large, e.of(1./512, -3./512), e.peak(2), 9)
	e.near("2^24 units and a few", large, []float64{1 << 15, -(1<<15 + 4./512)}, 0)
	if got := e.bytes(rest); got[0] != 1 || got[1] != 1 {
		e.t.Errorf("rests of 2^24+1 and -2^24-3 units: %d", got)
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
		peak, gamma, rest := e.peak(1), e.of(-0.5), e.rests(1, n)
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
		e.AddQuantised(y, rest, x, h, peak, 9)
		check("AddQuantised", y)
		e.Advance(prev, rest, x, h, side, gamma, peak, u)
		check("Advance", prev)
		e.Retreat(prev, rest, x, h, side, gamma, peak, u)
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
