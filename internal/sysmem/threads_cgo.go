//go:build cgo

package sysmem

// threadAddresses is how many addresses a thread takes: of a C library, a stack of 8 MiB and 64 MiB for its memory.
const threadAddresses int64 = 72 << 20
