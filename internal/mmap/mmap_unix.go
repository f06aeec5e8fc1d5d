//go:build unix

package mmap

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapped maps the first size bytes of f, size > 0; f may be closed after.
func mapped(f *os.File, size int) (b []byte, unmap func() error, err error) {
	b, err = unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	return b, func() error { return unix.Munmap(b) }, nil
}

// Forget lets go of the memory behind bytes from to to-1 of a map, and of the rest
// of their first page: it is read from the file again if it is needed. So the map
// of a file that is read front to back, part by part, takes little memory.
func Forget(b []byte, from, to int) {
	page := os.Getpagesize()
	from, to = from/page*page, to/page*page
	if from < to {
		_ = unix.Madvise(b[from:to:to], unix.MADV_DONTNEED) // advice: without it the map is as good
	}
}
