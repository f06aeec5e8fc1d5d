//go:build !unix

package mmap

import "unsafe"

// Memory takes n > 0 bytes of zeroed memory, from Go's heap, aligned to a cache line. It must not be used after free.
func Memory(n int64) (mem []byte, free func(), err error) {
	raw := make([]byte, n+64)
	skip := -uintptr(unsafe.Pointer(&raw[0])) & 63
	return raw[skip:][:n], func() {}, nil
}
