package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/rng"
)

var nan, inf = float32(math.NaN()), float32(math.Inf(1))

// everyISA runs f as a subtest on each level this machine has.
func everyISA(t *testing.T, f func(t *testing.T, isa ISA)) {
	t.Helper()
	t.Parallel()
	for _, l := range cpufeat.Supported() {
		t.Run(l.String(), func(t *testing.T) { t.Parallel(); f(t, ISA(l)) })
	}
}

// normals returns n normal values times scale.
func normals(r *rand.Rand, n int, scale float64) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(r.NormFloat64() * scale)
	}
	return s
}

func newRand() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// near fails unless got meets want within tol, absolute for |want| < 1.
func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol*max(1, math.Abs(want))) {
		t.Errorf("%s = %v, want %v within %v", what, got, want, tol)
	}
}

func TestFoldLanesOrder(t *testing.T) {
	t.Parallel()
	// 2^24+1 needs the tree: lane 0 meets lane 8 first, which cancels it.
	acc := [lanes]float32{0: 1 << 24, 8: -(1 << 24), 4: 1, 1: 1}
	if got := foldLanes(&acc); got != 2 {
		t.Errorf("foldLanes = %v, want 2", got)
	}
	acc = [lanes]float32{0: 1 << 24, 4: 1, 8: 1}
	if got := foldLanes(&acc); got != 1<<24 {
		t.Errorf("foldLanes = %v, want 2^24", got)
	}
}

func TestExpf(t *testing.T) {
	t.Parallel()
	for x := float32(-87.3); x < 88.3; x += 0.00371 {
		want := math.Exp(float64(x))
		if got := float64(expf(x)); math.Abs(got-want) > 1.5e-7*want {
			t.Fatalf("expf(%v) = %v, want %v", x, got, want)
		}
	}
	for _, c := range []struct{ x, want float32 }{
		{0, 1}, {-88, 0}, {-inf, 0}, {-1e30, 0}, {88.5, inf}, {inf, inf}, {1e30, inf}} {
		if got := expf(c.x); math.Float32bits(got) != math.Float32bits(c.want) {
			t.Errorf("expf(%v) = %v, want %v", c.x, got, c.want)
		}
	}
	if got := expf(nan); got == got {
		t.Errorf("expf(NaN) = %v", got)
	}
}

func TestLogOf(t *testing.T) {
	t.Parallel()
	for _, s := range []float32{1, 2, 0.5, 3, 1e-3, 50257, 1e30, 1e-40, 0.70710677, 1.4142135} {
		near(t, "logOf", logOf(s), math.Log(float64(s)), 1e-14)
	}
	if got := logOf(0); !math.IsInf(got, -1) {
		t.Errorf("logOf(0) = %v", got)
	}
}

func gelu64(x float64, erf bool) float64 {
	if erf {
		return x * 0.5 * math.Erfc(-x/math.Sqrt2)
	}
	return x / (1 + math.Exp(-2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

func geluSlope64(x float64, erf bool) float64 {
	if erf {
		return 0.5*math.Erfc(-x/math.Sqrt2) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	}
	c := math.Sqrt(2 / math.Pi)
	s := 1 / (1 + math.Exp(-2*c*(x+0.044715*x*x*x)))
	return s + x*s*(1-s)*2*c*(1+3*0.044715*x*x)
}

func TestGELUAccuracy(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		const n = 40960
		x, y, dx, ones := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		for i := range x {
			x[i] = float32(i-n/2) / (n / 2) * 20
			ones[i] = 1
		}
		for _, erf := range []bool{false, true} {
			if erf {
				isa.GELUErf(y, x)
				isa.GELUErfBackward(dx, ones, x)
			} else {
				isa.GELUTanh(y, x)
				isa.GELUTanhBackward(dx, ones, x)
			}
			for i, v := range x {
				if want := gelu64(float64(v), erf); math.Abs(float64(y[i])-want) > 1e-6 {
					t.Fatalf("erf %v: gelu(%v) = %v, want %v", erf, v, y[i], want)
				}
				if want := geluSlope64(float64(v), erf); math.Abs(float64(dx[i])-want) > 1e-6 {
					t.Fatalf("erf %v: gelu'(%v) = %v, want %v", erf, v, dx[i], want)
				}
			}
		}
	})
}

func TestGELULimits(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		x := []float32{30, 1e10, 1e38, inf, -30, -1e10, -1e38, nan, 0, -inf, 0, 0, 0, 0, 0, 0}
		wantY := []float32{30, 1e10, 1e38, inf, 0, 0, 0, nan, 0, nan}
		wantD := []float32{1, 1, 1, 1, 0, 0, 0, nan, 0.5, 0}
		y, dx, ones := make([]float32, 16), make([]float32, 16), make([]float32, 16)
		for i := range ones {
			ones[i] = 1
		}
		check := func(what string, got, want []float32) {
			for i, w := range want {
				if got[i] != w && !(got[i] != got[i] && w != w) {
					t.Errorf("%s(%v) = %v, want %v", what, x[i], got[i], w)
				}
			}
		}
		isa.GELUTanh(y, x)
		isa.GELUTanhBackward(dx, ones, x)
		check("tanh form", y, wantY)
		check("tanh form slope", dx, wantD)
		isa.GELUErf(y, x)
		isa.GELUErfBackward(dx, ones, x)
		check("erf form", y, wantY)
		check("erf form slope", dx, wantD)
	})
}

