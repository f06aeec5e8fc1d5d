//go:build !linux

package sysmem

// now knows nothing of this system.
func now() Memory { return Memory{} }
