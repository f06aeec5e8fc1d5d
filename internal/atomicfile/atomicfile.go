// Package atomicfile writes files that appear whole or not at all, through a
// crash, a kill or a full disk: a new file is written beside its place under a
// hidden name, synced, renamed, and the folder is synced. For example, the new
// content of dir/vocab.json is first dir/.vocab.json.RANDOM.tmp.
//
// It is our own because github.com/google/renameio does not run on Windows. For
// several files that change together use package checkpoint.
//
// Errors give the cause without the names of files: callers know the name that
// the user gave.
package atomicfile

import (
	"cmp"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bdia-go/bdia/internal/disk"
)

// Write replaces the file at path by one that holds b.
func Write(path string, b []byte) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(b); err != nil {
		return err
	}
	return f.Commit()
}

// File is a new file that is not yet in its place. It is for one goroutine.
type File struct {
	path string     // its place
	temp string     // its name until Commit; empty after Commit or Abort
	f    *disk.File // nil once closed
}

// Create starts a new file for path in the folder of path. Nothing changes at
// path before Commit. Defer Abort, which removes the file unless it was committed.
func Create(path string) (*File, error) {
	dir, name := filepath.Split(path)
	temp := dir + "." + name + "." + rand.Text() + ".tmp"
	f, err := disk.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, bare(err)
	}
	return &File{path, temp, f}, nil
}

// Write appends b. After Close it fails.
func (f *File) Write(b []byte) (int, error) {
	if f.f == nil {
		return 0, fs.ErrClosed
	}
	n, err := f.f.Write(b)
	return n, bare(err)
}

// WriteAt writes b at an offset, for a header that depends on what follows it.
// After Close it opens the file again.
func (f *File) WriteAt(b []byte, offset int64) (n int, err error) {
	if f.f == nil {
		if f.f, err = disk.OpenFile(f.temp, os.O_WRONLY, 0); err != nil {
			return 0, bare(err)
		}
	}
	n, err = f.f.WriteAt(b, offset)
	return n, bare(err)
}

// Close syncs and closes the file, which keeps its hidden name. So a set of many
// files need not hold them all open. A second Close does nothing.
func (f *File) Close() error {
	if f.f == nil {
		return nil
	}
	err := cmp.Or(bare(f.f.Sync()), bare(f.f.Close()))
	f.f = nil
	return err
}

// Commit closes the file and puts it in its place. After an error the old file is
// still in place, and Abort removes the new one.
func (f *File) Commit() error {
	if err := f.Close(); err != nil {
		return err
	}
	if err := rename(f.temp, f.path); err != nil {
		return err
	}
	f.temp = ""
	return syncFolderOf(f.path)
}

// Abort removes the file. After Commit it does nothing.
func (f *File) Abort() {
	if f.f != nil {
		f.f.Close()
		f.f = nil
	}
	if f.temp != "" {
		disk.Remove(f.temp)
		f.temp = ""
	}
}

// SyncTree makes path, a file or a folder of files, durable with all that is below it. Its own name is not.
func SyncTree(path string) error {
	return bare(filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return syncFolder(path)
		case d.Type().IsRegular():
			return syncFile(path)
		}
		return nil
	}))
}

// Move renames from to the name to, durably; first call SyncTree on it. Both lie on the same disk. A file at to is
// replaced.
func Move(from, to string) error {
	if err := rename(from, to); err != nil {
		return err
	}
	return syncFolderOf(to)
}

// Remove removes the file at path durably. A missing file is not an error.
func Remove(path string) error {
	if err := disk.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return bare(err)
	}
	return syncFolderOf(path)
}

// Clean removes the hidden files that interrupted writers left in dir, for names
// that match pattern (see path.Match). No such writer may be at work.
func Clean(dir, pattern string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return bare(err)
	}
	for _, e := range entries {
		match, err := path.Match("."+pattern+".*.tmp", e.Name())
		if err != nil {
			return err
		}
		if match && Left(e.Name()) {
			if err := disk.Remove(filepath.Join(dir, e.Name())); err != nil {
				return bare(err)
			}
		}
	}
	return nil
}

// CleanOf removes the hidden files that interrupted writers of the file at path left beside it. No such writer may be
// at work: its Commit would fail.
func CleanOf(path string) error {
	dir, name := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return bare(err)
	}
	for _, e := range entries {
		if rest, ok := strings.CutPrefix(e.Name(), "."+name+"."); ok && len(rest) == len(".tmp")+26 && Left(e.Name()) {
			if err := disk.Remove(dir + e.Name()); err != nil {
				return bare(err)
			}
		}
	}
	return nil
}

// CleanTree removes the hidden files that interrupted writers left in dir and in the folders below it. No writer may be
// at work.
func CleanTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && Left(d.Name()) {
			err = disk.Remove(path)
		}
		return bare(err)
	})
}

// Left reports whether name is the hidden name of a file that is being written, or that an interrupted writer left.
func Left(name string) bool { return hidden.MatchString(name) }

// hidden matches the names that Create makes.
var hidden = regexp.MustCompile(`^\..+\.[A-Z2-7]{26}\.tmp$`)

// MkdirAll makes the folder dir and the folders above it, durably. The name of a folder that exists is made durable
// too: the process that made it may have died before that.
func MkdirAll(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		if err := disk.MkdirAll(dir, 0o777); err != nil {
			return bare(err) // a file is in the way
		}
		return syncFolderOf(dir)
	}
	if above := filepath.Dir(dir); above != dir {
		if err := MkdirAll(above); err != nil {
			return err
		}
	}
	if err := disk.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return bare(err)
	}
	return syncFolderOf(dir)
}

func syncFolderOf(path string) error { return syncFolder(filepath.Dir(path)) }

func syncFolder(path string) error { return bare(disk.SyncFolder(path)) }

func syncFile(path string) error {
	f, err := disk.OpenFile(path, os.O_RDWR, 0) // Windows syncs only what may be written
	if err != nil {
		return bare(err)
	}
	return cmp.Or(bare(f.Sync()), bare(f.Close()))
}

func rename(from, to string) error { return bare(disk.Rename(from, to)) }

// bare drops the operation and the names of files.
func bare(err error) error {
	if e, ok := err.(*fs.PathError); ok {
		return e.Err
	}
	if e, ok := err.(*os.LinkError); ok {
		return e.Err
	}
	return err
}
