package sysmem

import (
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"
)

// group is a control group with the process in it, or one above.
type group struct {
	version int
	dir     string // without the first slash
}

// noLimit is about what version 1 has for no limit: the largest number of whole pages.
const noLimit = math.MaxInt64 - 1<<20

// groups lists the control groups that limit the process's memory, with all above them. A container sees only its own.
func groups(root fs.FS) (all []group) {
	mounts := strings.Split(text(root, "proc/self/mountinfo"), "\n")
	for line := range strings.Lines(text(root, "proc/self/cgroup")) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, at, ok := strings.Cut(rest, ":")
		version := 1
		switch {
		case !ok:
			continue
		case id == "0" && controllers == "":
			version = 2
		case !slices.Contains(strings.Split(controllers, ","), "memory"):
			continue
		}
		for _, mount := range mounts {
			if g, most, ok := mountOf(mount, version, at); ok {
				for dir := g; ; dir = path.Dir(dir) {
					all = append(all, group{version, strings.TrimPrefix(dir, "/")})
					if dir == most || dir == "/" {
						break
					}
				}
				break
			}
		}
	}
	return all
}

// mountOf reads a line of mountinfo: the folder of the group at in a mounted tree of groups, and the folder at its top.
func mountOf(line string, version int, at string) (dir, top string, ok bool) {
	before, after, ok := strings.Cut(line, " - ")
	f, kind := strings.Fields(before), strings.Fields(after)
	if !ok || len(f) < 5 || len(kind) < 3 {
		return "", "", false
	}
	switch version {
	case 1:
		ok = kind[0] == "cgroup" && slices.Contains(strings.Split(kind[2], ","), "memory")
	default:
		ok = kind[0] == "cgroup2"
	}
	if !ok {
		return "", "", false
	}
	above, top := unescaped(f[3]), path.Clean(unescaped(f[4]))
	inside := path.Clean("/" + at)
	switch {
	case above == "/":
	case inside == above || strings.HasPrefix(inside, above+"/"):
		inside = strings.TrimPrefix(inside, above)
	default: // the process is beside what is mounted, as in a container: the top is what it can see
		inside = "/"
	}
	return path.Join(top, inside), top, true
}

// unescaped undoes mountinfo's escapes of spaces and the like.
func unescaped(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// limitV2 takes the limit of a group of version 2. Its cached files do not count as used: the kernel drops them. Swap
// is not counted on.
func (g group) limitV2(m *Memory, root fs.FS) {
	most, ok := number(text(root, g.file("memory.max")))
	if !ok {
		return
	}
	used, _ := number(text(root, g.file("memory.current")))
	m.limit(most-g.held(root, used, "inactive_file", "active_file", "slab_reclaimable"), "/"+g.file("memory.max"))
}

// limitV1 takes the limit of a group of version 1, and the least one of the groups above it: the process may not see
// them.
func (g group) limitV1(m *Memory, root fs.FS) {
	name := "memory.limit_in_bytes"
	most, ok := number(text(root, g.file(name)))
	if above, known := number(table(text(root, g.file("memory.stat")))["hierarchical_memory_limit"]); known && (!ok || above < most) {
		most, ok, name = above, true, "memory.stat"
	}
	if !ok || most >= noLimit {
		return
	}
	used, _ := number(text(root, g.file("memory.usage_in_bytes")))
	m.limit(most-g.held(root, used, "total_inactive_file", "total_active_file"), "/"+g.file(name))
}

// held is how much of used bytes the group does not give back when it is short of memory. dropped name what it does.
func (g group) held(root fs.FS, used int64, dropped ...string) int64 {
	stat := table(text(root, g.file("memory.stat")))
	for _, name := range dropped {
		n, _ := number(stat[name])
		used -= n
	}
	return max(0, used)
}

// file is the path of a file of the group.
func (g group) file(name string) string { return path.Join(g.dir, name) }
