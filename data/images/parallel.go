package images

import (
	"runtime"
	"sync"
	"sync/atomic"
)

const maxThreads = 1024

// threadsOf returns n, or the number of processors if n is 0.
func threadsOf(n int) int {
	if n == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return n
}

// parallel calls work(i) for i = 0..n-1 from several goroutines, each with its
// own work function. Work ends at the first error; of several errors, the one
// with the smallest i is returned.
func parallel(n, threads int, start func() (work func(i int) error)) error {
	if threads = min(threads, n); threads <= 1 {
		work := start()
		for i := range n {
			if err := work(i); err != nil {
				return err
			}
		}
		return nil
	}
	var (
		next   atomic.Int64
		wg     sync.WaitGroup
		mu     sync.Mutex
		failed = n
		first  error
	)
	for range threads {
		wg.Go(func() {
			work := start()
			for {
				i := int(next.Add(1) - 1)
				if i >= n {
					return
				}
				if err := work(i); err != nil {
					next.Store(int64(n)) // smaller i are already being worked on
					mu.Lock()
					if i < failed {
						failed, first = i, err
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return first
}
