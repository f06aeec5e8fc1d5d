package cpu

import (
	"fmt"
	"testing"
	"time"

	"github.com/bdia-go/bdia/tensor"
)

// BenchmarkNorm reports 10^9 bytes read and written each second by layer norm and
// its gradient in the fastest call, beside a copy. Rounds through several sets of
// tensors keep them out of cache.
func BenchmarkNorm(b *testing.B) {
	const sets = 6
	for _, threads := range []int{1, 2} {
		for _, s := range [][2]int{{4096, 384}, {2048, 768}} {
			rows, cols := s[0], s[1]
			be, err := New(Options{Threads: threads, ArenaBytes: ScratchBytes(threads) + 4*int64(3*sets*rows*cols+2*rows+3*cols) + 1<<20})
			if err != nil {
				b.Fatal(err)
			}
			var x, dy, y [sets]tensor.Tensor
			for i := range sets {
				x[i], dy[i], y[i] = benchMatrix(be, tensor.F32, rows, cols), benchMatrix(be, tensor.F32, rows, cols), benchMatrix(be, tensor.F32, rows, cols)
			}
			stats, w, dw, db := benchMatrix(be, tensor.F32, 2, rows), benchMatrix(be, tensor.F32, 1, cols), benchMatrix(be, tensor.F32, 1, cols), benchMatrix(be, tensor.F32, 1, cols)
			for _, k := range []struct {
				name    string
				tensors int
				call    func(i int)
			}{
				{"Copy", 2, func(i int) { be.Copy(y[i], x[i]) }},
				{"LayerNorm", 2, func(i int) { be.LayerNorm(y[i], stats, x[i], w, db, 1e-5) }},
				{"LayerNormBackward", 3, func(i int) { be.LayerNormBackward(y[i], dw, db, dy[i], x[i], w, stats) }},
				{"LayerNormBackwardInPlace", 3, func(i int) { be.LayerNormBackward(dy[i], dw, db, dy[i], x[i], w, stats) }},
			} {
				b.Run(fmt.Sprintf("threads=%d/%s/%dx%d", threads, k.name, rows, cols), func(b *testing.B) {
					b.ReportAllocs()
					best := time.Hour
					for b.Loop() {
						for i := range sets {
							t := time.Now()
							k.call(i)
							best = min(best, time.Since(t))
						}
					}
					b.ReportMetric(float64(k.tensors*4*rows*cols)/float64(best.Nanoseconds()), "GB/s")
				})
			}
			be.Close()
		}
	}
}
