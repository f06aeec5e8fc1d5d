package testkit

import (
	"math"
	"testing"
)

// EqualBits fails unless got and want hold the same bits.
func EqualBits(t testing.TB, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	differ, first := 0, -1
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			if differ == 0 {
				first = i
			}
			differ++
		}
	}
	if differ > 0 {
		t.Errorf("%s: %d of %d values differ in bits, the first at %d: %v (%08x), want %v (%08x)", what, differ, len(got),
			first, got[first], math.Float32bits(got[first]), want[first], math.Float32bits(want[first]))
	}
}

// Near fails unless every value of got is within tol times the largest
// magnitude of want.
func Near(t testing.TB, what string, got, want []float32, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	var top, worst float64
	for i := range want {
		top = max(top, math.Abs(float64(want[i])))
		if d := math.Abs(float64(got[i]) - float64(want[i])); !(d <= worst) {
			worst = d
		}
	}
	if !(worst <= tol*top) {
		t.Errorf("%s: largest difference %.3g is %.3g of the largest value %.3g; at most %.3g is allowed", what, worst, worst/top, top, tol)
	}
}
