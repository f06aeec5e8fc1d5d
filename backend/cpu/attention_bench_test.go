package cpu

import (
	"fmt"
	"testing"
	"time"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// BenchmarkAttention reports the GFLOPS of the fastest iteration over all heads of
// a batch. Of causal heads the visible half counts.
func BenchmarkAttention(b *testing.B) {
	for _, threads := range []int{1, 2} {
		for _, s := range []struct {
			B, T, H, G, D int
			causal        bool
			dropout       float32
		}{{16, 256, 6, 6, 64, true, 0}, {16, 256, 6, 6, 64, true, 0.1}, {4, 512, 12, 12, 64, true, 0}, {32, 65, 8, 8, 64, false, 0}, {1, 2048, 9, 3, 64, true, 0}} {
			C, W := s.H*s.D, (s.H+2*s.G)*s.D
			be, err := New(Options{Threads: threads, ArenaBytes: ScratchBytes(threads) + 4*int64(s.B*s.T*(2*C+2*W+s.H)) + 1<<20})
			if err != nil {
				b.Fatal(err)
			}
			qkv, dqkv := benchMatrix(be, tensor.F32, s.B*s.T, W), benchMatrix(be, tensor.F32, s.B*s.T, W)
			out, dout, lse := benchMatrix(be, tensor.F32, s.B*s.T, C).Reshape(tensor.Shape{s.B, s.T, C}), benchMatrix(be, tensor.F32, s.B*s.T, C), benchMatrix(be, tensor.F32, s.B*s.H, s.T)
			spec := backend.AttentionSpec{Heads: s.H, KVHeads: s.G, Causal: s.causal, Dropout: s.dropout}
			product := 2 * s.B * s.H * s.T * s.T * s.D
			if s.causal {
				product = s.B * s.H * s.T * (s.T + 1) * s.D
			}
			run := func(name string, products int, f func()) {
				b.Run(fmt.Sprintf("threads=%d/%+v/%s", threads, s, name), func(b *testing.B) {
					b.ReportAllocs()
					best := time.Hour
					for b.Loop() {
						t := time.Now()
						f()
						best = min(best, time.Since(t))
					}
					b.ReportMetric(float64(products*product)/float64(best.Nanoseconds()), "GFLOPS")
				})
			}
			run("forward", 2, func() { be.Attention(out, lse, qkv, spec) })
			run("backward", 5, func() { be.AttentionBackward(dqkv, dout, out, lse, qkv, spec) })
			be.Close()
		}
	}
}
