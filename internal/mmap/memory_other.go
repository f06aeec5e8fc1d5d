//go:build unix && !linux

package mmap

func adviseHugePages([]byte) {}
