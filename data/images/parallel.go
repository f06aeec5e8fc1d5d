package images

import (
	"runtime"
	"sync"
	"sync/atomic"
)

const maxThreads = 1024

// threadsOf resolves a number of threads, of which 0 is one for each processor.
func threadsOf(n int) int {
	if n == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return n
}

// parallel calls work(i) for i = 0..n-1 from several goroutines, each with a work
// function of its own. Work ends at the first error; of several that of the
// least i is returned.
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
					next.Store(int64(n)) // what came before i is being worked on
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
