//go:build unix && !linux

package cpu

func adviseHugePages([]byte) {}

// available returns 0: the free memory is not known on this system.
func available() int64 { return 0 }
