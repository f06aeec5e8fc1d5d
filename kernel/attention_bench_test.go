package kernel

import (
	"strconv"
	"testing"

	"github.com/bdia-go/bdia/internal/cpufeat"
)

// BenchmarkAttention times one causal head, forward and backward.
func BenchmarkAttention(b *testing.B) {
	isa := ISA(cpufeat.Best())
	const D = 64
	for _, T := range []int{64, 256, 1024} {
		qkv, out, dqkv, dout := make([]float32, T*3*D), make([]float32, T*D), make([]float32, T*3*D), make([]float32, T*D)
		for i := range qkv {
			qkv[i] = float32(i*7919%1000)/500 - 1
		}
		for i := range dout {
			dout[i] = float32(i*104729%1000)/500 - 1
		}
		scratch := make([]float32, ScratchFloats)
		a := AttentionHead{T: T, D: D, LD: 3 * D, LDOut: D, Scale: 0.125, Causal: true, Q: qkv, K: qkv[D:], V: qkv[2*D:],
			Out: out, LSE: make([]float32, T), Keep: 1 << 16}
		flops := float64(2 * D * T * (T + 1) / 2)
		b.Run("forward/"+strconv.Itoa(T), func(b *testing.B) {
			for b.Loop() {
				for tile := range QueryTiles(T) {
					isa.Attention(&a, tile, scratch)
				}
			}
			b.ReportMetric(2*flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
		})
		b.Run("backward/"+strconv.Itoa(T), func(b *testing.B) {
			for b.Loop() {
				isa.AttentionBackward(&a, dqkv, dqkv[D:], dqkv[2*D:], dout, scratch)
			}
			b.ReportMetric(5*flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
		})
	}
}
