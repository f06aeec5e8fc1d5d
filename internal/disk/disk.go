// Package disk is the seam through which the module writes files: functions like os's that open, write, cut, sync,
// rename, link and remove, each of which first asks the taps of tests.
//
// A tap sees the operations under a folder before they happen, and may refuse one. Package faultfs builds on it: it
// counts operations, lets one fail, and records all of them to replay a power cut. Without a tap an operation costs
// one atomic load more. Package policy keeps other packages from writing files past this one.
//
// Reading needs no seam, so os does that.
package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Kind is a kind of operation.
type Kind uint8

// The kinds of operations.
const (
	Open   Kind = iota // opens a file for writing, and may make or empty it, as Op.Flag says
	Write              // writes Op.Data at Op.Offset
	Cut                // truncates a file to Op.Offset bytes
	Sync               // makes the bytes of a file durable
	Names              // makes the names in a folder durable
	Move               // renames Op.Path to Op.To
	Delete             // removes a file or an empty folder
	Folder             // makes a folder
	Link               // gives the file Op.Path the further name Op.To
)

// String returns the kind as a word, for example "write".
func (k Kind) String() string {
	return [...]string{"open", "write", "truncate", "sync", "sync folder", "rename", "remove", "mkdir", "link"}[k]
}

// Op is one operation.
type Op struct {
	Kind   Kind
	Path   string // absolute
	File   int64  // of Open, Write, Cut and Sync: the open file, a number of its own
	To     string // of Move and Link: the new name
	Flag   int    // of Open: as for os.OpenFile
	Offset int64  // of Write, and the new size of Cut
	Data   []byte // of Write; valid until the tap returns
}

// String describes the operation, for example "write 12 bytes at 0 of /run/.journal".
func (o Op) String() string {
	switch o.Kind {
	case Write:
		return fmt.Sprintf("write %d bytes at %d of %s", len(o.Data), o.Offset, o.Path)
	case Cut:
		return fmt.Sprintf("truncate %s to %d bytes", o.Path, o.Offset)
	case Move, Link:
		return fmt.Sprintf("%s %s to %s", o.Kind, o.Path, o.To)
	}
	return o.Kind.String() + " " + o.Path
}

// Short is the error of a tap that lets the first N bytes of a Write through. The writer gets Err.
type Short struct {
	N   int
	Err error
}

// Error is the text of Err.
func (s *Short) Error() string { return s.Err.Error() }

// tap is one call of Tap.
type tap struct {
	dir string // absolute
	ask func(Op) error
}

var (
	taps    atomic.Pointer[[]*tap] // nil: none
	tapping sync.Mutex             // held to change taps
)

// Tap calls ask before each operation on dir and on what is below it, until stop. If ask returns an error, such as
// syscall.ENOSPC or a *Short, the operation does not happen and fails with that error. It is for tests, also for
// several at a time; ask is called from every goroutine that writes.
func Tap(dir string, ask func(Op) error) (stop func()) {
	t := &tap{absolute(dir), ask}
	change := func(f func([]*tap) []*tap) {
		tapping.Lock()
		defer tapping.Unlock()
		var list []*tap
		if old := taps.Load(); old != nil {
			list = slices.Clone(*old)
		}
		if list = f(list); len(list) == 0 {
			taps.Store(nil)
			return
		}
		taps.Store(&list)
	}
	change(func(list []*tap) []*tap { return append(list, t) })
	return func() {
		change(func(list []*tap) []*tap { return slices.DeleteFunc(list, func(x *tap) bool { return x == t }) })
	}
}

// tapped reports whether there is a tap.
func tapped() bool { return taps.Load() != nil }

// before asks the taps whether op may happen. Its paths need not be absolute.
func before(op Op) error {
	list := taps.Load()
	if list == nil {
		return nil
	}
	op.Path = absolute(op.Path)
	if op.To != "" {
		op.To = absolute(op.To)
	}
	for _, t := range *list {
		if within(op.Path, t.dir) || within(op.To, t.dir) {
			if err := t.ask(op); err != nil {
				return err
			}
		}
	}
	return nil
}

func within(path, dir string) bool {
	rest, ok := strings.CutPrefix(path, dir)
	return ok && (rest == "" || os.IsPathSeparator(rest[0]) || os.IsPathSeparator(dir[len(dir)-1]))
}

// absolute returns the path from the root. Without a working folder there is none, and path stays.
func absolute(path string) string {
	full, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	return full
}

// named is err as os reports it: with operation and path.
func named(op, path string, err error) error {
	if err == nil || errors.As(err, new(*os.PathError)) {
		return err
	}
	return &os.PathError{Op: op, Path: path, Err: err}
}
