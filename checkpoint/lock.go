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
)

const lockFile = ".lock"

// ErrLocked is wrapped by the error of Lock on a directory that is locked.
var ErrLocked = errors.New("another process is writing this run")

// held keeps the files of locks reachable: the garbage collector closes a file
// that is not, which would unlock it under a caller who dropped unlock.
var held sync.Map

// Lock takes dir, created where absent, for one writer: a second Lock, of this
// or any other process, fails with ErrLocked until unlock is called or the
// process ends, however it ends. The file DIR/.lock stays behind, unlocked.
func Lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o644)
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
	// The number is only for the message above: a full disk may lose it.
	if f.Truncate(0) == nil {
		f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	}
	held.Store(f, true)
	return sync.OnceFunc(func() { held.Delete(f); f.Close() }), nil
}
