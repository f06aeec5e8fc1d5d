package backendtest

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tensor"
)

func linearTest(e *env) {
	for _, s := range []struct{ N, in, out int }{{1, 1, 1}, {7, 36, 65}, {21, 65, 36}, {130, 33, 17}, {5, 3, 200}} {
		for _, bias := range []bool{true, false} {
			m := e.Mark()
			name := fmt.Sprintf("%+v bias %v: ", s, bias)
			x, w, dy := e.normal(1, s.N, s.in), e.normal(1, s.out, s.in), e.normal(1, s.N, s.out)
			X, W, DY := e.wide(x), e.wide(w), e.wide(dy)
			var b, db tensor.Tensor
			want := matmul(s.N, s.out, s.in, func(i, l int) float64 { return X[i*s.in+l] }, func(l, j int) float64 { return W[j*s.in+l] })
			if bias {
				b, db = e.normal(1, s.out), e.normal(1, s.out)
				B, DB := e.wide(b), e.wide(db)
				for i := range want {
					want[i] += B[i%s.out]
					DB[i%s.out] += DY[i]
				}
				defer func() { e.near(name+"db", db, DB, 2e-6) }()
			}
			y, dx, dw := e.empty(s.N, s.out), e.empty(s.N, s.in), e.normal(1, s.out, s.in)
			before := e.wide(dw)
			e.Linear(y, x, w, b)
			e.near(name+"y", y, want, 2e-6)
			more := e.normal(1, s.N, s.out)
			for i, v := range e.wide(more) {
				if want[i] += v; bias {
					want[i] -= e.wide(b)[i%s.out]
				}
			}
			e.LinearAdd(more, x, w)
			e.near(name+"more", more, want, 2e-6)
			e.LinearBackwardInput(dx, dy, w)
			e.near(name+"dx", dx, matmul(s.N, s.in, s.out, func(i, l int) float64 { return DY[i*s.out+l] },
				func(l, j int) float64 { return W[l*s.in+j] }), 2e-6)
			e.LinearBackwardWeight(dw, db, dy, x)
			add := matmul(s.out, s.in, s.N, func(i, l int) float64 { return DY[l*s.out+i] },
				func(l, j int) float64 { return X[l*s.in+j] })
			for i := range add {
				add[i] += before[i]
			}
			e.near(name+"dw", dw, add, 2e-6)
			if !bias {
				e.Release(m)
			}
		}
	}
}

func layerNormTest(e *env) {
	for _, s := range []struct{ rows, C int }{{1, 1}, {3, 7}, {35, 36}, {18, 65}, {2, 300}, {17, slab / 16}} { // the last is two slabs
		for _, bias := range []bool{true, false} {
			name := fmt.Sprintf("%+v bias %v: ", s, bias)
			x, w, dy := e.normal(2, s.rows, s.C), e.normal(1, s.C), e.normal(1, s.rows, s.C)
			dw := e.zero(s.C)
			var b, db tensor.Tensor
			B := make([]float64, s.C)
			if bias {
				b, db = e.normal(1, s.C), e.zero(s.C)
				B = e.wide(b)
			}
			const eps = 1e-2 // large, so that it counts
			want, mean, rstd := layerNorm(e.wide(x), e.wide(w), B, s.C, eps)
			y, stats := e.empty(s.rows, s.C), e.empty(2, s.rows)
			e.LayerNorm(y, stats, x, w, b, eps)
			e.near(name+"y", y, want, 3e-6)
			e.near(name+"stats", stats, append(append([]float64{}, mean...), rstd...), 3e-6)

			dX, dW, dB := layerNormBackward(e.wide(dy), e.wide(x), e.wide(w), mean, rstd, s.C)
			alone := e.empty(s.rows, s.C)
			e.LayerNormBackward(alone, tensor.Tensor{}, tensor.Tensor{}, dy, x, w, stats)
			e.LayerNormBackward(dy, dw, db, dy, x, w, stats) // dx in place of dy
			testkit.EqualBits(e.t, name+"dx without gradients", e.host(alone), e.host(dy))
			if s.C > 1 { // of one channel the gradient is 0
				e.near(name+"dx", dy, dX, 1e-5)
				e.near(name+"dw", dw, dW, 1e-5)
			}
			if bias {
				e.near(name+"db", db, dB, 1e-5)
			}
		}
	}
}

