package cli

import (
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// TestHangUp: the end of the terminal is a Ctrl-C, and however often it comes it is one.
func TestHangUp(t *testing.T) {
	if runtime.GOOS == "windows" || signal.Ignored(syscall.SIGHUP) {
		t.Skip("there is no such signal")
	}
	seen := make(chan os.Signal, 3) // so that none arrives when stop has given them back
	signal.Notify(seen, syscall.SIGHUP)
	defer signal.Stop(seen)
	ctx, stop := Interruptible(io.Discard)
	defer stop()
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := self.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		<-seen
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
			t.Fatal("nothing is stopped")
		}
	}
}
