//go:build linux

package kernel

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"
)

// atPageEnd returns a copy of x whose last float is the last before memory that
// cannot be touched.
func atPageEnd(t *testing.T, x []float32) []float32 {
	t.Helper()
	if len(x) == 0 {
		return x
	}
	page := syscall.Getpagesize()
	size := roundUp(4*len(x), page)
	mem, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(mem) })
	if err := syscall.Mprotect(mem[size:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	y := unsafe.Slice((*float32)(unsafe.Pointer(&mem[size-4*len(x)])), len(x))
	copy(y, x)
	return y
}

// TestGemmStaysInside runs products whose operands all end at the end of the
// readable memory: a read or write past a slice ends the test.
func TestGemmStaysInside(t *testing.T) {
	t.Parallel()
	scratch := atPageEnd(t, make([]float32, GemmScratch))
	cases := 200
	if testing.Short() {
		cases = 40
	}
	for seed := range cases {
		rng := rand.New(rand.NewPCG(uint64(seed), 9))
		m, n, k := 1+rng.IntN(60), 1+rng.IntN(90), 1+rng.IntN(60)
		if seed%8 == 0 { // both operands packed, in several row blocks
			m, n = 150+rng.IntN(200), 250+rng.IntN(200)
		}
		p := newProduct(Layout(seed%3), m, n, k, rng.IntN(4), rng.IntN(3)*rng.IntN(20), uint64(seed))
		want := p.on(portable, scratch)[fence:][:len(p.C)]
		p.A, p.B, p.Bias = atPageEnd(t, p.A), atPageEnd(t, p.B), atPageEnd(t, p.Bias)
		for _, isa := range levels()[1:] {
			g := p.Gemm
			g.C = atPageEnd(t, p.C)
			isa.Gemm(&g, scratch)
			if err := diff(g.C, want); err != nil {
				t.Errorf("%v seed %d %v %d×%d×%d: %v", isa, seed, g.Layout, m, n, k, err)
			}
		}
	}
}
