package kernel

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// BenchmarkGemm16 reports the GFLOPS of the fastest iteration, of one and of two threads, on the shapes of layers:
// with operands of bfloat16 and B packed before, with both phases, with outputs of bfloat16, and from operands of
// float32.
func BenchmarkGemm16(b *testing.B) {
	layers := [][3]int{{4096, 1152, 384}, {4096, 384, 384}, {4096, 1536, 384}, {4096, 384, 1536}, {2048, 2304, 768},
		{2048, 3072, 768}, {2048, 768, 3072}, {8320, 1536, 512}, {4096, 4096, 1024}, {1024, 4096, 4096}}
	for _, s := range layers {
		m, n, k := s[0], s[1], s[2]
		benchGemm16(b, NT, m, n, k)
		benchGemm16(b, NN, m, k, n)
		benchGemm16(b, TN, n, k, m)
	}
}

// BenchmarkPeak16 is the limit of one core, and of two.
func BenchmarkPeak16(b *testing.B) {
	for _, isa := range levels16()[1:] {
		for threads := 1; threads <= 2; threads++ {
			b.Run(fmt.Sprintf("%v/%d", isa, threads), func(b *testing.B) {
				best := 0.0
				for b.Loop() {
					flops := make([]int64, threads)
					t := time.Now()
					together(threads, func(t int) {
						for range 100 {
							flops[t] += isa.PeakRound16(2000)
						}
					})
					best = max(best, float64(flops[0])*float64(threads)/float64(time.Since(t).Nanoseconds()))
				}
				b.ReportMetric(best, "GFLOPS")
			})
		}
	}
}

// together runs f for each thread at once.
func together(threads int, f func(t int)) {
	var done sync.WaitGroup
	for t := 1; t < threads; t++ {
		done.Go(func() { f(t) })
	}
	f(0)
	done.Wait()
}

func benchGemm16(b *testing.B, layout Layout, m, n, k int) {
	for _, isa := range levels16()[2:] {
		for _, how := range []string{"packed", "bf16", "out16", "full"} {
			s := shape16{layout: layout, m: m, n: n, k: k, ordinary: true, fullA: how == "full", fullB: how == "full", narrow: how == "out16" && layout != TN, more: layout == TN}
			p := newProduct16(s)
			p.SumA = nil
			for threads := 1; threads <= 2; threads++ {
				b.Run(fmt.Sprintf("%v/%v/%dx%dx%d/%s/%d", isa, layout, m, n, k, how, threads), func(b *testing.B) {
					scratch := make([]float32, threads*Gemm16Scratch)
					data := make([]uint16, (k+31)*(n+31)*2)
					bands, parts := isa.Blocks16(&p.Gemm16, len(data))
					best := time.Hour
					for b.Loop() {
						var spent time.Duration
						for band := range bands {
							for part := range parts {
								block := p.Block(band, bands, part, parts)
								block.Data = data
								began := time.Now()
								together(threads, func(t int) {
									isa.Pack16(&p.Gemm16, &block, block.Panels()*t/threads, block.Panels()*(t+1)/threads, scratch[t*Gemm16Scratch:][:Gemm16Scratch])
								})
								if how == "packed" {
									began = time.Now()
								}
								together(threads, func(t int) {
									strips := m / 32
									isa.Multiply16(&p.Gemm16, &block, strips*t/threads*32, strips*(t+1)/threads*32, scratch[t*Gemm16Scratch:][:Gemm16Scratch])
								})
								spent += time.Since(began)
							}
						}
						best = min(best, spent)
					}
					b.ReportMetric(2*float64(m)*float64(n)*float64(k)/float64(best.Nanoseconds()), "GFLOPS")
				})
			}
		}
	}
}
