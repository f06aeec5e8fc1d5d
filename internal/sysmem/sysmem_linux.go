package sysmem

import (
	"io/fs"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// now asks the kernel.
func now() Memory {
	return read(os.DirFS("/"), func(resource int) uint64 {
		var r unix.Rlimit
		if unix.Getrlimit(resource, &r) != nil {
			return math.MaxUint64
		}
		return r.Cur
	})
}

// read tells the memory of the process by the files below root, Linux's /proc and /sys, and by its resource limits. It
// is needed because Linux grants a mapping of any size and kills the program that fills it.
func read(root fs.FS, rlimit func(resource int) uint64) Memory {
	var m Memory
	status := table(text(root, "proc/self/status"))
	m.Own = kib(status["RssAnon"]) + kib(status["RssShmem"])
	meminfo := table(text(root, "proc/meminfo"))
	if free := kib(meminfo["MemAvailable"]); free > 0 { // else it is an old kernel
		m.limit(free+kib(meminfo["SwapFree"]), "MemAvailable in /proc/meminfo")
	}
	for _, g := range groups(root) {
		if g.version == 1 {
			g.limitV1(&m, root)
		} else {
			g.limitV2(&m, root)
		}
	}
	for _, r := range []struct {
		resource int
		used     string // in status
		name     string
	}{
		{unix.RLIMIT_AS, "VmSize", "the limit of virtual memory (ulimit -v)"},
		{unix.RLIMIT_DATA, "VmData", "the limit of data (ulimit -d)"},
	} {
		most := rlimit(r.resource)
		if most >= math.MaxInt64 {
			continue
		}
		free := int64(most) - kib(status[r.used])
		if r.resource == unix.RLIMIT_AS {
			threads, _ := strconv.Atoi(status["Threads"])
			free -= heapGrowth + threadAddresses*int64(max(0, runtime.GOMAXPROCS(0)+runtimeThreads-threads))
			if most < LeastAddresses {
				free = 0
			}
		}
		m.limit(free, r.name)
	}
	return m
}

// What Go takes of the addresses of a process beside memory.
const (
	heapGrowth     = 128 << 20 // asked for at once when the heap grows, as its pieces of 64 MiB are aligned
	runtimeThreads = 12        // beside the ones that compute: of a slow disk, many wait at a time
)

// Addresses returns the limit of the process's virtual memory (ulimit -v) if it is below LeastAddresses, and else 0.
func Addresses() uint64 {
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_AS, &r) != nil || r.Cur >= LeastAddresses {
		return 0
	}
	return r.Cur
}

// text is the contents of a file; empty if it cannot be read.
func text(root fs.FS, name string) string {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return string(b)
}

// table reads lines such as "SwapFree: 2 kB" and "inactive_file 8192".
func table(text string) map[string]string {
	t := map[string]string{}
	for line := range strings.Lines(text) {
		if at := strings.IndexAny(line, " \t"); at >= 0 {
			t[strings.TrimSuffix(line[:at], ":")] = strings.TrimSpace(line[at:])
		}
	}
	return t
}

// kib is the bytes of a value such as "2 kB"; 0 of another.
func kib(value string) int64 {
	number, ok := strings.CutSuffix(value, " kB")
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 50)
	if !ok || err != nil || n < 0 {
		return 0
	}
	return n << 10
}

// number is the value of a file or a table's entry; false for "max" and for what is no number.
func number(value string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	return n, err == nil && n >= 0
}
