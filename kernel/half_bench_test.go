package kernel

import (
	"fmt"
	"testing"

	"github.com/bdia-go/bdia/internal/rng"
)

// BenchmarkHalfGemm is a product with weights in float32 and in bfloat16: of one row, bound by memory, and of many.
func BenchmarkHalfGemm(b *testing.B) {
	scratch := make([]float32, GemmScratch)
	const N, K = 4096, 4096
	w, halves := make([]float32, N*K), make([]uint16, N*K)
	best := levels()[len(levels())-1]
	for _, c := range []struct {
		layout Layout
		m      int
	}{{NT, 1}, {NT, 16}, {NT, 256}, {NN, 256}} {
		x, y := make([]float32, c.m*K), make([]float32, c.m*N)
		g := Gemm{Layout: c.layout, M: c.m, N: N, K: K, A: x, C: y, LDA: K, LDB: K, LDC: N}
		b.Run(fmt.Sprintf("%v/rows=%d/f32", c.layout, c.m), func(b *testing.B) {
			g := g
			g.B = w
			for b.Loop() {
				best.Gemm(&g, scratch)
			}
		})
		b.Run(fmt.Sprintf("%v/rows=%d/bf16", c.layout, c.m), func(b *testing.B) {
			g := g
			g.Half = halves
			for b.Loop() {
				best.Gemm(&g, scratch)
			}
		})
	}
	b.Run("round", func(b *testing.B) {
		for b.Loop() {
			best.RoundStochastic(halves[:1<<20], w[:1<<20], rng.Key{}, 0)
		}
	})
}
