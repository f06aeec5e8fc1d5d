package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/internal/atomicfile"
	"github.com/bdia-go/bdia/internal/disk"
)

// output is a file that a command writes. A new one grows as lines come. One that exists and holds something stays as
// it is until the new content is whole.
type output struct {
	path  string
	whole *atomicfile.File // nil: it grows
	grows *disk.File
}

// createOutput begins to write the file at path, or the one that a symbolic link there leads to.
func createOutput(path string) (*output, error) {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		full, err := filepath.EvalSymlinks(path)
		if err != nil {
			return nil, err
		}
		if f, err := disk.OpenFile(full, os.O_WRONLY, 0); err != nil { // it must not be replaced if it may not be written
			return nil, err
		} else if err := f.Close(); err != nil {
			return nil, err
		}
		_ = atomicfile.CleanOf(full) // if it cannot, that does not hinder the new file
		f, err := atomicfile.Create(full)
		if !errors.Is(err, fs.ErrPermission) { // a folder that takes no new files
			return &output{path: path, whole: f}, pathError(path, err)
		}
	}
	f, err := disk.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	return &output{path: path, grows: f}, err
}

// Write writes on.
func (o *output) Write(b []byte) (int, error) {
	if o.whole != nil {
		n, err := o.whole.Write(b)
		return n, pathError(o.path, err)
	}
	return o.grows.Write(b)
}

// close ends the file after work that came to err. What replaces a file does so only if err is nil.
func (o *output) close(err error) error {
	switch {
	case o.whole == nil:
		return o.grows.Close()
	case err != nil:
		o.whole.Abort()
		return nil
	}
	defer o.whole.Abort()
	return pathError(o.path, o.whole.Commit())
}

// pathError names the file of an error.
func pathError(path string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: "write", Path: path, Err: err}
}
