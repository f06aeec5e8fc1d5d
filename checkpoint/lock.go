package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bdia-go/bdia/internal/disk"
)

const (
	lockFile = ".lock"
	// onlyFile exists while a process writes in a directory of a file system without locks.
	onlyFile = ".lock-only"
	// freeFile exists while a process removes an onlyFile that a crash has left.
	freeFile = onlyFile + "-free"
)

// ErrLocked is wrapped by the errors for a directory that is already locked.
var ErrLocked = errors.New("another process is writing this run")

// LockedError is the error of a directory that another process writes.
type LockedError struct {
	Dir   string
	By    Holder
	Stays string // the file to remove if that process has ended; empty: its lock ends with it
}

// Error names the process.
func (e *LockedError) Error() string {
	text := fmt.Sprintf("checkpoint: %s: %v%s; wait for it to end, or write to another folder", e.Dir, ErrLocked, e.By.in())
	if e.Stays != "" {
		text += fmt.Sprintf("; if it has ended, remove %s", filepath.Join(e.Dir, e.Stays))
	}
	return text
}

// Unwrap makes errors.Is(err, ErrLocked) true.
func (e *LockedError) Unwrap() error { return ErrLocked }

// Holder is the process that has locked a directory.
type Holder struct {
	PID   int       // 0: not known
	Host  string    // empty: not known
	Since time.Time // zero: not known
}

// in describes the process in brackets, or is empty.
func (h Holder) in() string {
	if h.PID == 0 {
		return ""
	}
	text := fmt.Sprintf(" (process %d", h.PID)
	if h.Host != "" {
		text += " on " + h.Host
	}
	if !h.Since.IsZero() {
		text += ", since " + h.Since.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	return text + ")"
}

// thisProcess is this process, as a lock file names it: its number, its host and the time in a line each. Earlier
// versions wrote the number alone.
func thisProcess() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("%d\n%s\n%s\n", os.Getpid(), host, time.Now().UTC().Format(time.RFC3339))
}

// readHolder reads a lock file.
func readHolder(r io.Reader) (h Holder) {
	text, _ := io.ReadAll(io.LimitReader(r, 512))
	lines := strings.SplitN(string(text), "\n", 4)
	for i, line := range lines {
		line = strings.TrimSpace(line)
		switch i {
		case 0:
			h.PID, _ = strconv.Atoi(line)
		case 1:
			h.Host = strings.Map(func(r rune) rune {
				if strconv.IsPrint(r) {
					return r
				}
				return -1
			}, line)
		case 2:
			h.Since, _ = time.Parse(time.RFC3339, line)
		}
	}
	return h
}

// lock is a lock that this process holds.
type lock struct {
	dir  string
	f    *disk.File // locked
	only string     // the file that stands for the lock; empty: f is locked
	text string     // of that file
	note string
}

// held keeps lock files reachable: the garbage collector closes unreachable
// files, which would release the lock of a caller that dropped unlock.
var held sync.Map

// Lock reserves dir for one writer, creating dir if necessary. A second Lock,
// by this or another process, fails with ErrLocked until unlock is called or
// the process ends, even by a crash. The file DIR/.lock stays behind, unlocked.
//
// On a file system without locks a file that only one process can make stands
// for the lock. A crash leaves it; on the same host that is noticed, on another
// one the error says which file to remove.
func Lock(dir string) (unlock func(), err error) {
	l, err := takeLock(dir)
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(l.release), nil
}

func takeLock(dir string) (*lock, error) {
	if err := disk.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	f, err := disk.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: lock: %w", err)
	}
	l := &lock{dir: dir, f: f}
	switch err := tryLock(f); {
	case errors.Is(err, ErrLocked):
		defer f.Close()
		return nil, &LockedError{Dir: dir, By: readHolder(f)}
	case noLocks(err):
		if lerr := l.takeOnly(); lerr != nil {
			f.Close()
			return nil, lerr
		}
		l.note = fmt.Sprintf("%s is on a file system without locks (%v): the file %s keeps a second process out. If a crash leaves it behind, remove it.",
			dir, err, onlyFile)
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("checkpoint: %s: lock: %w", dir, err)
	}
	// What the file says is only for the message above, so a failed write does
	// not matter.
	if f.Truncate(0) == nil {
		f.Write([]byte(thisProcess()))
	}
	held.Store(f, true)
	return l, nil
}

