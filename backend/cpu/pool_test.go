package cpu

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// tally counts how often each task ran.
type tally struct {
	runs []atomic.Int32
	sum  atomic.Int64
}

func (c *tally) run(_ *Backend, task int, scratch []float32) {
	scratch[0]++ // its thread's own: the race detector would object otherwise
	c.runs[task].Add(1)
	c.sum.Add(int64(task))
}

func TestPoolRunsEveryTaskOnce(t *testing.T) {
	t.Parallel()
	for _, threads := range []int{1, 2, 3, 8} {
		e := newEnv(t, "", threads)
		total := 0
		for round := range 3000 {
			n := round % 23
			c := &tally{runs: make([]atomic.Int32, n)}
			e.pool.run(n, c)
			for task := range n {
				if got := c.runs[task].Load(); got != 1 {
					t.Fatalf("%d threads, job %d of %d tasks: task %d ran %d times", threads, round, n, task, got)
				}
			}
			total += n
			if round%1000 == 999 {
				time.Sleep(10 * time.Millisecond) // the threads go to sleep
			}
		}
		var used float32
		for _, s := range e.pool.scratch {
			used += s[0]
		}
		if int(used) != total {
			t.Errorf("%d threads: the scratches saw %v tasks of %d", threads, used, total)
		}
	}
}

// TestPoolParks checks that threads without work sleep, and wake for the next job.
func TestPoolParks(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "", 3)
	for range 3 {
		c := &tally{runs: make([]atomic.Int32, 50)}
		e.pool.run(50, c)
		if got := c.sum.Load(); got != 49*50/2 {
			t.Fatalf("the tasks add up to %d", got)
		}
		deadline := time.Now().Add(10 * time.Second)
		for e.pool.parked.Load() != 2 {
			if time.Now().After(deadline) {
				t.Fatalf("%d of 2 threads sleep", e.pool.parked.Load())
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// TestCloseEndsThreads is not parallel: it counts goroutines.
func TestCloseEndsThreads(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		b, err := New(Options{Threads: 4, ArenaBytes: ScratchBytes(4)})
		if err != nil {
			t.Fatal(err)
		}
		c := &tally{runs: make([]atomic.Int32, 9)}
		b.pool.run(9, c)
		b.Close()
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}
