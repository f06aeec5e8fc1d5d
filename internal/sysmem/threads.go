//go:build !cgo

package sysmem

// threadAddresses is how many addresses a thread takes: Go's own are stacks in its heap.
const threadAddresses int64 = 0
