package checkpoint

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"

	"github.com/bdia-go/bdia/internal/disk"
)

// tryLock locks f until it is closed, or returns ErrLocked at once. The locked
// byte is after the process number, so that other processes can read the
// number.
func tryLock(f *disk.File) error {
	at := windows.Overlapped{Offset: 1 << 16}
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if err == windows.ERROR_LOCK_VIOLATION {
		return ErrLocked
	}
	return err
}

// shareLock locks f, which is open for reading, together with others that do so, or returns ErrLocked at once.
func shareLock(f *os.File) error {
	at := windows.Overlapped{Offset: 1 << 16}
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if err == windows.ERROR_LOCK_VIOLATION {
		return ErrLocked
	}
	return err
}

// noLocks reports that a file system has no locks.
func noLocks(err error) bool {
	return errors.Is(err, windows.ERROR_NOT_SUPPORTED) || errors.Is(err, windows.ERROR_INVALID_FUNCTION)
}

// alive reports whether a process of this host is there, as far as can be told.
func alive(pid int) bool {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return !errors.Is(err, windows.ERROR_INVALID_PARAMETER)
	}
	windows.CloseHandle(h)
	return true
}

// dropLock does nothing: no other process has f, and closing it unlocks it.
func dropLock(interface{ Fd() uintptr }) {}
