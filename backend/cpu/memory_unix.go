//go:build unix

package cpu

import "golang.org/x/sys/unix"

// allocate maps n bytes of zeroed, page-aligned memory outside Go's heap, so
// that the garbage collector neither scans nor counts it.
func allocate(n int64) (mem []byte, free func(), err error) {
	mem, err = unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, nil, err
	}
	adviseHugePages(mem)
	return mem, func() { _ = unix.Munmap(mem) }, nil
}
