package backendtest

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// adam is one step of AdamW or, with tau, of SET-Adam in float64.
func adam(p, g, m, v []float64, s backend.AdamScalars, tau float64) {
	b1, b2 := float64(s.Beta1), float64(s.Beta2)
	var sum, squares float64
	for i := range p {
		m[i] = b1*m[i] + (1-b1)*g[i]
		v[i] = b2*v[i] + (1-b2)*g[i]*g[i]
		sum += v[i]
		squares += v[i] * v[i]
	}
	ratio := 0.0
	if squares > 0 {
		ratio = sum * sum / (float64(len(p)) * squares)
	}
	w, least := make([]float64, len(p)), math.Inf(1)
	for i := range p {
		if tau > 0 {
			w[i] = math.Sqrt(ratio*v[i]/float64(s.Bias2) + float64(s.Eps))
		} else {
			w[i] = math.Sqrt(v[i]/float64(s.Bias2)) + float64(s.Eps)
		}
		least = min(least, w[i])
	}
	for i := range p {
		p[i] -= float64(s.LR) * float64(s.Decay) * p[i]
		p[i] -= float64(s.LR) / float64(s.Bias1) * m[i] / (w[i] - tau*least)
	}
}

func updatesTest(e *env) {
	for _, n := range []int{1, 3, 1000, 2*chunk + 11} {
		s := backend.AdamScalars{LR: 0.01, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Decay: 0.1}
		for _, tau := range []float32{0, 0.5} {
			mark := e.Mark()
			name := fmt.Sprintf("%d tau %v ", n, tau)
			p, m, v := e.normal(1, n), e.zero(n), e.zero(n)
			P, M, V := e.wide(p), e.wide(m), e.wide(v)
			for step := 1; step <= 3; step++ {
				g := e.normal(1, n)
				s.Bias1 = float32(1 - math.Pow(float64(s.Beta1), float64(step)))
				s.Bias2 = float32(1 - math.Pow(float64(s.Beta2), float64(step)))
				adam(P, e.wide(g), M, V, s, float64(tau))
				if tau > 0 {
					e.SETAdam(p, g, m, v, s, tau, backend.Rounding{})
				} else {
					e.AdamW(p, g, m, v, s, backend.Rounding{})
				}
			}
			e.near(name+"p", p, P, 3e-6)
			e.near(name+"m", m, M, 1e-6)
			e.near(name+"v", v, V, 1e-6)
			e.Release(mark)
		}

		// In 8 bits: AdamW's step from zeros; the moments are compared as bits.
		s.Bias1, s.Bias2 = 1-s.Beta1, 1-s.Beta2
		p8, g8 := e.normal(1, n), e.normal(1, n)
		p32, m32, v32 := e.clone(p8), e.zero(n), e.zero(n)
		blocks := backend.CodeGroups(n)
		m8, v8, mMax, vMax := e.codes(n), e.codes(n), e.zero(blocks), e.zero(blocks)
		e.AdamW8(p8, g8, m8, v8, mMax, vMax, s, backend.Rounding{})
		e.AdamW(p32, g8, m32, v32, s, backend.Rounding{})
		e.near(fmt.Sprint(n, " p in 8 bits"), p8, e.wide(p32), 0)
		for step := 2; step <= 4; step++ {
			e.AdamW8(p8, e.normal(1, n), m8, v8, mMax, vMax, s, backend.Rounding{})
		}
		e.keep(fmt.Sprint(n, " p in 8 bits, 4 steps"), p8)
		e.keep(fmt.Sprint(n, " absmax of m"), mMax)
		e.keep(fmt.Sprint(n, " absmax of v"), vMax)
		e.keep(fmt.Sprint(n, " codes of m"), e.widened(m8))
		e.keep(fmt.Sprint(n, " codes of v"), e.widened(v8))

		p, buf, g := e.normal(1, n), e.normal(1, n), e.normal(1, n)
		P, M, G := e.wide(p), e.wide(buf), e.wide(g)
		for i := range P {
			P[i] -= 0.1 * 0.2 * P[i]
			M[i] = 0.9*M[i] + G[i]
			P[i] -= 0.1 * M[i]
		}
		e.SGD(p, g, buf, 0.1, 0.9, 0.2, backend.Rounding{})
		e.near(fmt.Sprint(n, " sgd p"), p, P, 1e-6)
		e.near(fmt.Sprint(n, " sgd momentum"), buf, M, 1e-6)
	}
}

// setAdamOfNothingTest: no gradient has come yet, so nothing may move or break.
func setAdamOfNothingTest(e *env) {
	const n = 37
	p, g, m, v := e.normal(1, n), e.zero(n), e.zero(n), e.zero(n)
	before := e.host(p)
	s := backend.AdamScalars{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-16, Bias1: 0.1, Bias2: 0.001}
	e.SETAdam(p, g, m, v, s, 0.5, backend.Rounding{})
	for i, got := range e.host(p) {
		if got != before[i] {
			e.t.Fatalf("element %d moved from %v to %v", i, before[i], got)
		}
	}
}

// codes returns cleared codes of n moments.
func (e *env) codes(n int) tensor.Tensor {
	t := e.Alloc(backend.Data, tensor.U8, tensor.Shape{n})
	e.Zero(t)
	return t
}

// widened returns bytes as float32.
func (e *env) widened(x tensor.Tensor) tensor.Tensor {
	raw, wide := make([]byte, x.Len()), make([]float32, x.Len())
	e.DownloadBytes(raw, x)
	for i, v := range raw {
		wide[i] = float32(v)
	}
	t := e.empty(x.Len())
	e.Upload(t, wide)
	return t
}
