package backendtest

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/half"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tensor"
)

// bf16 returns normal draws in BF16, and the same values in F32.
func (e *env) bf16(std float64, s ...int) (halves, floats tensor.Tensor) {
	drawn := e.host(e.normal(std, s...))
	halves = e.Alloc(backend.Weights, tensor.BF16, shape(s))
	e.Upload(halves, drawn)
	floats = e.empty(s...)
	for i, v := range drawn {
		drawn[i] = half.BToFloat(half.BFromFloat(v))
	}
	e.Upload(floats, drawn)
	testkit.EqualBits(e.t, "upload and download of BF16", e.host(halves), drawn)
	return halves, floats
}

// same fails unless two tensors hold the same values, and keeps them.
func (e *env) same(name string, got, want tensor.Tensor) {
	e.t.Helper()
	e.keep(name, got)
	testkit.EqualBits(e.t, name, e.host(got), e.host(want))
}

// bf16Test: what reads weights gives the bits of the same values in F32.
func bf16Test(e *env) {
	for _, s := range []struct{ N, in, out int }{{1, 1, 1}, {7, 36, 65}, {1, 129, 70}, {130, 33, 17}, {5, 400, 200}} {
		m, name := e.Mark(), fmt.Sprintf("%+v: ", s)
		w, W := e.bf16(1, s.out, s.in)
		x, dy, b := e.normal(1, s.N, s.in), e.normal(1, s.N, s.out), e.normal(1, s.out)
		var y, dx [2]tensor.Tensor
		for i, w := range []tensor.Tensor{w, W} {
			y[i], dx[i] = e.empty(s.N, s.out), e.empty(s.N, s.in)
			e.Linear(y[i], x, w, b)
			e.LinearAdd(y[i], x, w.RowRange(0, s.out))
			e.LinearBackwardInput(dx[i], dy, w)
		}
		e.same(name+"y", y[0], y[1])
		e.same(name+"dx", dx[0], dx[1])
		if s.out > 1 { // rows of a weight
			from, part, Part := s.out/3, e.empty(s.N, s.out-s.out/3), e.empty(s.N, s.out-s.out/3)
			e.Linear(part, x, w.RowRange(from, s.out), tensor.Tensor{})
			e.Linear(Part, x, W.RowRange(from, s.out), tensor.Tensor{})
			e.same(name+"rows", part, Part)
		}
		e.Release(m)
	}

	const B, T, C, V = 3, 7, 70, 5
	ids := e.below(V, B, T)
	wte, WTE := e.bf16(1, V, C)
	wpe, WPE := e.bf16(1, T+2, C)
	x, X := e.empty(B, T, C), e.empty(B, T, C)
	e.Embed(x, ids, wte, wpe)
	e.Embed(X, ids, WTE, WPE)
	e.same("embedding", x, X)
	e.Embed(x, ids, wte, tensor.Tensor{})
	e.Embed(X, ids, WTE, tensor.Tensor{})
	e.same("embedding without positions", x, X)

	for _, n := range []int{1, 17, 2*chunk + 9} {
		m, name := e.Mark(), fmt.Sprint(n, ": ")
		w, W := e.bf16(1, n)
		y, Y := e.normal(1, n), e.empty(n)
		e.Copy(Y, y)
		e.Lerp(y, w, 0.25)
		e.Lerp(Y, W, 0.25)
		e.same(name+"lerp", y, Y)
		e.Copy(y, w)
		e.same(name+"copy", y, W)
		var sums [2]float64
		for i, w := range []tensor.Tensor{w, W} {
			sum := e.Alloc(backend.Data, tensor.F64, tensor.Shape{1})
			e.Zero(sum)
			e.AddSquares(sum, w)
			sums[i] = e.DownloadScalar(sum)
		}
		if sums[0] != sums[1] {
			e.t.Errorf("%ssum of squares %v, in float32 %v", name, sums[0], sums[1])
		}
		words := make([]uint32, n)
		for i, v := range e.host(W) {
			words[i] = math.Float32bits(v) >> 16
		}
		e.digests(name+"digest", 1, w.Reshape(tensor.Shape{1, n}), words)
		e.Zero(w)
		testkit.EqualBits(e.t, "zero", e.host(w), make([]float32, n))
		e.Release(m)
	}
}

// bf16UpdatesTest: an optimiser updates BF16 as it updates the same values in F32, and then rounds by its draws.
func bf16UpdatesTest(e *env) {
	s := backend.AdamScalars{LR: 1e-3, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Decay: 0.1, Bias1: 0.1, Bias2: 0.01}
	for param, n := range []int{1, 70, 2*chunk + 11} {
		groups := backend.CodeGroups(n)
		for name, update := range map[string]func(p, g, m, v tensor.Tensor, r backend.Rounding){
			"adamw":    func(p, g, m, v tensor.Tensor, r backend.Rounding) { e.AdamW(p, g, m, v, s, r) },
			"set-adam": func(p, g, m, v tensor.Tensor, r backend.Rounding) { e.SETAdam(p, g, m, v, s, 0.5, r) },
			"sgd":      func(p, g, m, v tensor.Tensor, r backend.Rounding) { e.SGD(p, g, m, 1e-3, 0.9, 0.1, r) },
			"adamw 8-bit": func(p, g, m, v tensor.Tensor, r backend.Rounding) {
				e.AdamW8(p, g, e.codes(n), e.codes(n), e.zero(groups), e.zero(groups), s, r)
			},
		} {
			mark, name := e.Mark(), fmt.Sprint(name, " ", n)
			r := backend.Rounding{Seed: 1 << 40, Step: 3, Param: param}
			e.inputs = uint32(100 * param) // the same for all, whatever the order of the map
			p, P := e.bf16(0.02, n)
			g := e.normal(1, n)
			update(p, g, e.zero(n), e.zero(n), r)
			update(P, g, e.zero(n), e.zero(n), r)
			e.keep(name, p)
			key := rng.Key{Seed: r.Seed, Step: uint32(r.Step), Sample: uint32(r.Param), Site: rng.SiteRounding}
			want := e.host(P)
			for i, v := range want {
				word := key.At(uint32(i / 8))[i%8/2]
				want[i] = half.BToFloat(uint16((math.Float32bits(v) + word>>(16*(i%2))&0xffff) >> 16))
			}
			testkit.EqualBits(e.t, name, e.host(p), want)
			e.Release(mark)
		}
	}
}
