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
	mustPanic(e.t, "more rows than there are", "PoolRows", func() { e.PoolRows(e.empty(1, 2), e.empty(1, 3, 2), 4) })
}

// softCrossEntropyTest mixes two classes in every row, but for one that is certain.
func softCrossEntropyTest(e *env) {
	for _, V := range []int{2, 10, 65, 1000} {
		const rows, scale = 5, 0.25
		logits, targets, losses := e.normal(3, rows, V), e.zero(rows, V), e.empty(rows)
		share := make([]float32, rows*V)
		X := e.wide(logits)
		var wantLoss, wantGrad []float64
		for r := range rows {
			a, b, mix := r%V, (r*7+1)%V, float64(r)/4
			share[r*V+a] += float32(mix)
			share[r*V+b] += float32(1 - mix)
			lossA, gradA := crossEntropy(X[r*V:(r+1)*V], a, 0)
			lossB, gradB := crossEntropy(X[r*V:(r+1)*V], b, 0)
			wantLoss = append(wantLoss, mix*lossA+(1-mix)*lossB)
			for j := range gradA {
				wantGrad = append(wantGrad, scale*(mix*gradA[j]+(1-mix)*gradB[j]))
			}
		}
		e.Upload(targets, share)
		e.CrossEntropy(losses, logits, targets, 0, scale)
		e.near(fmt.Sprint("losses of ", V), losses, wantLoss, 1e-6)
		e.near(fmt.Sprint("gradients of ", V), logits, wantGrad, 1e-6)
	}
}

// TestOneHotIsAClass: certain probabilities give the bits of a class.
func TestOneHotIsAClass(t *testing.T) {
	t.Parallel()
	eachPath(t, func(e *env) {
		const rows = 7
		for _, V := range []int{1, 2, 10, 100} {
			hard := e.normal(5, rows, V)
			soft, classes := e.clone(hard), e.below(V, rows)
			hardLoss, softLoss, shares := e.empty(rows), e.empty(rows), make([]float32, rows*V)
			for r, c := range e.ints(classes) {
				shares[r*V+int(c)] = 1
			}
			targets := e.of(shares...).Reshape(tensor.Shape{rows, V})
			e.CrossEntropy(hardLoss, hard, classes, 0, 0.3)
			e.CrossEntropy(softLoss, soft, targets, 0, 0.3)
			testkit.EqualBits(e.t, "losses", e.host(softLoss), e.host(hardLoss))
			testkit.EqualBits(e.t, "gradients", e.host(soft), e.host(hard))
		}
	})
}

// TestImpossibleClass: a class without probability may be ruled out altogether.
func TestImpossibleClass(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "", 1)
	logits, losses := e.of(0, float32(math.Inf(-1)), 0).Reshape(tensor.Shape{1, 3}), e.empty(1)
	e.CrossEntropy(losses, logits, e.of(0.5, 0, 0.5).Reshape(tensor.Shape{1, 3}), 0, 1)
	e.near("loss", losses, []float64{math.Ln2}, 1e-7)
	e.near("gradient", logits, []float64{0, 0, 0}, 0)
}

// TestDropSamples holds what survives against the generator, checks the share of
// it, and that a dropped sample is zero whatever it held.
func TestDropSamples(t *testing.T) {
	t.Parallel()
	const B, n, p = 2000, 19, 0.3
	draw := backend.Draw{Pass: backend.Pass{Train: true, Seed: 9, Step: 4, Sample: 10}, Block: 3, Site: backend.SiteMLPPath}
	var first []float32
	eachPath(t, func(e *env) {
		x, y := e.normal(1, B, n), e.empty(B, n)
		host := e.host(x)
		host[5] = float32(math.Inf(1))
		e.Upload(x, host)
		e.DropSamples(y, x, p, draw)
		got, kept := e.host(y), 0
		if first == nil {
			first = got
		}
		testkit.EqualBits(e.t, "samples", got, first)
		for b := range B {
			word := rng.Key{Seed: 9, Step: 4, Sample: uint32(10 + b), Block: 3, Site: backend.SiteMLPPath}.At(0)[0]
			factor := float32(0)
			if word&0xffff < keepOf(p) {
				factor = float32(65536) / float32(keepOf(p))
				kept++
			}
			for i := b * n; i < (b+1)*n; i++ {
				if want := host[i] * factor; got[i] != want && (factor != 0 || got[i] != 0) {
					e.t.Fatalf("element %d of sample %d is %v, want %v", i%n, b, got[i], want)
				}
			}
		}
		if z := (float64(kept) - B*(1-p)) / math.Sqrt(B*p*(1-p)); math.Abs(z) > 4 {
			e.t.Errorf("%d of %d samples are kept: %.1f deviations off", kept, B, z)
		}
		e.DropSamples(x, x, p, draw)
		testkit.EqualBits(e.t, "in place, again", e.host(x), got)
		other := draw
		other.Site = backend.SiteAttentionPath
		e.Upload(x, host)
		e.DropSamples(x, x, p, other)
		same := 0
		for b, v := range e.host(x) {
			if b%n == 0 && (v == 0) == (got[b] == 0) {
				same++
			}
		}
		const agree = p*p + (1-p)*(1-p)
		if z := (float64(same) - B*agree) / math.Sqrt(B*agree*(1-agree)); math.Abs(z) > 4.5 {
			e.t.Errorf("two branches agree on %d of %d samples: %.1f deviations off", same, B, z)
		}
	})
}