func geluTest(e *env) {
	for _, form := range []backend.GELUForm{backend.GELUTanh, backend.GELUErf} {
		for _, n := range []int{1, 15, 1000, 2*chunk + 5} {
			x, dy := e.normal(3, n), e.normal(1, n)
			X, DY := e.wide(x), e.wide(dy)
			y, dx := make([]float64, n), make([]float64, n)
			for i, v := range X {
				y[i], dx[i] = gelu(v, form)
				dx[i] *= DY[i]
			}
			out := e.empty(n)
			e.GELU(out, x, form)
			e.near(fmt.Sprint(form, n), out, y, 2e-6)
			e.GELUBackward(dy, dy, x, form) // in place
			e.near(fmt.Sprint(form, n, " backward"), dy, dx, 2e-6)
			e.GELU(x, x, form) // in place
			testkit.EqualBits(e.t, "GELU in place", e.host(x), e.host(out))
		}
	}
}

func wholeTest(e *env) {
	for _, n := range []int{1, 17, chunk, 2*chunk + 9} {
		a, b, y := e.normal(1, n), e.normal(1, n), e.empty(n)
		A, B := e.wide(a), e.wide(b)
		var squares float64
		sum, scaled := make([]float64, n), make([]float64, n)
		for i := range A {
			sum[i], scaled[i] = A[i]+B[i], 0.3*A[i]
			squares += A[i] * A[i]
		}
		e.Add(y, a, b)
		e.near(fmt.Sprint("sum ", n), y, sum, 1e-7)
		for i := range n {
			sum[i] += 0.25 * (A[i] - sum[i])
		}
		e.Lerp(y, a, 0.25)
		e.near(fmt.Sprint("lerp ", n), y, sum, 1e-6)
		total := e.Alloc(backend.Data, tensor.F64, tensor.Shape{1})
		e.Zero(total)
		e.AddSquares(total, a)
		got := e.DownloadScalar(total)
		if math.Abs(got-squares) > 1e-6*squares {
			e.t.Errorf("sum of squares of %d: %v, want %v", n, got, squares)
		}
		e.results[fmt.Sprint("squares ", n)] = []float32{float32(got), float32(math.Mod(got*0x1p20, 1))}
		e.AddSquares(total, a)
		if twice := e.DownloadScalar(total); twice != 2*got {
			e.t.Errorf("sum of squares of %d, twice: %v, want %v", n, twice, 2*got)
		}
		e.Copy(y, a)
		testkit.EqualBits(e.t, "copy", e.host(y), e.host(a))
		e.Scale(a, 0.3)
		e.near(fmt.Sprint("scaled ", n), a, scaled, 1e-7)
		e.Zero(y)
		testkit.EqualBits(e.t, "zero", e.host(y), make([]float32, n))
	}
}

func completeGradTest(e *env) {
	const B, n = 3, chunk + 37
	dx, pending, g := e.normal(1, B, n), e.normal(1, B, n), e.normal(1, B, n)
	gamma := e.of(0.5, -0.5, 0)
	DX, P, G := e.wide(dx), e.wide(pending), e.wide(g)
	scaled, next := make([]float64, B*n), make([]float64, B*n)
	for i := range G {
		gm := []float64{0.5, -0.5, 0}[i/n]
		scaled[i] = (1 + gm) * G[i]
		DX[i] += (1-gm)*G[i] + P[i]
		next[i] = gm * G[i]
	}
	dh := e.empty(B, n)
	e.ScaleGrad(dh, g, gamma)
	e.near("dh", dh, scaled, 1e-7)
	e.CompleteGrad(dx, pending, g, gamma)
	e.near("dx", dx, DX, 3e-7)
	e.near("pending", pending, next, 1e-7)
}
