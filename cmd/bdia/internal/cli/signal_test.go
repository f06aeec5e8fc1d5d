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

// TestSignalTwice: one SIGTERM that arrives twice, as schedulers send it, leaves the time to save; one that is sent again
// later does not.
func TestSignalTwice(t *testing.T) {
	var i insistence
	first := time.Now()
	for _, tc := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {0, false}, {10 * time.Millisecond, false}, {999 * time.Millisecond, false}, {time.Second, true}, {time.Hour, true}} {
		if got := i.again(first.Add(tc.after)); got != tc.want {
			t.Errorf("%v after the first: %v", tc.after, got)
		}
	}
}