func TestLayerNorm(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		r := newRand()
		for _, c := range []int{1, 7, 16, 48, 100, 384} {
			x, w, b, dy := normals(r, c, 3), normals(r, c, 1), normals(r, c, 1), normals(r, c, 1)
			y, dx := make([]float32, c), make([]float32, c)
			means, rstds := make([]float32, 1), make([]float32, 1)
			isa.LayerNorm(y, x, w, b, means, rstds, 1e-5)
			mean, rstd := means[0], rstds[0]
			var m, v float64
			for _, e := range x {
				m += float64(e) / float64(c)
			}
			for _, e := range x {
				v += (float64(e) - m) * (float64(e) - m) / float64(c)
			}
			s := 1 / math.Sqrt(v+1e-5)
			near(t, "mean", float64(mean), m, 1e-5)
			near(t, "rstd", float64(rstd), s, 1e-5)
			isa.LayerNormBackward(dx, dy, x, w, means, rstds)
			var sg, sgx float64
			for i := range x {
				g := float64(dy[i]) * float64(w[i])
				sg += g / float64(c)
				sgx += g * (float64(x[i]) - m) * s / float64(c)
			}
			for i := range x {
				xhat := (float64(x[i]) - m) * s
				near(t, "y", float64(y[i]), xhat*float64(w[i])+float64(b[i]), 1e-5)
				if c > 1 { // one element: rstd is 1/sqrt(eps), all is rounding
					near(t, "dx", float64(dx[i]), s*(float64(dy[i])*float64(w[i])-sg-xhat*sgx), 1e-5)
				}
			}
			yNoBias, dw, db := make([]float32, c), make([]float32, c), make([]float32, c)
			isa.LayerNorm(yNoBias, x, w, nil, means, rstds, 1e-5)
			isa.LayerNormBackwardParams(dw, db, dy, x, means, rstds, 1, c)
			for i := range x {
				near(t, "y-b", float64(yNoBias[i]), float64(y[i])-float64(b[i]), 1e-5)
				near(t, "dw*w", float64(dw[i]*w[i]), float64(dy[i]*yNoBias[i]), 1e-5)
				near(t, "db", float64(db[i]), float64(dy[i]), 0)
			}
		}
	})
}

func TestLayerNormBackwardParamsSplits(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		const rows, c = 9, 83
		r := newRand()
		dy, x := normals(r, rows*c, 1), normals(r, rows*c, 1)
		mean, rstd := normals(r, rows, 1), normals(r, rows, 1)
		dw, db, dw2, db2 := make([]float32, c), make([]float32, c), make([]float32, c), make([]float32, c)
		isa.LayerNormBackwardParams(dw, db, dy, x, mean, rstd, rows, c)
		// By columns and by rows.
		isa.LayerNormBackwardParams(dw2[:50], db2[:50], dy, x, mean, rstd, rows, c)
		isa.LayerNormBackwardParams(dw2[50:], db2[50:], dy[50:], x[50:], mean, rstd, 4, c)
		isa.LayerNormBackwardParams(dw2[50:], db2[50:], dy[4*c+50:], x[4*c+50:], mean[4:], rstd[4:], rows-4, c)
		sum := make([]float32, c)
		isa.ColumnSum(sum, dy, rows, c)
		for j := range dw {
			if dw[j] != dw2[j] || db[j] != db2[j] || sum[j] != db[j] {
				t.Fatalf("column %d depends on the split", j)
			}
		}
	})
}