// takeOnly makes the file that stands for a lock. One of a process of this host that has ended is removed first.
func (l *lock) takeOnly() error {
	root, err := disk.OpenRoot(l.dir)
	if err != nil {
		return fmt.Errorf("checkpoint: lock: %w", err)
	}
	defer root.Close()
	if err = l.makeOnly(root); errors.Is(err, fs.ErrExist) {
		if err = l.free(root); err == nil {
			err = l.makeOnly(root)
		}
	}
	return l.refused(root, err)
}

// refused words an error of makeOnly and free.
func (l *lock) refused(root disk.Root, err error) error {
	switch {
	case err == nil || errors.Is(err, ErrLocked):
		return err
	case errors.Is(err, fs.ErrExist):
		return &LockedError{Dir: l.dir, By: holderIn(root, onlyFile), Stays: onlyFile}
	}
	return fmt.Errorf("checkpoint: %s: lock: %w", l.dir, bare(err))
}

// makeOnly makes the file that stands for a lock; fs.ErrExist: it is there.
func (l *lock) makeOnly(root disk.Root) error {
	text := thisProcess()
	err := writeNew(root, onlyFile, text)
	if err == nil {
		l.only, l.text = filepath.Join(l.dir, onlyFile), text
	}
	return err
}

// writeNew makes a file that one process alone can make.
func writeNew(root disk.Root, name, text string) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	if err = cmp.Or(err, f.Close()); err != nil {
		root.Remove(name)
	}
	return err
}

// free removes the file that stands for a lock if a process of this host made it and has ended. A second file keeps
// others from doing so at the same time: they could remove the file that the quicker one has made by then. So what is
// read while the second one is there is what is removed.
func (l *lock) free(root disk.Root) (err error) {
	err = writeNew(root, freeFile, thisProcess())
	if errors.Is(err, fs.ErrExist) {
		return &LockedError{Dir: l.dir, By: holderIn(root, freeFile), Stays: freeFile}
	}
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, root.Remove(freeFile)) }()
	if _, err := root.Lstat(onlyFile); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	by := holderIn(root, onlyFile)
	host, _ := os.Hostname()
	if by.PID == 0 || by.Host != host || alive(by.PID) {
		return &LockedError{Dir: l.dir, By: by, Stays: onlyFile}
	}
	if err := root.Remove(onlyFile); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// holderIn reads a lock file; one that is gone tells nothing.
func holderIn(root disk.Root, name string) Holder {
	f, err := root.Open(name)
	if err != nil {
		return Holder{}
	}
	defer f.Close()
	return readHolder(f)
}

// onlyAgain makes sure that the file that stands for the lock is this process's. If somebody removed it, it is made
// again.
func (l *lock) onlyAgain(root disk.Root) error {
	if l.only == "" {
		return nil
	}
	text, err := root.ReadFile(onlyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = l.makeOnly(root)
	case err == nil && string(text) != l.text:
		err = fs.ErrExist
	}
	return l.refused(root, err)
}

// again makes sure that the lock file in d is still the locked one. If somebody removed it, it is made and locked
// again.
func (l *lock) again(d *runDir) error {
	is, err := l.f.Stat()
	if err != nil {
		return fmt.Errorf("checkpoint: lock: %w", err)
	}
	if err := l.onlyAgain(d.root); err != nil {
		return err
	}
	if at, err := d.root.Stat(lockFile); err == nil && os.SameFile(is, at) {
		return nil
	}
	f, err := d.root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("checkpoint: %s: lock again, since %s was removed: %w", d.path, lockFile, bare(err))
	}
	if err := tryLock(f); err != nil && !noLocks(err) {
		defer f.Close()
		if errors.Is(err, ErrLocked) {
			return &LockedError{Dir: d.path, By: readHolder(f)}
		}
		return fmt.Errorf("checkpoint: %s: lock again, since %s was removed: %w", d.path, lockFile, err)
	}
	if f.Truncate(0) == nil {
		f.Write([]byte(thisProcess()))
	}
	held.Delete(l.f)
	l.f.Close()
	l.f = f
	held.Store(f, true)
	return nil
}

// release lets go of the lock.
func (l *lock) release() {
	held.Delete(l.f)
	if l.only != "" {
		if text, err := os.ReadFile(l.only); err == nil && string(text) == l.text { // not of another process
			disk.Remove(l.only)
		}
	}
	dropLock(l.f)
	l.f.Close()
}
