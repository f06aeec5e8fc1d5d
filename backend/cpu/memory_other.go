//go:build unix && !linux

package cpu

func adviseHugePages([]byte) {}

// available returns 0: how much memory is free is not known here.
func available() int64 { return 0 }
