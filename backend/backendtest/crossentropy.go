package backendtest

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tensor"
)

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

// smoothingTest holds label smoothing, and rows without loss, against the
// reference.
func smoothingTest(e *env) {
	const scale = 0.25
	for _, s := range []struct{ rows, V int }{{1, 1}, {5, 2}, {37, 65}, {3, 1001}} {
		for _, smoothing := range []float32{0, 0.1, 0.75} {
			logits, targets := e.normal(4, s.rows, s.V), e.below(s.V, s.rows)
			ids := e.ints(targets)
			for r := 1; r < s.rows; r += 3 {
				ids[r] = backend.Ignore
			}
			e.UploadInts(targets, ids)
			L, losses := e.wide(logits), e.empty(s.rows)
			wantLoss, wantGrad := make([]float64, s.rows), make([]float64, len(L))
			for r, target := range ids {
				if target == backend.Ignore {
					continue
				}
				loss, grad := crossEntropy(L[r*s.V:(r+1)*s.V], int(target), float64(smoothing))
				wantLoss[r] = loss
				for i, g := range grad {
					wantGrad[r*s.V+i] = g * scale
				}
			}
			e.CrossEntropy(losses, logits, targets, smoothing, scale)
			name := fmt.Sprint(s, smoothing)
			if s.V > 1 { // of one class the loss is 0, and so is the scale of the comparison
				e.near(name+" losses", losses, wantLoss, 1e-6)
				e.near(name+" gradient", logits, wantGrad, 2e-6)
			}
			for r := 1; r < s.rows; r += 3 {
				for _, v := range append(e.host(logits.RowRange(r, r+1)), e.host(losses)[r]) {
					if math.Float32bits(v) != 0 {
						e.t.Fatalf("a row without loss has %v", v)
					}
				}
			}
		}
	}
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

// oneHotTest: certain probabilities give the bits of a class.
func oneHotTest(e *env) {
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
}

// impossibleClassTest: a class without probability may be ruled out altogether.
func impossibleClassTest(e *env) {
	logits, losses := e.of(0, float32(math.Inf(-1)), 0).Reshape(tensor.Shape{1, 3}), e.empty(1)
	e.CrossEntropy(losses, logits, e.of(0.5, 0, 0.5).Reshape(tensor.Shape{1, 3}), 0, 1)
	e.near("loss", losses, []float64{math.Ln2}, 1e-7)
	e.near("gradient", logits, []float64{0, 0, 0}, 0)
}
