package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/bdia-go/bdia/internal/disk"
)

const lockFile = ".lock"

// ErrLocked is wrapped by Lock's error for a directory that is already locked.
var ErrLocked = errors.New("another process is writing this run")

// held keeps lock files reachable: the garbage collector closes unreachable
// files, which would release the lock of a caller that dropped unlock.
var held sync.Map

// Lock reserves dir for one writer, creating dir if necessary. A second Lock,
// by this or another process, fails with ErrLocked until unlock is called or
// the process ends, even by a crash. The file DIR/.lock stays behind, unlocked.
func Lock(dir string) (unlock func(), err error) {
	if err := disk.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	f, err := disk.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: lock: %w", err)
	}
	if err := tryLock(f); err != nil {
		defer f.Close()
		if !errors.Is(err, ErrLocked) {
			return nil, fmt.Errorf("checkpoint: %s: lock: %w", dir, err)
		}
		who, _ := io.ReadAll(io.LimitReader(f, 32))
		if pid, perr := strconv.Atoi(strings.TrimSpace(string(who))); perr == nil {
			return nil, fmt.Errorf("checkpoint: %s: %w (process %d); wait for it to end, or write to another folder", dir, err, pid)
		}
		return nil, fmt.Errorf("checkpoint: %s: %w; wait for it to end, or write to another folder", dir, err)
	}
	// The process number is only for the message above, so a failed write does
	// not matter.
	if f.Truncate(0) == nil {
		f.Write([]byte(strconv.Itoa(os.Getpid()) + "\n"))
	}
	held.Store(f, true)
	return sync.OnceFunc(func() { held.Delete(f); f.Close() }), nil
}
