package backendtest

import (
	"math"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/tensor"
)

// env is a backend for one check, with inputs that depend only on the order in which
// they are asked for: the same check gets the same on every backend.
type env struct {
	backend.Backend
	t       *testing.T
	open    Open
	inputs  uint32
	results map[string][]float32
}

func newEnv(t *testing.T, open Open) *env {
	t.Helper()
	return &env{Backend: open(t, arenaBytes), t: t, open: open, results: map[string][]float32{}}
}

// another returns the same on another backend of the same kind.
func (e *env) another() *env { return newEnv(e.t, e.open) }

// normal returns a tensor of normal draws times std.
func (e *env) normal(std float64, s ...int) tensor.Tensor {
	t := e.empty(s...)
	host := make([]float32, t.Len())
	e.inputs++
	key := rng.Key{Seed: 7, Block: e.inputs}
	for i := range host {
		r := math.Sqrt(-2 * math.Log(1-key.Float64(uint32(2*i))))
		host[i] = float32(std * r * math.Cos(2*math.Pi*key.Float64(uint32(2*i+1))))
	}
	e.Upload(t, host)
	return t
}

// below returns integers in [0,n).
func (e *env) below(n int, s ...int) tensor.Tensor {
	t := e.Alloc(backend.Data, tensor.I32, shape(s))
	host := make([]int32, t.Len())
	e.inputs++
	key := rng.Key{Seed: 7, Block: e.inputs}
	for i := range host {
		host[i] = int32(key.Uint64(uint32(i)) % uint64(n))
	}
	e.UploadInts(t, host)
	return t
}

// of returns a tensor of the given values.
func (e *env) of(values ...float32) tensor.Tensor {
	t := e.empty(len(values))
	e.Upload(t, values)
	return t
}

// zero returns cleared memory.
func (e *env) zero(s ...int) tensor.Tensor {
	t := e.empty(s...)
	e.Zero(t)
	return t
}

// empty returns memory full of NaN: what an operation leaves out shows.
func (e *env) empty(s ...int) tensor.Tensor {
	t := e.Alloc(backend.Activation, tensor.F32, shape(s))
	host := make([]float32, t.Len())
	for i := range host {
		host[i] = float32(math.NaN())
	}
	e.Upload(t, host)
	return t
}

// peak returns cleared guards.
func (e *env) peak(samples int) tensor.Tensor {
	t := e.Alloc(backend.Data, tensor.I32, tensor.Shape{samples})
	e.Zero(t)
	return t
}

// clone returns a copy.
func (e *env) clone(x tensor.Tensor) tensor.Tensor {
	t := e.Alloc(backend.Activation, tensor.F32, x.Shape)
	e.Copy(t, x)
	return t
}

func shape(s []int) (out tensor.Shape) {
	copy(out[:], s)
	return out
}

// host reads x back.
func (e *env) host(x tensor.Tensor) []float32 {
	out := make([]float32, x.Len())
	e.Download(out, x)
	return out
}

// wide reads x back as float64.
func (e *env) wide(x tensor.Tensor) []float64 {
	out := make([]float64, x.Len())
	for i, v := range e.host(x) {
		out[i] = float64(v)
	}
	return out
}

func (e *env) ints(x tensor.Tensor) []int32 {
	out := make([]int32, x.Len())
	e.DownloadInts(out, x)
	return out
}

// keep records a result, to be compared in bits between paths.
func (e *env) keep(name string, x tensor.Tensor) {
	e.t.Helper()
	if _, twice := e.results[name]; twice {
		e.t.Fatalf("result %s exists", name)
	}
	e.results[name] = e.host(x)
}

// near records a result and fails unless it is within tol times the largest
// magnitude of want.
func (e *env) near(name string, x tensor.Tensor, want []float64, tol float64) {
	e.t.Helper()
	e.keep(name, x)
	got := e.results[name]
	if len(got) != len(want) {
		e.t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	top, worst, at := 0.0, 0.0, 0
	for i, w := range want {
		top = max(top, math.Abs(w))
		if d := math.Abs(float64(got[i]) - w); !(d <= worst) {
			worst, at = d, i
		}
	}
	if !(worst <= tol*top) {
		e.t.Errorf("%s: element %d is %v, want %v: off by %.2g of the largest, %.2g is allowed", name, at, got[at], want[at], worst/top, tol)
	}
}

// mustPanic fails unless f panics, at the latest when the device is waited for.
func (e *env) mustPanic(name string, f func()) {
	e.t.Helper()
	defer func() {
		e.t.Helper()
		if recover() == nil {
			e.t.Errorf("%s: no panic", name)
		}
	}()
	f()
	e.Sync()
}
