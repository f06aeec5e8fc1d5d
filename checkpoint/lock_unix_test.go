//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package checkpoint

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestForkedLock: a lock ends with unlock, though a process that was forked meanwhile has its file too.
func TestForkedLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := takeLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	forked, err := unix.Dup(int(l.f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(forked)
	l.release()
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
