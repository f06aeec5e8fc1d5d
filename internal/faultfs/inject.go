package faultfs

import (
	"sync"

	"github.com/bdia-go/bdia/internal/disk"
)

// Fault is what goes wrong.
type Fault struct {
	At      int   // index of the operation, from 0
	Err     error // for example syscall.ENOSPC
	Short   bool  // if it writes, the first half of the bytes arrives
	Lasting bool  // all later operations fail too
}

// Faults is a fault in a folder, until Stop.
type Faults struct {
	fault Fault
	stop  func()

	mutex sync.Mutex // operations come from several goroutines
	count int
	hit   *disk.Op
}

// Inject lets operations on dir and below it fail as f says. With an At below 0 it only counts.
func Inject(dir string, f Fault) *Faults {
	x := &Faults{fault: f}
	x.stop = disk.Tap(dir, x.ask)
	return x
}

func (x *Faults) ask(op disk.Op) error {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	n := x.count
	x.count++
	switch {
	case n == x.fault.At:
		op.Data = append([]byte(nil), op.Data...)
		x.hit = &op
		if x.fault.Short && op.Kind == disk.Write {
			return &disk.Short{N: len(op.Data) / 2, Err: x.fault.Err}
		}
		return x.fault.Err
	case x.hit != nil && x.fault.Lasting:
		return x.fault.Err
	}
	return nil
}

// Stop ends the fault.
func (x *Faults) Stop() { x.stop() }

// Count returns the number of operations so far.
func (x *Faults) Count() int {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	return x.count
}

// Hit returns the operation that has failed, or nil.
func (x *Faults) Hit() *disk.Op {
	x.mutex.Lock()
	defer x.mutex.Unlock()
	return x.hit
}
