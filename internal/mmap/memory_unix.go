//go:build unix

package mmap

import (
	"math"

	"golang.org/x/sys/unix"
)

// Memory takes n > 0 bytes of zeroed memory outside Go's heap, aligned to a page. So the garbage collector neither
// scans nor counts it, and does not let other memory grow with it. It must not be used after free.
func Memory(n int64) (mem []byte, free func(), err error) {
	if n > math.MaxInt {
		return nil, nil, unix.ENOMEM
	}
	mem, err = unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, nil, err
	}
	adviseHugePages(mem)
	return mem, func() { _ = unix.Munmap(mem) }, nil
}
