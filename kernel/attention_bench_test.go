package kernel

import (
	"fmt"
	"testing"
	"time"

	"github.com/bdia-go/bdia/internal/cpufeat"
)

// BenchmarkAttention times one head inside rows of 3·384 floats, and reports the
// GFLOPS of the fastest iteration. Of causal heads the visible half counts.
func BenchmarkAttention(b *testing.B) {
	const C = 384
	for _, s := range []struct {
		T, D   int
		causal bool
	}{{64, 64, true}, {65, 64, false}, {256, 64, true}, {512, 64, true}, {1024, 64, true}, {1024, 128, true}} {
		qkv, out, dqkv, dout := make([]float32, s.T*3*C), make([]float32, s.T*C), make([]float32, s.T*3*C), make([]float32, s.T*C)
		for i := range qkv {
			qkv[i] = float32(i*7919%1000)/500 - 1
		}
		for i := range dout {
			dout[i] = float32(i*104729%1000)/500 - 1
		}
		scratch := make([]float32, ScratchFloats)
		a := AttentionHead{T: s.T, S: s.T, D: s.D, Seen: s.T, LDQ: 3 * C, LDK: 3 * C, LDOut: C, Scale: 0.125, Causal: s.causal, Q: qkv, K: qkv[C:], V: qkv[2*C:],
			Out: out, LSE: make([]float32, s.T), Keep: 1 << 16}
		flops := 2 * s.D * s.T * s.T
		if s.causal {
			flops = s.D * s.T * (s.T + 1)
		}
		for _, isa := range cpufeat.Supported()[1:] {
			isa := ISA(isa)
			run := func(name string, products int, f func()) {
				b.Run(fmt.Sprintf("%v/%s/%dx%d", isa, name, s.T, s.D), func(b *testing.B) {
					b.ReportAllocs()
					best := time.Hour
					for b.Loop() {
						t := time.Now()
						for range 4 {
							f()
						}
						best = min(best, time.Since(t))
					}
					b.ReportMetric(4*float64(products*flops)/float64(best.Nanoseconds()), "GFLOPS")
				})
			}
			run("forward", 2, func() {
				for tile := range Tiles(s.T) {
					isa.Attention(&a, tile, scratch)
				}
			})
			run("backward", 5, func() {
				for tile := range Tiles(s.T) {
					isa.AttentionBackward(&a, tile, dqkv, dqkv[C:], dqkv[2*C:], dout, scratch)
				}
			})
		}
	}
}
