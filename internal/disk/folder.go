package disk

import (
	"cmp"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// Rename is os.Rename.
func Rename(from, to string) error {
	if err := before(Op{Kind: Move, Path: from, To: to}); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return os.Rename(from, to)
}

// Remove is os.Remove.
func Remove(path string) error {
	if err := before(Op{Kind: Delete, Path: path}); err != nil {
		return named("remove", path, err)
	}
	return os.Remove(path)
}

// RemoveAll is os.RemoveAll.
func RemoveAll(path string) error {
	if !tapped() {
		return os.RemoveAll(path)
	}
	return removeAll(path, os.Lstat, os.ReadDir, Remove)
}

// removeAll removes path and what is below it, each with an operation of its own.
func removeAll(path string, stat func(string) (fs.FileInfo, error), list func(string) ([]fs.DirEntry, error), remove func(string) error) error {
	info, err := stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.IsDir() {
		var entries []fs.DirEntry
		if entries, err = list(path); err == nil {
			for _, e := range entries {
				err = cmp.Or(err, removeAll(filepath.Join(path, e.Name()), stat, list, remove))
			}
		}
	}
	if err != nil {
		return err
	}
	return remove(path)
}

// Mkdir is os.Mkdir.
func Mkdir(path string, perm fs.FileMode) error {
	if err := before(Op{Kind: Folder, Path: path}); err != nil {
		return named("mkdir", path, err)
	}
	return os.Mkdir(path, perm)
}

// MkdirAll is os.MkdirAll.
func MkdirAll(path string, perm fs.FileMode) error {
	if !tapped() {
		return os.MkdirAll(path, perm)
	}
	return mkdirAll(path, os.Stat, func(path string) error { return Mkdir(path, perm) })
}

// mkdirAll makes path and the missing folders above it, each with an operation of its own.
func mkdirAll(path string, stat func(string) (fs.FileInfo, error), mkdir func(string) error) error {
	info, err := stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return &os.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
	}
	if above := filepath.Dir(path); above != path {
		if err := mkdirAll(above, stat, mkdir); err != nil {
			return err
		}
	}
	err = mkdir(path)
	if errors.Is(err, fs.ErrExist) { // made meanwhile, or a link to where it may not be
		if info, err := stat(path); err == nil && info.IsDir() {
			return nil
		}
	}
	return err
}

// MkdirTemp makes a new folder in dir with a name that begins with prefix, as os.MkdirTemp does. An empty dir is the
// system's folder for temporary files.
func MkdirTemp(dir, prefix string) (string, error) {
	path := filepath.Join(cmp.Or(dir, os.TempDir()), prefix+rand.Text())
	return path, Mkdir(path, 0o700)
}

// SyncFolder makes the names in a folder durable, where the system can do so: Windows and some network file systems
// cannot, nor can a process that may not read the folder.
func SyncFolder(path string) error {
	return syncFolder(path, func() (*os.File, error) { return os.Open(path) })
}

func syncFolder(path string, open func() (*os.File, error)) error {
	err := before(Op{Kind: Names, Path: path})
	if err == nil && runtime.GOOS != "windows" {
		f, oerr := open()
		if errors.Is(oerr, fs.ErrPermission) {
			return nil
		}
		if oerr != nil {
			return oerr
		}
		defer f.Close()
		err = f.Sync()
	}
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return named("sync", path, err)
}
