package pmath

import (
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/rng"
)

// function is a function with inputs that it is used for, and beyond.
type function struct {
	name      string
	ours, std func(float64) float64
	low, high float64
	edges     []float64
}

var functions = []function{
	{"exp", Exp, math.Exp, -760, 709.4, []float64{0, 1, -1, 1e-300, -1e300, 709.79, -708.4, -745.1, -745.2, math.Inf(1), math.Inf(-1), math.NaN()}},
	{"log", Log, math.Log, 0, 4, []float64{0, -1, 1, 1e-300, math.MaxFloat64, math.Inf(1), math.NaN()}},
	{"cos", Cos, math.Cos, -7, 7, []float64{0, math.Pi, 1e5, 1<<29 - 1, math.Pi / 4, math.Inf(1), math.NaN()}},
	{"sin", Sin, math.Sin, -7, 7, []float64{0, math.Copysign(0, -1), math.Pi, 1e5, -1<<29 + 1, math.Inf(-1), math.NaN()}},
	{"power", func(x float64) float64 { return Pow(x, 0.6) }, func(x float64) float64 { return math.Pow(x, 0.6) }, 0, 100, []float64{0, 1}},
	{"base", func(y float64) float64 { return Pow(10000, y) }, func(y float64) float64 { return math.Pow(10000, y) }, -3, 3, []float64{0, 1, 0.5, -0.5, 1e6, -1e6}},
	{"decay", func(y float64) float64 { return Pow(0.999, y) }, func(y float64) float64 { return math.Pow(0.999, y) }, 1, 1e5, []float64{1, 2, 3, 1e6, 1e15}},
}

// inputs are the edges of f and n draws.
func (f function) inputs(n int, yield func(x float64)) {
	for _, x := range f.edges {
		yield(x)
	}
	key := rng.Key{Seed: 1}
	for i := range n {
		x := f.low + float64((f.high-f.low)*key.Float64(uint32(i)))
		yield(x)
		if i%8 == 0 {
			yield(math.Round(x))
			yield(float64(x * 1e-5))
		}
	}
}

// TestSameAsStandard: the bits are the standard library's on a processor with fused multiply-adds. Elsewhere they are
// within two units of the last place.
func TestSameAsStandard(t *testing.T) {
	t.Parallel()
	for _, f := range functions {
		different := 0
		f.inputs(200_000, func(x float64) {
			got, want := f.ours(x), f.std(x)
			if math.Float64bits(got) == math.Float64bits(want) || math.IsNaN(got) && math.IsNaN(want) {
				return
			}
			if fused() {
				if different++; different < 5 {
					t.Errorf("%s(%v) = %v, the standard library's is %v", f.name, x, got, want)
				}
			} else if math.Abs(got-want) > max(1e-14*math.Abs(want), 1e-320) {
				t.Errorf("%s(%v) = %v, the standard library's is %v", f.name, x, got, want)
			}
		})
	}
}

// TestWhereStandardIsWrong: on amd64 the standard library's Exp is infinite too early, and its Log has one value for all
// subnormal numbers.
func TestWhereStandardIsWrong(t *testing.T) {
	t.Parallel()
	if x := Exp(709.78); !(math.Abs(x/1.7928227943945155e+308-1) < 1e-14) {
		t.Errorf("exp(709.78) = %v", x)
	}
	if x := Log(5e-324); !(math.Abs(x+744.4400719213812) < 1e-12) {
		t.Errorf("log(5e-324) = %v", x)
	}
}

// fused reports whether the standard library has the bits that are defined here: as it is built by default, on a
// processor with fused multiply-adds.
func fused() bool {
	return runtime.GOARCH == "amd64" && !fusedByCompiler && cpufeat.Best() != cpufeat.Portable && os.Getenv("GODEBUG") == ""
}

// digest is a hash of many results.
func digest() string {
	h := fnv.New64a()
	for _, f := range functions {
		f.inputs(50_000, func(x float64) { fmt.Fprintf(h, "%x ", math.Float64bits(f.ours(x))) })
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// results is the digest on every machine.
const results = "048b66c0ed18cac6"

func TestBits(t *testing.T) {
	t.Parallel()
	if got := digest(); got != results {
		t.Errorf("results have the digest %s, want %s: they must not change on any machine", got, results)
	}
}

// TestWithoutExtensions: a processor without any extension gives the same bits.
func TestWithoutExtensions(t *testing.T) {
	t.Parallel()
	if os.Getenv("GODEBUG") != "" {
		t.Skip("within itself")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	c := exec.Command(exe, "-test.run=TestBits|TestSameAsStandard", "-test.v")
	c.Env = append(os.Environ(), "GODEBUG=cpu.all=off")
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestBits") {
		t.Errorf("%v\n%s", err, out)
	}
}
