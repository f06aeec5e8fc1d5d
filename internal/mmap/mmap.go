// Package mmap maps files into memory for reading, and takes memory outside Go's heap.
package mmap

import (
	"errors"
	"fmt"
	"io/fs"
	"math"

	"github.com/bdia-go/bdia/internal/disk"
)

// Open maps the whole of the regular file at path for reading; an empty file
// gives no bytes. The bytes must not be used after unmap. Errors do not name the
// path, since callers do.
func Open(path string) (b []byte, unmap func() error, err error) {
	f, err := disk.OpenRegular(path)
	if err != nil {
		return nil, nil, bare(err)
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, nil, bare(err)
	case !st.Mode().IsRegular():
		return nil, nil, errors.New("not a regular file")
	case st.Size() > math.MaxInt:
		return nil, nil, fmt.Errorf("%d bytes are too many for this system", st.Size())
	case st.Size() == 0: // an empty file cannot be mapped
		return nil, func() error { return nil }, nil
	}
	if b, unmap, err = mapped(f, int(st.Size())); err != nil {
		return nil, nil, fmt.Errorf("map %d bytes: %w", st.Size(), bare(err))
	}
	return b, unmap, nil
}

// bare drops the operation and path from an error, since callers name them.
func bare(err error) error {
	if pe, ok := err.(*fs.PathError); ok {
		return pe.Err
	}
	return err
}
