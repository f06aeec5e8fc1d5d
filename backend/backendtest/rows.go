package backendtest

import (
	"fmt"

	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tensor"
)

func embeddingTest(e *env) {
	const B, T, C, V, context = 3, 7, 70, 5, 9 // few ids: each occurs often
	ids, wte, wpe := e.below(V, B, T), e.normal(1, V, C), e.normal(1, context, C)
	dx, dwte, dwpe := e.normal(1, B, T, C), e.normal(1, V, C), e.normal(1, context, C)
	I, E, P, DX, DE, DP := e.ints(ids), e.wide(wte), e.wide(wpe), e.wide(dx), e.wide(dwte), e.wide(dwpe)
	want := make([]float64, B*T*C)
	for r := range B * T {
		for c := range C {
			want[r*C+c] = E[int(I[r])*C+c] + P[r%T*C+c]
			DE[int(I[r])*C+c] += DX[r*C+c]
			DP[r%T*C+c] += DX[r*C+c]
		}
	}
	x := e.empty(B, T, C)
	e.Embed(x, ids, wte, wpe)
	e.near("x", x, want, 1e-7)
	e.EmbedBackward(dwte, dwpe, dx, ids)
	e.near("dwte", dwte, DE, 1e-6)
	e.near("dwpe", dwpe, DP, 1e-6)
	alone := e.zero(V, C)
	both := e.zero(V, C)
	e.EmbedBackward(both, dwpe, dx, ids)
	e.EmbedBackward(alone, tensor.Tensor{}, dx, ids)
	testkit.EqualBits(e.t, "dwte without dwpe", e.host(alone), e.host(both))
}

func poolingTest(e *env) {
	for _, s := range []struct{ B, T, C, pooled int }{{1, 1, 1, 1}, {3, 5, 36, 1}, {3, 5, 36, 5}, {2, 7, 17, 3}} {
		name := fmt.Sprintf("%+v: ", s)
		x, y, dy, dx := e.normal(1, s.B, s.T, s.C), e.empty(s.B, s.C), e.normal(1, s.B, s.C), e.empty(s.B, s.T, s.C)
		X, DY := e.wide(x), e.wide(dy)
		want, wantD := make([]float64, s.B*s.C), make([]float64, s.B*s.T*s.C)
		for b := range s.B {
			for t := range s.pooled {
				for c := range s.C {
					want[b*s.C+c] += X[(b*s.T+t)*s.C+c] / float64(s.pooled)
					wantD[(b*s.T+t)*s.C+c] = DY[b*s.C+c] / float64(s.pooled)
				}
			}
		}
		e.PoolRows(y, x, s.pooled)
		e.near(name+"mean", y, want, 1e-6)
		e.PoolRowsBackward(dx, dy, s.pooled)
		e.near(name+"gradient", dx, wantD, 1e-7)
	}
	e.mustPanic("more rows than there are", func() { e.PoolRows(e.empty(1, 2), e.empty(1, 3, 2), 4) })
}
