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
//
// A job is over when its tasks are done, not when every thread has seen it. So a
// thread that does not get to run, because other processes hold the cores, only
// costs its help and delays nobody. This needs one word, ticket, with both the
// number of the job and the number of its tasks not yet taken. After a thread
// has taken a task, the job cannot change until that task is done.
type pool struct {
	backend *Backend
	scratch [][]float32 // per thread

	job    job
	ticket atomic.Uint64 // number of the job << 32 | tasks not taken yet
	undone atomic.Int64  // tasks not done yet
	closed atomic.Bool

	mu     sync.Mutex
	wake   *sync.Cond
	parked atomic.Int64
	ended  sync.WaitGroup
}

// spins is the number of times that a thread looks for a new job before it
// sleeps. With the calls that let other goroutines run, this takes milliseconds
// (2 to 4 measured on a busy machine): longer than any gap within a step.
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
	if tasks <= 1 || len(p.scratch) == 1 {
		for t := range tasks {
			j.run(p.backend, t, p.scratch[0])
		}
		return
	}
	p.job = j
	p.undone.Store(int64(tasks))
	p.ticket.Store((p.ticket.Load()>>32+1)<<32 | uint64(tasks))
	if p.parked.Load() > 0 {
		p.mu.Lock()
		p.wake.Broadcast()
		p.mu.Unlock()
	}
	p.work(0)
	for i := 1; p.undone.Load() > 0; i++ {
		yieldAfter(i)
	}
}

// work takes and runs tasks until none is left.
func (p *pool) work(thread int) {
	for v := p.ticket.Load(); uint32(v) > 0; v = p.ticket.Load() {
		if p.ticket.CompareAndSwap(v, v-1) {
			p.job.run(p.backend, int(uint32(v))-1, p.scratch[thread])
			p.undone.Add(-1)
		}
	}
}

func (p *pool) thread(t int) {
	for p.await() {
		p.work(t)
	}
}

// await returns when there are tasks to take, or false when the pool closes.
func (p *pool) await() bool {
	for i := 1; i < spins; i++ {
		if uint32(p.ticket.Load()) > 0 {
			return true
		}
		yieldAfter(i)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parked.Add(1)
	defer p.parked.Add(-1)
	for uint32(p.ticket.Load()) == 0 && !p.closed.Load() {
		p.wake.Wait()
	}
	return !p.closed.Load()
}

// yieldAfter lets other goroutines run now and then during a spin.
func yieldAfter(i int) {
	if i%64 == 0 {
		runtime.Gosched()
	}
}

// close ends the threads. No job may be running.
func (p *pool) close() {
	p.closed.Store(true)
	p.mu.Lock()
	p.wake.Broadcast()
	p.mu.Unlock()
	p.ended.Wait()
}
