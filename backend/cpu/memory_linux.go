package cpu

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// adviseHugePages asks for large pages; the kernel may decline.
func adviseHugePages(mem []byte) { _ = unix.Madvise(mem, unix.MADV_HUGEPAGE) }

// available returns the bytes that programs can still allocate, or 0 if unknown.
// It is needed because Linux grants a mapping of any size and kills the program
// that fills it. A container's limit counts if it is lower; its current use is not
// subtracted, since cached files count as used.
func available() int64 {
	meminfo, _ := os.ReadFile("/proc/meminfo")
	free := parseMeminfo(string(meminfo))
	limit, _ := os.ReadFile("/sys/fs/cgroup/memory.max")
	if most, err := strconv.ParseInt(strings.TrimSpace(string(limit)), 10, 64); err == nil && most > 0 && (free == 0 || most < free) {
		return most
	}
	return free
}

// parseMeminfo adds up available memory and free swap; 0 if the text has no MemAvailable.
func parseMeminfo(text string) int64 {
	known, sum := false, int64(0)
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 || f[2] != "kB" || f[0] != "MemAvailable:" && f[0] != "SwapFree:" {
			continue
		}
		kib, err := strconv.ParseInt(f[1], 10, 50)
		if err != nil || kib < 0 {
			return 0
		}
		known = known || f[0] == "MemAvailable:"
		sum += kib << 10
	}
	if !known {
		return 0
	}
	return sum
}
