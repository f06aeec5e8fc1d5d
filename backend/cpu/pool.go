package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// job is the work of one operation, cut into tasks that may run in any order on
// any thread: no task depends on another and no sum crosses a task.
type job interface {
	run(b *Backend, task int, scratch []float32)
}

// pool runs jobs on a fixed set of threads. The calling goroutine is thread 0;
// the others spin for a while between jobs, since operations follow each other
// within microseconds, and then sleep.
type pool struct {
	backend *Backend
	scratch [][]float32 // per thread

	// The job at hand, published by epoch.
	job   job
	tasks int64
	next  atomic.Int64 // the next task to take
	epoch atomic.Int64 // counts jobs; -1 ends the threads
	busy  atomic.Int64 // threads that have not finished the job at hand

	mu     sync.Mutex
	wake   *sync.Cond
	parked atomic.Int64
	ended  sync.WaitGroup
}

// spins is how often a thread looks for a new job before it sleeps: some tens
// of microseconds.
const spins = 20_000

func newPool(b *Backend, scratch [][]float32) *pool {
	p := &pool{backend: b, scratch: scratch}
	p.wake = sync.NewCond(&p.mu)
	for t := 1; t < len(scratch); t++ {
		p.ended.Go(func() { p.thread(t) })
	}
	return p
}

// run executes all tasks of j and returns when they are done.
func (p *pool) run(tasks int, j job) {
	if tasks == 1 || len(p.scratch) == 1 {
		for t := range tasks {
			j.run(p.backend, t, p.scratch[0])
		}
		return
	}
	p.job, p.tasks = j, int64(tasks)
	p.next.Store(0)
	p.busy.Store(int64(len(p.scratch) - 1))
	p.epoch.Add(1)
	if p.parked.Load() > 0 {
		p.mu.Lock()
		p.wake.Broadcast()
		p.mu.Unlock()
	}
	p.work(0)
	for i := 0; p.busy.Load() > 0; i++ {
		if i%64 == 63 {
			runtime.Gosched()
		}
	}
}

// work takes tasks until none is left.
func (p *pool) work(thread int) {
	for t := p.next.Add(1) - 1; t < p.tasks; t = p.next.Add(1) - 1 {
		p.job.run(p.backend, int(t), p.scratch[thread])
	}
}

func (p *pool) thread(t int) {
	for seen := int64(0); ; {
		epoch := p.await(seen)
		if epoch < 0 {
			return
		}
		seen = epoch
		p.work(t)
		p.busy.Add(-1)
	}
}

// await returns the epoch once it is no longer seen.
func (p *pool) await(seen int64) int64 {
	for i := range spins {
		if e := p.epoch.Load(); e != seen {
			return e
		}
		if i%64 == 63 {
			runtime.Gosched()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parked.Add(1)
	defer p.parked.Add(-1)
	for p.epoch.Load() == seen {
		p.wake.Wait()
	}
	return p.epoch.Load()
}

// close ends the threads.
func (p *pool) close() {
	p.epoch.Store(-1)
	p.mu.Lock()
	p.wake.Broadcast()
	p.mu.Unlock()
	p.ended.Wait()
}
