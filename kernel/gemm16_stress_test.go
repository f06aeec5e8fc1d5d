//go:build linux

package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bdia-go/bdia/internal/cpufeat"
)

// TestGemm16Stress runs products on many goroutines while the garbage collector works, goroutines change their
// threads and signals interrupt the kernels: registers of the matrix unit, and the mode of flushing, must survive and
// stay within.
func TestGemm16Stress(t *testing.T) {
	isa := ISA(cpufeat.Best())
	if isa == portable {
		t.Skip("no kernels in assembly")
	}
	length := 3 * time.Second
	if testing.Short() {
		length = time.Second
	}
	var shapes []*product16
	var want [][]float32
	scratch := make([]float32, Gemm16Scratch)
	for i, s := range []shape16{{layout: NT, m: 96, n: 160, k: 512}, {layout: NN, m: 70, n: 90, k: 200, fullA: true}, {layout: TN, m: 64, n: 64, k: 100, samples: 3, more: true}} {
		s.seed, s.ordinary = uint64(i), true
		p := newProduct16(s)
		floats, _ := p.on(isa, scratch)
		shapes, want = append(shapes, p), append(want, floats)
	}
	var over atomic.Bool
	var done sync.WaitGroup
	var runs atomic.Int64
	for n := range 8 {
		done.Go(func() {
			scratch := make([]float32, Gemm16Scratch)
			for i := n; !over.Load(); i++ {
				p := shapes[i%len(shapes)]
				floats, _ := p.on(isa, scratch)
				if err := diff(floats, want[i%len(shapes)]); err != nil {
					t.Errorf("%v: %v", p.Layout, err)
					over.Store(true)
				}
				if tiny := p.B.tiny(); tiny/2 == 0 { // subnormals are numbers outside the kernels
					t.Error("a kernel leaves the mode of flushing on")
					over.Store(true)
				}
				runs.Add(1)
				runtime.Gosched()
			}
		})
	}
	done.Go(func() { // signals, to any thread
		for !over.Load() {
			if err := syscall.Kill(syscall.Getpid(), syscall.SIGURG); err != nil {
				t.Error(err)
			}
			time.Sleep(20 * time.Microsecond)
		}
	})
	done.Go(func() {
		for !over.Load() {
			runtime.GC()
		}
	})
	time.Sleep(length)
	over.Store(true)
	done.Wait()
	t.Logf("%v: %d products", isa, runs.Load())
}

// tiny returns a subnormal number that the compiler does not know.
func (o *Operand) tiny() float32 { return float32(o.LD) * 1e-42 }
