package sysmem

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"
)

// machine has 8 GiB free, and a process of 10 MiB in it.
var machine = map[string]string{
	"proc/meminfo":     "MemTotal: 16777216 kB\nMemAvailable:    8388608 kB\nSwapFree:              0 kB\n",
	"proc/self/status": "Name:\tbdia\nVmSize:\t 1048576 kB\nRssAnon:\t   10240 kB\nRssFile:\t   9216 kB\nRssShmem:\t       0 kB\nVmData:\t 20480 kB\nThreads:\t 4096\n",
}

const (
	mib = 1 << 20
	gib = 1 << 30
	v2  = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	v1  = "36 32 0:31 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n33 32 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
)

func TestRead(t *testing.T) {
	t.Parallel()
	const fromMachine = "MemAvailable in /proc/meminfo"
	unlimited := fmt.Sprint(int64(math.MaxInt64) &^ 4095)
	for name, c := range map[string]struct {
		files map[string]string
		free  int64
		from  string
	}{
		"machine":    {nil, 8 * gib, fromMachine},
		"swap":       {map[string]string{"proc/meminfo": "MemAvailable: 1024 kB\nSwapFree: 1024 kB\n"}, 2 * mib, fromMachine},
		"old kernel": {map[string]string{"proc/meminfo": "MemTotal: 9 kB\nSwapFree: 2 kB\n"}, 0, ""},
		"nonsense": {map[string]string{"proc/meminfo": "MemAvailable: many kB\n", "proc/self/cgroup": "0\n:\n::\n0::/a\n", "proc/self/mountinfo": "x - y\n - \n"},
			0, ""},
		"v2, a unit": {map[string]string{"proc/self/cgroup": "0::/user.slice/job.scope\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/user.slice/job.scope/memory.max": "104857600\n", "sys/fs/cgroup/user.slice/job.scope/memory.current": "20971520\n",
			"sys/fs/cgroup/user.slice/job.scope/memory.stat": "anon 1\ninactive_file 4194304\nactive_file 1048576\nslab_reclaimable 0\n",
			"sys/fs/cgroup/user.slice/memory.max":            "max\n"},
			85 * mib, "/sys/fs/cgroup/user.slice/job.scope/memory.max"},
		"v2, the slice above has less": {map[string]string{"proc/self/cgroup": "0::/a/b/c\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/a/b/c/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.max": "104857600\n",
			"sys/fs/cgroup/a/memory.max": "104857600\n", "sys/fs/cgroup/a/memory.current": "94371840\n"},
			10 * mib, "/sys/fs/cgroup/a/memory.max"},
		"v2, a container with a name space": {map[string]string{"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/memory.max": "1048576\n"}, mib, "/sys/fs/cgroup/memory.max"},
		"v2, nothing left": {map[string]string{"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/memory.max": "1048576\n", "sys/fs/cgroup/memory.current": "2097152\n"}, 1, "/sys/fs/cgroup/memory.max"},
		"v2, more than the machine has": {map[string]string{"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/memory.max": fmt.Sprint(int64(64 * gib))}, 8 * gib, fromMachine},
		"v1, a unit": {map[string]string{"proc/self/cgroup": "9:name=systemd:/job\n4:memory:/job\n3:cpu,cpuacct:/job\n0::/job\n", "proc/self/mountinfo": v1,
			"sys/fs/cgroup/memory/memory.limit_in_bytes": unlimited, "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "157286400\n",
			"sys/fs/cgroup/memory/job/memory.usage_in_bytes": "52428800\n",
			"sys/fs/cgroup/memory/job/memory.stat":           "cache 9\ninactive_file 1\ntotal_inactive_file 31457280\ntotal_active_file 0\nhierarchical_memory_limit 157286400\n"},
			130 * mib, "/sys/fs/cgroup/memory/job/memory.limit_in_bytes"},
		"v1, a limit that is out of sight": {map[string]string{"proc/self/cgroup": "4:memory:/docker/ab\n",
			"proc/self/mountinfo":                        "36 32 0:31 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": unlimited, "sys/fs/cgroup/memory/memory.stat": "hierarchical_memory_limit 1048576\n"},
			mib, "/sys/fs/cgroup/memory/memory.stat"},
		"v1, no limit": {map[string]string{"proc/self/cgroup": "4:memory:/\n", "proc/self/mountinfo": v1,
			"sys/fs/cgroup/memory/memory.limit_in_bytes": unlimited}, 8 * gib, fromMachine},
		"v1, a container that sees another tree": {map[string]string{"proc/self/cgroup": "4:memory:/elsewhere\n",
			"proc/self/mountinfo":                        "36 32 0:31 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "2097152"}, 2 * mib, "/sys/fs/cgroup/memory/memory.limit_in_bytes"},
		"both, and version 1 has the memory": {map[string]string{"proc/self/cgroup": "4:memory:/a\n0::/a\n", "proc/self/mountinfo": v1 + v2,
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "3145728"}, 3 * mib, "/sys/fs/cgroup/memory/a/memory.limit_in_bytes"},
		"a name with a space": {map[string]string{"proc/self/cgroup": "0::/a b\n", "proc/self/mountinfo": `30 23 0:26 / /sys/fs/c\040g rw - cgroup2 x rw`,
			"sys/fs/c g/a b/memory.max": "1048576"}, mib, "/sys/fs/c g/a b/memory.max"},
	} {
		files := maps.Clone(machine)
		maps.Copy(files, c.files)
		m := read(tree(files), func(int) uint64 { return math.MaxUint64 })
		if m.Free != c.free || m.From != c.from || m.Own != 10*mib {
			t.Errorf("%s: %d bytes by %q, %d taken; want %d by %q", name, m.Free, m.From, m.Own, c.free, c.from)
		}
	}
}

func TestResourceLimits(t *testing.T) {
	t.Parallel()
	young := maps.Clone(machine) // a process that has yet to start its threads
	young["proc/self/status"] = strings.Replace(young["proc/self/status"], "4096", "1", 1)
	threads := threadAddresses * int64(runtime.GOMAXPROCS(0)+runtimeThreads-1)
	for _, c := range []struct {
		resource int
		limit    uint64
		files    map[string]string
		want     int64
	}{
		{unix.RLIMIT_AS, 4 * gib, machine, 3*gib - heapGrowth},
		{unix.RLIMIT_AS, 4 * gib, young, max(1, 3*gib-heapGrowth-threads)},
		{unix.RLIMIT_AS, LeastAddresses - 1, machine, 1},
		{unix.RLIMIT_DATA, 2 * gib, machine, 2*gib - 20*mib},
	} {
		m := read(tree(c.files), func(r int) uint64 {
			if r == c.resource {
				return c.limit
			}
			return unix.RLIM_INFINITY
		})
		if m.Free != c.want || m.From == "" {
			t.Errorf("limit %d of %d bytes: %d bytes by %q, want %d", c.resource, c.limit, m.Free, m.From, c.want)
		}
	}
}

func TestNow(t *testing.T) {
	t.Parallel()
	m := Now()
	if m.Free == 0 {
		t.Skip("this system does not tell")
	}
	if m.Own <= 0 || m.From == "" || m.Left(m.Own+5) < 5 || m.Left(1) != 0 {
		t.Errorf("%+v", m)
	}
}

func tree(files map[string]string) fstest.MapFS {
	f := fstest.MapFS{}
	for name, text := range files {
		f[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return f
}
