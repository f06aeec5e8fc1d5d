package mmap

import "golang.org/x/sys/unix"

// adviseHugePages asks for large pages; the kernel may decline.
func adviseHugePages(mem []byte) { _ = unix.Madvise(mem, unix.MADV_HUGEPAGE) }
