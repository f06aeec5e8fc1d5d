//go:build !unix

package mmap

import (
	"io"
	"os"
)

// mapped reads the first size bytes of f: memory maps are used on Unix only.
func mapped(f *os.File, size int) (b []byte, unmap func() error, err error) {
	b = make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, int64(size)), b); err != nil {
		return nil, nil, err
	}
	return b, func() error { return nil }, nil
}

// Forget does nothing: the file stays in memory until unmap.
func Forget([]byte, int, int) {}
