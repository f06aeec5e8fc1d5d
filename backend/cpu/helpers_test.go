package cpu

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// env is a backend for one test.
type env struct{ *Backend }

// newEnv returns a backend of 16 MiB that the test closes.
func newEnv(t *testing.T, isa string, threads int) *env {
	t.Helper()
	b, err := New(Options{Threads: threads, ISA: isa, ArenaBytes: ScratchBytes(threads) + 16<<20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return &env{b}
}

// zero returns cleared memory.
func (e *env) zero(s ...int) tensor.Tensor { return e.zeros(tensor.F32, s...) }

// ints returns cleared integers.
func (e *env) ints(s ...int) tensor.Tensor { return e.zeros(tensor.I32, s...) }

func (e *env) zeros(d tensor.DType, s ...int) tensor.Tensor {
	t := e.Alloc(backend.Activation, d, shape(s))
	e.Zero(t)
	return t
}

// lengths returns a tensor of the given lengths.
func (e *env) lengths(values ...int32) tensor.Tensor {
	t := e.ints(len(values))
	e.UploadInts(t, values)
	return t
}

func shape(s []int) (out tensor.Shape) {
	copy(out[:], s)
	return out
}

// mustPanic fails unless f panics with a message that contains part.
func mustPanic(t *testing.T, name, part string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		got := recover()
		if msg := fmt.Sprint(got); got == nil || !strings.Contains(msg, part) {
			t.Errorf("%s: panic %q, want one with %q", name, msg, part)
		}
	}()
	f()
}