func TestSoftmax(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		r := newRand()
		for _, n := range []int{1, 5, 16, 65, 1000} {
			x := normals(r, n, 4)
			x[0] = 3
			if n > 2 {
				x[n/2] = -inf // a masked score
			}
			m := isa.RowMax(x)
			var want float64
			for _, v := range x {
				if v > m {
					t.Fatalf("RowMax = %v, but there is %v", m, v)
				}
				want += math.Exp(float64(v) - float64(m))
			}
			p := make([]float32, n)
			near(t, "sum", float64(isa.ExpSum(p, x, 1, m)), want, 1e-6)
			target := n - 1
			loss := isa.CrossEntropy(x, target, 0.5)
			near(t, "loss", float64(loss), math.Log(want)-math.Log(float64(p[target])), 1e-6)
			for i := range x {
				g := float64(p[i]) / want
				if i == target {
					g--
				}
				near(t, "gradient", float64(x[i]), g*0.5, 1e-6)
			}
		}
		if got := isa.RowMax(nil); !math.IsInf(float64(got), -1) {
			t.Errorf("RowMax(nil) = %v", got)
		}
		zeros := []float32{float32(math.Copysign(0, -1)), nan, -3}
		if got := isa.RowMax(zeros); math.Float32bits(got) != 0 {
			t.Errorf("RowMax(-0, NaN, -3) = %v, want +0", got)
		}
	})
}

func TestAdamW(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		const n = 37
		r := newRand()
		p, m, v := normals(r, n, 1), make([]float32, n), make([]float32, n)
		wp, wm, wv := make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range p {
			wp[i] = float64(p[i])
		}
		for step := 1; step <= 20; step++ {
			g := normals(r, n, 0.1)
			b1, b2 := 1-math.Pow(0.9, float64(step)), 1-math.Pow(0.999, float64(step))
			isa.AdamW(p, g, m, v, AdamWScalars{1e-2, 0.9, 0.999, 1e-8, 0.1, float32(b1), float32(b2)})
			for i := range wp {
				gi := float64(g[i])
				wm[i] = 0.9*wm[i] + 0.1*gi
				wv[i] = 0.999*wv[i] + 0.001*gi*gi
				wp[i] -= 1e-2 * 0.1 * wp[i]
				wp[i] -= 1e-2 * wm[i] / b1 / (math.Sqrt(wv[i]/b2) + 1e-8)
			}
		}
		for i := range p {
			near(t, "p", float64(p[i]), wp[i], 1e-5)
		}
	})
}

func TestSGD(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		p, buf := make([]float32, 20), make([]float32, 20)
		g := make([]float32, 20)
		for i := range p {
			p[i], buf[i], g[i] = 2, 1, 0.25
		}
		isa.SGD(p, g, buf, 0.5, 0.5, 0.25)
		for i := range p {
			if buf[i] != 0.75 || p[i] != 2-0.25-0.375 {
				t.Fatalf("buf, p = %v, %v, want 0.75, 1.375", buf[i], p[i])
			}
		}
	})
}

// The vector was worked out in float64 from the paper's algorithm: lr 1e-3,
// betas 0.9 and 0.999, eps 1e-16, tau 0.5, three parameters from 0.
func TestSETAdam(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		p, m, v := make([]float32, 3), make([]float32, 3), make([]float32, 3)
		want := [][]float64{
			{-0.00272554057548, 0.00181702705032, -0.00155745175742},
			{-0.00536326442772, 0.00231945064122, -0.00169973681563}}
		beta1, beta2 := float32(0.9), float32(0.999)
		for k, g := range [][]float32{{0.1, -0.2, 0.4}, {0.05, 0.1, -0.3}} {
			sumV, sumV2 := isa.Moments(g, m, v, beta1, beta2)
			step := float64(k + 1)
			ratio := float32(sumV * sumV / (3 * sumV2) / (1 - math.Pow(float64(beta2), step)))
			shift := 0.5 * isa.SETMin(v, ratio, 1e-16)
			isa.SETUpdate(p, m, v, ratio, 1e-16, shift, float32(1e-3/(1-math.Pow(float64(beta1), step))), 0)
			for i := range p {
				if got := float64(p[i]); math.Abs(got-want[k][i]) > 1e-6*math.Abs(want[k][i]) {
					t.Errorf("step %d: p[%d] = %.9g, want %.9g", k+1, i, got, want[k][i])
				}
			}
		}
	})
}

func TestMomentsOfTinyGradients(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		g, m, v := make([]float32, 100), make([]float32, 100), make([]float32, 100)
		for i := range g {
			g[i] = 1e-9
		}
		sumV, sumV2 := isa.Moments(g, m, v, 0.9, 0.999)
		near(t, "c", sumV*sumV/(100*sumV2), 1, 1e-4)
	})
}

