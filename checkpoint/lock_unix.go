//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package checkpoint

import (
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
