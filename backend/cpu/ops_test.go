package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tensor"
)

// opTests computes every operation and compares it with its reference.
var opTests = map[string]func(e *env){
	"linear":         linearTest,
	"layer norm":     layerNormTest,
	"gelu":           geluTest,
	"cross-entropy":  crossEntropyTest,
	"embedding":      embeddingTest,
	"attention":      attentionTest,
	"other keys":     crossAttentionTest,
	"smoothing":      smoothingTest,
	"whole tensors":  wholeTest,
	"updates":        updatesTest,
	"reversible":     reversibleTest,
	"gradient steps": gradStepTest,
	"pooling":        poolingTest,
	"probabilities":  softCrossEntropyTest,
}

// TestOperations holds every operation against its reference on every path, and
// all paths against each other in bits.
func TestOperations(t *testing.T) {
	t.Parallel()
	for name, op := range opTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var first map[string][]float32
			eachPath(t, func(e *env) {
				op(e)
				if first == nil {
					first = e.results
				}
				for name, got := range e.results {
					testkit.EqualBits(e.t, name+", compared with the first path", got, first[name])
				}
			})
		})
	}
}

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
	for _, s := range []struct{ rows, C int }{{1, 1}, {3, 7}, {35, 36}, {18, 65}, {2, 300}, {17, slabFloats / 16}} { // the last is two slabs
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
		for _, n := range []int{1, 15, 1000, 2*chunkLen + 5} {
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

func crossEntropyTest(e *env) {
	const scale = 0.25
	for _, s := range []struct{ rows, V int }{{1, 1}, {5, 2}, {37, 65}, {3, 1001}} {
		logits, targets := e.normal(4, s.rows, s.V), e.below(s.V, s.rows)
		L, losses := e.wide(logits), e.empty(s.rows)
		var wantLoss, wantGrad []float64
		for r, target := range e.ints(targets) {
			loss, grad := crossEntropy(L[r*s.V:(r+1)*s.V], int(target), 0)
			wantLoss = append(wantLoss, loss)
			for _, g := range grad {
				wantGrad = append(wantGrad, g*scale)
			}
		}
		e.CrossEntropy(losses, logits, targets, 0, scale)
		e.near(fmt.Sprint(s, " losses"), losses, wantLoss, 1e-6)
		e.near(fmt.Sprint(s, " gradient"), logits, wantGrad, 2e-6)
	}
}

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

// mask returns the factor of dropout on attention weight (t,u), of T queries and S
// keys, of head h, from the generator itself.
func mask(p float32, draw backend.Draw, sample, h, T, S int) func(t, u int) float64 {
	keep := keepOf(p)
	return func(t, u int) float64 {
		element := uint32((h*T+t)*((S+63)&^63) + u)
		word := key(draw, sample).At(element / 8)[element%8/2]
		if word>>(16*(element%2))&0xffff < keep {
			return 65536 / float64(keep)
		}
		return 0
	}
}

func attentionTest(e *env) {
	for _, s := range []struct {
		B, T, H, D int
		p          float32
	}{{1, 1, 1, 1, 0}, {2, 7, 3, 12, 0}, {1, 63, 1, 3, 0}, {1, 64, 2, 4, 0.2}, {1, 65, 1, 5, 0}, {1, 9, 1, 100, 0.5},
		{1, 255, 1, 2, 0}, {1, 256, 1, 1, 0}, {1, 257, 1, 3, 0.1}, {1, 300, 1, 2, 0}} {
		for _, causal := range []bool{true, false} {
			mark := e.Mark()
			C := s.H * s.D
			spec := backend.AttentionSpec{Heads: s.H, Causal: causal, Dropout: s.p, Draw: backend.Draw{
				Pass: backend.Pass{Train: true, Seed: 5, Step: 3, Sample: 1}, Block: 2, Site: backend.SiteAttention}}
			qkv, dout := e.normal(1, s.B, s.T, 3*C), e.normal(1, s.B, s.T, C)
			out, lse, dqkv := e.empty(s.B, s.T, C), e.empty(s.B, s.H, s.T), e.empty(s.B, s.T, 3*C)
			e.Attention(out, lse, qkv, spec)
			e.AttentionBackward(dqkv, dout, out, lse, qkv, spec)

			X, DO := e.wide(qkv), e.wide(dout)
			wantOut, wantLSE, wantD := make([]float64, len(DO)), []float64{}, make([]float64, len(X))
			for b := range s.B {
				for h := range s.H {
					a := attention{T: s.T, seen: s.T, D: s.D, causal: causal, mask: mask(s.p, spec.Draw, b, h, s.T, s.T)}
					for t := range s.T {
						row, col := X[(b*s.T+t)*3*C:], h*s.D
						a.q = append(a.q, row[col:col+s.D]...)
						a.k = append(a.k, row[C+col:C+col+s.D]...)
						a.v = append(a.v, row[2*C+col:2*C+col+s.D]...)
						a.dout = append(a.dout, DO[(b*s.T+t)*C+col:][:s.D]...)
					}
					a.run()
					wantLSE = append(wantLSE, a.lse...)
					for t := range s.T {
						at, col := b*s.T+t, h*s.D
						copy(wantOut[at*C+col:], a.out[t*s.D:(t+1)*s.D])
						copy(wantD[at*3*C+col:], a.dq[t*s.D:(t+1)*s.D])
						copy(wantD[at*3*C+C+col:], a.dk[t*s.D:(t+1)*s.D])
						copy(wantD[at*3*C+2*C+col:], a.dv[t*s.D:(t+1)*s.D])
					}
				}
			}
			name := fmt.Sprintf("%+v causal %v: ", s, causal)
			e.near(name+"out", out, wantOut, 5e-6)
			e.near(name+"lse", lse, wantLSE, 5e-6)
			e.near(name+"dqkv", dqkv, wantD, 1e-5)
			e.Release(mark)
		}
	}
}

func wholeTest(e *env) {
	for _, n := range []int{1, 17, chunkLen, 2*chunkLen + 9} {
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

func gradStepTest(e *env) {
	const B, n = 3, chunkLen + 37
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

// TestDropout holds the mask against the generator and checks its statistics.
func TestDropout(t *testing.T) {
	t.Parallel()
	const B, n, p = 3, 2*chunkLen + 7, 0.1
	draw := backend.Draw{Pass: backend.Pass{Train: true, Seed: 9, Step: 4, Sample: 10}, Block: 3, Site: backend.SiteMLP}
	var first []float32
	eachPath(t, func(e *env) {
		x, y := e.empty(B, n), e.empty(B, n)
		ones := make([]float32, B*n)
		for i := range ones {
			ones[i] = 1
		}
		e.Upload(x, ones)
		e.Dropout(y, x, p, draw)
		got := e.host(y)
		if first == nil {
			first = got
		}
		testkit.EqualBits(e.t, "mask", got, first)
		kept := 0
		for i, v := range got {
			sample, element := i/n, uint32(i%n)
			word := rng.Key{Seed: 9, Step: 4, Sample: uint32(10 + sample), Block: 3, Site: backend.SiteMLP}.At(element / 8)[element%8/2]
			want := float32(0)
			if word>>(16*(element%2))&0xffff < keepOf(p) {
				want = float32(65536) / float32(keepOf(p))
				kept++
			}
			if v != want {
				e.t.Fatalf("element %d of sample %d is %v, want %v", element, sample, v, want)
			}
		}
		deviation := math.Sqrt(B * n * p * (1 - p))
		if z := (float64(kept) - B*n*(1-p)) / deviation; math.Abs(z) > 4 {
			e.t.Errorf("%d of %d elements are kept: %.1f deviations off", kept, B*n, z)
		}
		e.Dropout(x, x, p, draw) // in place, again: the mask replays
		testkit.EqualBits(e.t, "mask in place", e.host(x), got)
	})
}

// TestDropoutStreams checks that every part of a Draw makes another mask.
func TestDropoutStreams(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "", 1)
	const n = 4096
	base := backend.Draw{Pass: backend.Pass{Train: true, Seed: 1, Step: 1, Sample: 1}, Block: 1, Site: backend.SiteMLP}
	draws := []backend.Draw{base, base, base, base, base, base}
	draws[1].Seed++
	draws[2].Step++
	draws[3].Sample++
	draws[4].Block++
	draws[5].Site--
	masks := make([][]float32, len(draws))
	x := e.empty(1, n)
	for i, d := range draws {
		for j := range n {
			masks[i] = append(masks[i], float32(j+1))
		}
		e.Upload(x, masks[i])
		e.Dropout(x, x, 0.5, d)
		masks[i] = e.host(x)
		for j := range i {
			same := 0
			for k := range masks[i] {
				if (masks[i][k] == 0) == (masks[j][k] == 0) {
					same++
				}
			}
			if z := (float64(same) - n/2) / math.Sqrt(n/4); math.Abs(z) > 4.5 {
				t.Errorf("the masks of %+v and %+v agree in %d of %d elements", draws[i], draws[j], same, n)
			}
		}
	}
}
