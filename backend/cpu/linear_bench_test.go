package cpu

import (
	"fmt"
	"testing"
	"time"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/tensor"
)

// benchLayers are rows, out and in of layers.
var benchLayers = [][3]int{{4096, 1152, 384}, {4096, 384, 384}, {4096, 1536, 384}, {4096, 384, 1536}, {2048, 2304, 768},
	{2048, 3072, 768}, {2048, 768, 3072}, {8320, 1536, 512}, {8320, 512, 512}, {1024, 50257, 768}, {1, 3072, 768}, {1, 4096, 4096}, {1, 50257, 768}, {8, 4096, 4096}}

// BenchmarkLinear reports the GFLOPS of the fastest iteration of a linear layer
// (NT), the gradient of its input (NN) and of its weight (TN), each named by the
// M×N×K of its product. bench/gemm.sh compares them with another library's.
func BenchmarkLinear(b *testing.B) {
	for _, threads := range []int{1, 2} {
		for _, l := range benchLayers {
			rows, out, in := l[0], l[1], l[2]
			b.Run(fmt.Sprintf("threads=%d/%dx%dx%d", threads, rows, out, in), func(b *testing.B) {
				be, err := New(Options{Threads: threads, ArenaBytes: ScratchBytes(threads) + 4*int64(rows*in+rows*out+out*in) + 1<<20})
				if err != nil {
					b.Fatal(err)
				}
				defer be.Close()
				x, y, w := benchMatrix(be, tensor.F32, rows, in), benchMatrix(be, tensor.F32, rows, out), benchMatrix(be, tensor.F32, out, in)
				none := tensor.Tensor{}
				benchProduct(b, "NT", rows, out, in, func() { be.Linear(y, x, w, none) })
				benchProduct(b, "NN", rows, in, out, func() { be.LinearBackwardInput(x, y, w) })
				benchProduct(b, "TN", out, in, rows, func() { be.Zero(w); be.LinearBackwardWeight(w, none, y, x) })
			})
		}
	}
}

// BenchmarkLinear16 is BenchmarkLinear of bfloat16: with operands of BF16 and outputs of either type, and with both of F32.
func BenchmarkLinear16(b *testing.B) {
	for _, level := range cpufeat.SupportedBF16()[2:] {
		for _, threads := range []int{1, 2} {
			for _, l := range benchLayers {
				rows, out, in := l[0], l[1], l[2]
				b.Run(fmt.Sprintf("%v/threads=%d/%dx%dx%d", level, threads, rows, out, in), func(b *testing.B) {
					o := Options{Threads: threads, ISA: level.String(), Precision: backend.BFloat16}
					o.ArenaBytes = o.ScratchBytes() + int64(6*(rows*in+rows*out)+10*out*in) + 1<<20
					be, err := New(o)
					if err != nil {
						b.Fatal(err)
					}
					defer be.Close()
					none, dw := tensor.Tensor{}, benchMatrix(be, tensor.F32, out, in)
					var x, y, w [2]tensor.Tensor
					for i, d := range []tensor.DType{tensor.BF16, tensor.F32} {
						x[i], y[i], w[i] = benchMatrix(be, d, rows, in), benchMatrix(be, d, rows, out), benchMatrix(be, d, out, in)
					}
					for i, how := range []string{"bf16", "float32 out", "float32"} {
						operands, outputs := i/2, (i+1)/2
						benchProduct(b, how+"/NT", rows, out, in, func() { be.Linear(y[outputs], x[operands], w[operands], none) })
						benchProduct(b, how+"/NN", rows, in, out, func() { be.LinearBackwardInput(x[outputs], y[operands], w[operands]) })
						if i != 1 {
							benchProduct(b, how+"/TN", out, in, rows, func() { be.LinearBackwardWeight(dw, none, y[operands], x[operands]) })
						}
					}
				})
			}
		}
	}
}

func benchProduct(b *testing.B, layout string, m, n, k int, run func()) {
	b.Run(fmt.Sprintf("%s/%dx%dx%d", layout, m, n, k), func(b *testing.B) {
		b.ReportAllocs()
		best := time.Hour
		for b.Loop() {
			t := time.Now()
			run()
			best = min(best, time.Since(t))
		}
		b.ReportMetric(2*float64(m)*float64(n)*float64(k)/float64(best.Nanoseconds()), "GFLOPS")
	})
}

// benchMatrix returns a matrix of small numbers, none subnormal.
func benchMatrix(be *Backend, d tensor.DType, rows, cols int) tensor.Tensor {
	t := be.Alloc(backend.Activation, d, tensor.Shape{rows, cols})
	host := make([]float32, t.Len())
	for i := range host {
		host[i] = (float32(i%97) + 0.5) / 97
	}
	be.Upload(t, host)
	return t
}
