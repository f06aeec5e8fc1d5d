//go:build unix

package cpu

import (
	"math"

	"golang.org/x/sys/unix"
)

// allocate maps n bytes of zeroed, page-aligned memory outside Go's heap, so
// that the garbage collector neither scans nor counts it.
func allocate(n int64) (mem []byte, free func(), err error) {
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
