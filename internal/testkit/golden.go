package testkit

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/bdia-go/bdia/format/safetensors"
)

// Golden is a file of reference tensors.
type Golden struct {
	t testing.TB
	f *safetensors.File
}

// OpenGolden opens a file of the golden folder, or skips the test.
func OpenGolden(t testing.TB, name string) *Golden {
	t.Helper()
	f, err := safetensors.Open(SharedPath(t, "golden", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &Golden{t, f}
}

// Names lists the tensors.
func (g *Golden) Names() []string { return g.f.Names() }

// F32 returns a float32 tensor.
func (g *Golden) F32(name string) []float32 {
	g.t.Helper()
	info, ok := g.f.Info(name)
	if !ok {
		g.t.Fatalf("golden file has no tensor %s", name)
	}
	x := make([]float32, info.Elems())
	if err := g.f.ReadFloat32(name, x); err != nil {
		g.t.Fatal(err)
	}
	return x
}

// Bytes returns a tensor's bytes.
func (g *Golden) Bytes(name string) []byte {
	g.t.Helper()
	b, err := g.f.Bytes(name)
	if err != nil {
		g.t.Fatal(err)
	}
	return b
}

// I32 returns an int32 tensor.
func (g *Golden) I32(name string) []int32 {
	g.t.Helper()
	b := g.Bytes(name)
	x := make([]int32, len(b)/4)
	for i := range x {
		x[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}

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
