//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package checkpoint

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/bdia-go/bdia/internal/disk"
)

// tryLock locks f until it is closed, or returns ErrLocked at once.
func tryLock(f *disk.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch err {
		case unix.EINTR:
			continue
		case unix.EWOULDBLOCK:
			return ErrLocked
		}
		return err
	}
}

// shareLock locks f, which is open for reading, together with others that do so, or returns ErrLocked at once.
func shareLock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return ErrLocked
	}
	return err
}

// dropLock unlocks f at once, though a process that was just forked still has it until it runs its own program.
func dropLock(f interface{ Fd() uintptr }) { unix.Flock(int(f.Fd()), unix.LOCK_UN) }

// noLocks reports that a file system has no locks, as some network file systems.
func noLocks(err error) bool {
	for _, none := range []error{unix.ENOSYS, unix.ENOTSUP, unix.EOPNOTSUPP, unix.ENOLCK} {
		if errors.Is(err, none) {
			return true
		}
	}
	return false
}

// alive reports whether a process of this host is there, as far as can be told.
func alive(pid int) bool { return unix.Kill(pid, 0) != unix.ESRCH }
