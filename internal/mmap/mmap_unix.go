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

// Forget releases the memory of bytes from..to-1 of a map and of the rest of their
// first page; if needed again, they are read from the file again. So reading a
// file front to back, forgetting each part after use, takes little memory.
func Forget(b []byte, from, to int) {
	page := os.Getpagesize()
	from, to = from/page*page, to/page*page
	if from < to {
		_ = unix.Madvise(b[from:to:to], unix.MADV_DONTNEED) // only advice: an error does not matter
	}
}
