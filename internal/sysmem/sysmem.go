// Package sysmem tells how much memory a process may still take, so that a program can refuse work for which the
// kernel would kill it.
package sysmem

// Memory is what a process may still take, and what it has.
type Memory struct {
	// Free is how many bytes the process may take yet: the least that any limit leaves. It is 0 if the system does not
	// tell.
	Free int64
	// From names the limit, for example /sys/fs/cgroup/job.slice/memory.max.
	From string
	// Own is how many bytes of memory the process has taken already, without files that it has mapped.
	Own int64
}

// LeastAddresses is the least limit of virtual memory, in bytes, with which Go's runtime works: it reserves 1.1 GiB of
// addresses before a program begins, and does not notice if the half of them is refused. The rest is for its threads.
const LeastAddresses = 7 << 28

// Now returns the memory of this process.
func Now() Memory { return now() }

// Left returns what of need bytes a process is still to take.
func (m Memory) Left(need int64) int64 { return max(0, need-m.Own) }

// limit takes a limit into account: what it leaves, and its name.
func (m *Memory) limit(free int64, from string) {
	free = max(free, 1) // 0 stands for a system that does not tell
	if m.Free == 0 || free < m.Free {
		m.Free, m.From = free, from
	}
}
