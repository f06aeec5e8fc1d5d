package backendtest

import (
	"slices"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tensor"
)

// memoryTest checks that uploads come back, that they have taken their source when they
// return, and that neighbours stay apart.
func memoryTest(e *env) {
	a, b, c := e.empty(3), e.below(100, 5), e.Alloc(backend.SideBits, tensor.U8, tensor.Shape{7})
	ints := e.ints(b)
	floats, words, bytes := []float32{1, 2, 3}, []int32{5, 4, 3, 2, 1}, []byte("abcdefg")
	e.Upload(a, floats)
	e.UploadInts(b, words)
	e.UploadBytes(c, bytes)
	clear(floats)
	clear(words)
	clear(bytes)
	testkit.EqualBits(e.t, "uploaded floats", e.host(a), []float32{1, 2, 3})
	if got := e.ints(b); !slices.Equal(got, []int32{5, 4, 3, 2, 1}) {
		e.t.Errorf("uploaded integers: %v", got)
	}
	e.UploadInts(b, ints)
	e.Zero(a)
	e.Sync()
	got := make([]byte, 7)
	e.DownloadBytes(got, c)
	if string(got) != "abcdefg" {
		e.t.Errorf("bytes %q", got)
	}
	if got := e.ints(b); !slices.Equal(got, ints) {
		e.t.Errorf("integers changed from %v to %v", ints, got)
	}
	e.Zero(c)
	e.DownloadBytes(got, c)
	if string(got) != "\x00\x00\x00\x00\x00\x00\x00" {
		e.t.Errorf("cleared bytes %q", got)
	}
	testkit.EqualBits(e.t, "cleared floats", e.host(a), make([]float32, 3))

	// Memory that was released may be in use by operations that are still to run.
	y := e.empty(4)
	mark := e.Mark()
	e.Add(y, e.of(1, 2, 3, 4), e.of(10, 20, 30, 40))
	e.Release(mark)
	e.of(-1, -1, -1, -1)
	e.of(-1, -1, -1, -1)
	testkit.EqualBits(e.t, "a sum of tensors that were released since", e.host(y), []float32{11, 22, 33, 44})
}

// misuseTest: what cannot be panics, at the latest when the device is waited for.
func misuseTest(e *env) {
	for name, f := range map[string]func(e *env){
		"another arena":   func(e *env) { e.Add(e.zero(2), e.zero(2), e.another().zero(2)) },
		"sizes of add":    func(e *env) { e.Add(e.zero(2), e.zero(2), e.zero(3)) },
		"sizes of copy":   func(e *env) { e.Copy(e.zero(2), e.zero(3)) },
		"sizes of linear": func(e *env) { e.Linear(e.zero(2, 3), e.zero(2, 4), e.zero(3, 5), tensor.Tensor{}) },
		"element type":    func(e *env) { e.UploadInts(e.zero(2), make([]int32, 2)) },
		"short upload":    func(e *env) { e.Upload(e.zero(2), make([]float32, 1)) },
		"rows of a copy":  func(e *env) { e.CopyRows(e.zero(2, 3), e.zero(2, 4), e.below(1, 1, 2)) },
	} {
		e.t.Run(name, func(t *testing.T) {
			one := newEnv(t, e.open)
			one.mustPanic(name, func() { f(one) })
		})
	}
}

// copyRowsTest copies some rows, several of them from one, and leaves the others alone.
func copyRowsTest(e *env) {
	for _, s := range []struct{ to, from, cols, n int }{{1, 1, 1, 1}, {7, 3, 5, 4}, {100, 30, 65, 77}} {
		src, dst, pairs := e.normal(1, s.from, s.cols), e.normal(1, s.to, s.cols), e.below(s.from, s.n, 2)
		host, want := e.ints(pairs), e.host(dst)
		for i := range s.n {
			to := (i * 3) % s.to // 3 has no factor in common with the numbers of rows
			host[2*i] = int32(to)
			copy(want[to*s.cols:(to+1)*s.cols], e.host(src)[int(host[2*i+1])*s.cols:])
		}
		e.UploadInts(pairs, host)
		e.CopyRows(dst, src, pairs)
		testkit.EqualBits(e.t, "rows", e.host(dst), want)
	}
}
