//go:build !unix

package cpu

import "unsafe"

// allocate takes n bytes from Go's heap, aligned to a cache line.
func allocate(n int64) (mem []byte, free func(), err error) {
	raw := make([]byte, n+64)
	skip := -uintptr(unsafe.Pointer(&raw[0])) & 63
	return raw[skip:][:n], func() {}, nil
}

// available returns 0: the free memory is not known on this system.
func available() int64 { return 0 }
