//go:build linux

package kernel

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"
)

// atPageEnd returns a copy of x whose last element is the last before memory that
// cannot be touched.
func atPageEnd[E float32 | uint16](t *testing.T, x []E) []E {
	t.Helper()
	if len(x) == 0 {
		return x
	}
	page := syscall.Getpagesize()
	each := int(unsafe.Sizeof(x[0]))
	size := roundUp(each*len(x), page)
	mem, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(mem) })
	if err := syscall.Mprotect(mem[size:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	y := unsafe.Slice((*E)(unsafe.Pointer(&mem[size-each*len(x)])), len(x))
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

// TestGemm16StaysInside is TestGemmStaysInside for products of bfloat16.
func TestGemm16StaysInside(t *testing.T) {
	t.Parallel()
	scratch := atPageEnd(t, make([]float32, Gemm16Scratch))
	cases := 200
	if testing.Short() {
		cases = 40
	}
	for seed := range cases {
		rng := rand.New(rand.NewPCG(uint64(seed), 9))
		s := shapeOf(Layout(seed%3), 1+rng.IntN(70), 1+rng.IntN(80), 1+rng.IntN(80), rng.IntN(3), uint8(rng.IntN(32)), uint8(rng.IntN(9)), uint64(seed))
		p := newProduct16(s)
		floats, halves := p.on(portable, scratch)
		p.A.Full, p.B.Full, p.Bias = atPageEnd(t, p.A.Full), atPageEnd(t, p.B.Full), atPageEnd(t, p.Bias)
		p.A.Half, p.B.Half = atPageEnd(t, p.A.Half), atPageEnd(t, p.B.Half)
		n := len(halves) - 2*fence
		for _, isa := range levels16()[1:] {
			g := p.Gemm16
			g.C, g.Half = atPageEnd(t, p.C), atPageEnd(t, p.Half)
			if p.SumA != nil {
				g.SumA = atPageEnd(t, p.SumA)
			}
			isa.Gemm16(&g, scratch)
			if p.Half != nil {
				if err := diffHalves(g.Half, halves[fence:][:n]); err != nil {
					t.Errorf("%v %v: %v", isa, s, err)
				}
			} else if err := diff(g.C, floats[fence:][:n]); err != nil {
				t.Errorf("%v %v: %v", isa, s, err)
			}
		}
	}
}
