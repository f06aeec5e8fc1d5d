package mmap

import (
	"errors"
	"runtime"
	"runtime/debug"
)

// ErrLost is the error of a mapped file that became shorter, or whose disk failed, while it was read.
var ErrLost = errors.New("the file became shorter while it was in use, or its disk failed")

// Reading and Lost make a fault of a mapped file an error, where it would end the process. They are for functions that
// read from maps:
//
//	defer mmap.Lost(mmap.Reading(), &err)
func Reading() (before bool) { return debug.SetPanicOnFault(true) }

// Lost is called by defer. It sets err to ErrLost after a fault.
func Lost(before bool, err *error) {
	debug.SetPanicOnFault(before)
	switch p := recover().(type) {
	case nil:
	case interface {
		runtime.Error
		Addr() uintptr
	}:
		if p.Addr() < 4096 { // a nil pointer
			panic(p)
		}
		*err = ErrLost
	default:
		panic(p)
	}
}
