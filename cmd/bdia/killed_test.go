package main

import (
	"os"
	"strconv"
	"sync/atomic"

	"github.com/bdia-go/bdia/internal/disk"
)

// Names of environment variables by which a process of this binary kills itself: before the operation of that number on
// files in the folder.
const (
	killAt = "BDIA_TEST_KILL_AT"
	killIn = "BDIA_TEST_KILL_IN"
)

// dieWhenTold kills this process in the middle of its work, if the environment says so. Every other write is torn: its
// first half arrives, and the process ends before the next operation.
func dieWhenTold() {
	at, err := strconv.ParseInt(os.Getenv(killAt), 10, 64)
	if err != nil {
		return
	}
	var count atomic.Int64
	disk.Tap(os.Getenv(killIn), func(op disk.Op) error {
		switch n := count.Add(1) - 1; {
		case n == at-1 && op.Kind == disk.Write && at%2 == 0:
			return &disk.Short{N: len(op.Data) / 2, Err: os.ErrDeadlineExceeded}
		case n >= at:
			self, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = self.Kill()
			}
			if err != nil {
				panic(err)
			}
			select {} // until the signal arrives
		}
		return nil
	})
}
