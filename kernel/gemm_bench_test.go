package kernel

import (
	"fmt"
	"testing"
	"time"

	"github.com/bdia-go/bdia/internal/cpufeat"
)

// BenchmarkGemm reports the GFLOPS of the fastest iteration, on the shapes of
// layers (forward, gradient of the input, gradient of the weights), tiles of
// attention inside rows of 3·768 floats, and single tokens.
func BenchmarkGemm(b *testing.B) {
	layers := [][3]int{{4096, 1152, 384}, {4096, 384, 384}, {4096, 1536, 384}, {4096, 384, 1536}, {2048, 2304, 768},
		{2048, 3072, 768}, {2048, 768, 3072}, {8320, 1536, 512}, {8320, 512, 512}, {4096, 65, 384}, {256, 50257, 768}}
	for _, s := range layers {
		m, n, k := s[0], s[1], s[2]
		benchGemm(b, NT, m, n, k, 0)
		benchGemm(b, NN, m, k, n, 0)
		benchGemm(b, TN, n, k, m, 0)
	}
	for _, hd := range []int{32, 64} {
		benchGemm(b, NT, 64, 64, hd, 3*768)
		benchGemm(b, NN, 64, hd, 64, 3*768)
		benchGemm(b, TN, 64, hd, 64, 3*768)
	}
	for _, n := range []int{8, 16, 32, 128, 256} {
		benchGemm(b, NT, n, n, n, 0)
		benchGemm(b, NN, n, n, n, 0)
		benchGemm(b, TN, n, n, n, 0)
	}
	benchGemm(b, NN, 14, 32, 384, 0) // one tile
	for _, m := range []int{1, 2, 4, 8} {
		benchGemm(b, NT, m, 3072, 768, 0)
		benchGemm(b, NT, m, 768, 3072, 0)
	}
}

// benchGemm times one shape on every assembly path. With ld > 0, the operands
// of NT and the second operand of NN and TN have that row stride.
func benchGemm(b *testing.B, layout Layout, m, n, k, ld int) {
	scratch := make([]float32, GemmScratch)
	p := newProduct(layout, m, n, k, 0, 0, 4)
	if ld > 0 {
		p.LDB, p.B = ld, make([]float32, 64*ld)
		if layout == NT {
			p.LDA, p.A = ld, make([]float32, 64*ld)
		}
	}
	for i := range p.A { // subnormal operands are slow on any path
		p.A[i] = 0.5 + float32(i%97)/97
	}
	for i := range p.B {
		p.B[i] = 0.5 - float32(i%89)/89
	}
	reps := 1 + int(2e6/(2*float64(m)*float64(n)*float64(k))) // so that the clock is fine enough
	for _, isa := range levels()[1:] {
		b.Run(fmt.Sprintf("%v/%v/%dx%dx%d", isa, layout, m, n, k), func(b *testing.B) {
			b.ReportAllocs()
			best := time.Hour
			for b.Loop() {
				t := time.Now()
				for range reps {
					isa.Gemm(&p.Gemm, scratch)
				}
				best = min(best, time.Since(t))
			}
			b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(reps)/float64(best.Nanoseconds()), "GFLOPS")
		})
	}
}

// BenchmarkGemmPortable is the price of emulating fma.
func BenchmarkGemmPortable(b *testing.B) {
	p := newProduct(NT, 64, 64, 64, 0, 0, 4)
	scratch := make([]float32, GemmScratch)
	for b.Loop() {
		ISA(cpufeat.Portable).Gemm(&p.Gemm, scratch)
	}
	b.ReportMetric(2*64*64*64/(float64(b.Elapsed().Nanoseconds())/float64(b.N)), "GFLOPS")
}
