package bench

import (
	"runtime"
	"sync"
	"time"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/kernel"
)

// Machine is the peak performance of this machine with the given number of
// threads.
type Machine struct {
	ISA       string  `json:"isa"`
	Threads   int     `json:"threads"`
	GFLOPS    float64 `json:"fma_peak_gflops"` // fused multiply-adds on registers
	Bandwidth float64 `json:"copy_gbps"`       // reading and writing memory out of cache, 10^9 bytes/s

	Precision backend.Precision `json:"precision"`
	// Products is the peak of the unit that computes matrix products of Precision: the matrix unit's own products on
	// registers, or GFLOPS.
	Products float64 `json:"product_peak_gflops"`
}

// MeasureMachine measures for about half a second.
func MeasureMachine(o backend.Options) (Machine, error) {
	level, err := instructions(o)
	if err != nil {
		return Machine{}, err
	}
	n := threads(o)
	isa := kernel.ISA(level)
	m := Machine{ISA: level.String(), Threads: n, GFLOPS: peak(isa.PeakRound, n), Bandwidth: bandwidth(n), Precision: o.Precision}
	if m.Products = m.GFLOPS; o.Precision == backend.BFloat16 {
		m.Products = peak(isa.PeakRound16, n)
	}
	return m, nil
}

// instructions returns the instruction set that o stands for.
func instructions(o backend.Options) (cpufeat.Level, error) {
	if o.ISA == "" {
		return cpufeat.Best(), nil
	}
	return cpufeat.Parse(o.ISA)
}

// threads returns the number of threads that o stands for.
func threads(o backend.Options) int {
	if o.Threads > 0 {
		return o.Threads
	}
	return runtime.GOMAXPROCS(0)
}

// best returns the largest rate of work per second over a few rounds. In each
// round all threads call f at once; f returns the work done.
func best(threads, rounds int, f func(thread int) float64) float64 {
	var top float64
	for range rounds {
		work := make([]float64, threads)
		var done sync.WaitGroup
		began := time.Now()
		for t := range threads {
			done.Go(func() { work[t] = f(t) })
		}
		done.Wait()
		seconds := time.Since(began).Seconds()
		var sum float64
		for _, w := range work {
			sum += w
		}
		top = max(top, sum/seconds)
	}
	return top
}

// peak returns 10^9 operations a second of a round of them; 0 on the portable path.
func peak(round func(n int) (flops int64), threads int) float64 {
	return best(threads, 10, func(int) float64 {
		var flops int64
		for range 100 { // short calls, so that the garbage collector never waits
			flops += round(20_000)
		}
		return float64(flops)
	}) / 1e9
}

// bandwidth returns 10^9 bytes a second, read and written.
func bandwidth(threads int) float64 {
	const n = 64 << 20
	src, dst := make([][]byte, threads), make([][]byte, threads)
	for t := range threads {
		src[t], dst[t] = make([]byte, n), make([]byte, n)
		for i := 0; i < n; i += 4096 {
			src[t][i], dst[t][i] = 1, 1
		}
	}
	return best(threads, 4, func(t int) float64 {
		return 2 * float64(copy(dst[t], src[t]))
	}) / 1e9
}