func TestChunkSums(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		const n = 3*SumChunk + 77
		r := newRand()
		x, m, v := normals(r, n, 1), make([]float32, n), make([]float32, n)
		whole := isa.SumSquares(x)
		wholeV, wholeV2 := isa.Moments(x, m, v, 0.9, 0.9)
		m, v = make([]float32, n), make([]float32, n)
		var sum, sumV, sumV2, want float64
		for i := 0; i < n; i += SumChunk {
			j := min(n, i+SumChunk)
			sum += isa.SumSquares(x[i:j])
			a, b := isa.Moments(x[i:j], m[i:j], v[i:j], 0.9, 0.9)
			sumV, sumV2 = sumV+a, sumV2+b
		}
		for _, e := range x {
			want += float64(e) * float64(e)
		}
		if sum != whole || sumV != wholeV || sumV2 != wholeV2 {
			t.Errorf("sums by chunk %v %v %v, whole %v %v %v", sum, sumV, sumV2, whole, wholeV, wholeV2)
		}
		near(t, "sum of squares", whole, want, 1e-6)
	})
}

func TestDropout(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		const n = 1 << 16
		x, y := make([]float32, n), make([]float32, n)
		for i := range x {
			x[i] = 1
		}
		x[5] = nan
		key := rng.Key{Seed: 1, Step: 2}
		isa.Dropout(y, x, key, 0, 1<<14*3)
		kept := 0
		for i, v := range y {
			switch {
			case v == 4./3 || v != v:
				kept++
			case math.Float32bits(v) != 0:
				t.Fatalf("y[%d] = %v, want 0 or 4/3", i, v)
			}
		}
		if share := float64(kept) / n; math.Abs(share-0.75) > 0.01 {
			t.Errorf("kept %v of the elements, want 0.75", share)
		}
		part := make([]float32, 100)
		isa.Dropout(part, x[64:164], key, 64, 1<<14*3)
		for i, v := range part {
			if v != y[64+i] {
				t.Fatalf("element %d depends on the split", 64+i)
			}
		}
		isa.Dropout(y, x, key, 0, 1<<16)
		if y[0] != 1 || y[9] != 1 {
			t.Errorf("keep 65536 changes values")
		}
		isa.Dropout(y, x, key, 0, 0)
		for i, v := range y {
			if math.Float32bits(v) != 0 {
				t.Fatalf("keep 0 leaves y[%d] = %v", i, v)
			}
		}
	})
}

// Not parallel: testing.AllocsPerRun forbids it.
func TestKernelsDoNotAllocate(t *testing.T) {
	const n = 100
	o := newOperands(1, n, false)
	x, y, z := o.vec(), o.vec(), o.positive()
	side, rest := o.side(2*n), o.side(n)
	one, halves := []float32{1}, make([]uint16, n)
	qkv, grad, scratch := make([]float32, n*8), make([]float32, n*8), make([]float32, ScratchFloats)
	head := AttentionHead{T: n, S: n, D: 8, Seen: n, LDQ: 8, LDK: 8, LDOut: 8, Scale: 1, Causal: true, Q: qkv, K: qkv, V: qkv, Out: make([]float32, n*8), LSE: y, Keep: 60000}
	for _, l := range cpufeat.Supported() {
		isa := ISA(l)
		if got := testing.AllocsPerRun(10, func() {
			isa.LayerNorm(y, x, z, z, one[:], one[:], 1e-5)
			isa.LayerNormBackward(y, x, x, z, one[:], one[:])
			isa.RMSNorm(y, x, z, one[:], 1e-5)
			isa.RMSNormBackward(y, x, x, z, one[:])
			isa.RMSNormBackwardWeight(y, x, x, one[:], n)
			isa.Rotate(y, x[:n/2], z[:n/2], true)
			isa.GatedSiLU(y, x, z)
			isa.GatedSiLUBackward(y, y, x, x, z)
			isa.Attention(&head, 0, scratch)
			isa.AttentionBackward(&head, 0, grad, grad, grad, head.Out, scratch)
			isa.ExpSum(y, x, 1, isa.RowMax(x))
			isa.CrossEntropy(y, 3, 1)
			isa.GELUTanh(y, x)
			isa.AdvanceQuantised(y, rest, x, z, side, n, 0.25, 2, 9)
			isa.RetreatQuantised(y, rest, x, z, side, n, 0.5, 1, 9)
			isa.AdamW(x, y, y, z, AdamWScalars{LR: 1e-3, Bias1: 1, Bias2: 1})
			isa.AdamW8(x, y, side[:n], side[n:], one, one, AdamWScalars{LR: 1e-3, Bias1: 1, Bias2: 1})
			isa.Moments(x, y, z, 0.9, 0.999)
			isa.SumSquares(x)
			isa.Dropout(y, x, rng.Key{}, 0, 1000)
			isa.Widen(y, halves)
			isa.RoundStochastic(halves, x, rng.Key{}, 0)
		}); got != 0 {
			t.Errorf("%v: %v allocations", isa, got)
		}
	}
}
