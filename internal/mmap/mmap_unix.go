//go:build unix

// Package mmap reads files through memory.
package mmap

import (
	"os"

	"golang.org/x/sys/unix"
)

// File maps the first size bytes of f, size > 0, for reading; f may be closed
// after. The bytes must not be used after unmap.
func File(f *os.File, size int) (b []byte, unmap func() error, err error) {
	b, err = unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	return b, func() error { return unix.Munmap(b) }, nil
}
