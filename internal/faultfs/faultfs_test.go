package faultfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/bdia-go/bdia/internal/atomicfile"
	"github.com/bdia-go/bdia/internal/disk"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree shows the files and folders below dir in one line, for example "a=text b/".
func tree(t *testing.T, dir string) string {
	t.Helper()
	var list []string
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if name = filepath.ToSlash(name); d.IsDir() {
			list = append(list, name+"/")
			return nil
		}
		b, err := os.ReadFile(path)
		list = append(list, name+"="+string(b))
		return err
	}))
	slices.Sort(list)
	return strings.Join(list, " ")
}

// recorded does what do does in a folder in which the file a holds "old", and returns the recording and the folder.
func recorded(t *testing.T, do func(dir string) error) (*Recording, string) {
	t.Helper()
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "a"), []byte("old"), 0o666))
	r, err := Record(dir)
	check(t, err)
	check(t, do(dir))
	r.Stop()
	return r, dir
}

// after returns the tree that a cut after n operations leaves.
func after(t *testing.T, r *Recording, n int, rule Rule) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "cut")
	check(t, r.Replay(n, rule, to))
	return tree(t, to)
}

// write writes text to a new file, with or without a sync.
func write(path, text string, sync bool) error {
	f, err := disk.Create(path)
	if err != nil {
		return err
	}
	if _, err = f.Write([]byte(text)); err == nil && sync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// TestReplace holds every rule against ways to replace the file a: what is left of a at the worst moment, and at the
// end.
func TestReplace(t *testing.T) {
	t.Parallel()
	replace := func(syncFile, syncFolder bool) func(dir string) error {
		return func(dir string) error {
			temp, a := filepath.Join(dir, "t"), filepath.Join(dir, "a")
			if err := errors.Join(write(temp, "new", syncFile), disk.Rename(temp, a)); err != nil || !syncFolder {
				return err
			}
			return disk.SyncFolder(dir)
		}
	}
	inPlace := func(dir string) error { return write(filepath.Join(dir, "a"), "new", true) }
	atomic := func(dir string) error { return atomicfile.Write(filepath.Join(dir, "a"), []byte("new")) }
	for _, c := range []struct {
		name    string
		do      func(dir string) error
		broken  []Rule // under which a is neither old nor new after some cut
		forgets []Rule // under which a is not new after all operations
	}{
		{"no sync", replace(false, false), []Rule{Ordered}, []Rule{Strict, Ordered}},
		{"the folder only", replace(false, true), []Rule{Strict, Ordered}, []Rule{Strict, Ordered}},
		{"the file only", replace(true, false), nil, []Rule{Strict}},
		{"both", replace(true, true), nil, nil},
		{"atomicfile", atomic, nil, nil},
		{"in place", inPlace, []Rule{Ordered, Ext4, Killed, Torn}, nil},
	} {
		r, dir := recorded(t, c.do)
		for _, rule := range Rules {
			broken := false
			for n := range r.Len() + 1 {
				to := filepath.Join(t.TempDir(), "cut")
				check(t, r.Replay(n, rule, to))
				b, err := os.ReadFile(filepath.Join(to, "a"))
				if broken = broken || err != nil || string(b) != "old" && string(b) != "new"; n == r.Len() {
					if forgets := string(b) != "new"; forgets != slices.Contains(c.forgets, rule) {
						t.Errorf("%s, %v: a is %q at the end", c.name, rule, b)
					}
				}
			}
			if broken != slices.Contains(c.broken, rule) {
				t.Errorf("%s, %v: a breaks at some cut: %v", c.name, rule, broken)
			}
		}
		if got, want := after(t, r, r.Len(), Killed), tree(t, dir); got != want {
			t.Errorf("%s: the replay ends with %q, the disk with %q", c.name, got, want)
		}
	}
}

// TestRules holds every rule against single operations.
func TestRules(t *testing.T) {
	t.Parallel()
	in := func(dir, name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		name string
		do   func(dir string) error
		want map[Rule]string
	}{
		{"a new file", func(dir string) error { return write(in(dir, "b"), "text", false) },
			map[Rule]string{Strict: "a=old", Ordered: "a=old b=", Ext4: "a=old b=", Killed: "a=old b=text", Torn: "a=old b=te"}},
		{"a new file, synced", func(dir string) error { return write(in(dir, "b"), "text", true) },
			map[Rule]string{Strict: "a=old", Ordered: "a=old b=text", Ext4: "a=old b=text", Killed: "a=old b=text", Torn: "a=old b=text"}},
		{"a folder whose name is not synced", func(dir string) error {
			return errors.Join(disk.Mkdir(in(dir, "f"), 0o777), write(in(dir, "f/b"), "text", true), disk.SyncFolder(in(dir, "f")))
		}, map[Rule]string{Strict: "a=old", Ordered: "a=old f/ f/b=text", Torn: "a=old f/ f/b=text"}},
		{"a rename of which the target is synced", func(dir string) error {
			return errors.Join(disk.Mkdir(in(dir, "f"), 0o777), disk.SyncFolder(dir), disk.Rename(in(dir, "a"), in(dir, "f/a")), disk.SyncFolder(in(dir, "f")))
		}, map[Rule]string{Strict: "a=old f/ f/a=old", Ordered: "f/ f/a=old", Ext4: "f/ f/a=old", Killed: "f/ f/a=old"}},
		{"bytes over others, and behind them", func(dir string) error {
			f, err := disk.OpenFile(in(dir, "a"), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte("LDER"), 1)
			return errors.Join(err, f.Close())
		}, map[Rule]string{Strict: "a=old", Ordered: "a=old", Ext4: "a=oLD", Killed: "a=oLDER", Torn: "a=oLD"}},
		{"a size that is cut", func(dir string) error {
			f, err := disk.OpenFile(in(dir, "a"), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			return errors.Join(f.Truncate(2), f.Close())
		}, map[Rule]string{Strict: "a=old", Ordered: "a=ol", Ext4: "a=ol", Killed: "a=ol"}},
		{"a file that is removed", func(dir string) error { return disk.Remove(in(dir, "a")) },
			map[Rule]string{Strict: "a=old", Ordered: "", Ext4: "", Killed: ""}},
		{"an open file that gets another name", func(dir string) error {
			f, err := disk.Create(in(dir, "b"))
			if err != nil {
				return err
			}
			if err = disk.Rename(in(dir, "b"), in(dir, "c")); err == nil {
				_, err = f.Write([]byte("text"))
			}
			return errors.Join(err, f.Close())
		}, map[Rule]string{Strict: "a=old", Ordered: "a=old c=", Killed: "a=old c=text"}},
		{"operations that fail", func(dir string) error {
			disk.Mkdir(in(dir, "a"), 0o777)
			disk.Remove(in(dir, "x"))
			disk.Rename(in(dir, "x"), in(dir, "a"))
			disk.OpenFile(in(dir, "x"), os.O_WRONLY, 0)
			disk.OpenFile(in(dir, "a"), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_TRUNC, 0)
			disk.Mkdir(in(dir, "x/y"), 0o777)
			return nil
		}, map[Rule]string{Strict: "a=old", Ordered: "a=old", Ext4: "a=old", Killed: "a=old"}},
		{"a tree that is removed", func(dir string) error {
			return errors.Join(disk.MkdirAll(in(dir, "f/g"), 0o777), write(in(dir, "f/g/b"), "", true), disk.RemoveAll(in(dir, "f")))
		}, map[Rule]string{Ordered: "a=old", Killed: "a=old"}},
		{"a second name, and a new file in the place of the first", func(dir string) error {
			root, err := disk.OpenRoot(dir)
			if err != nil {
				return err
			}
			defer root.Close()
			return errors.Join(root.Mkdir("f", 0o777), disk.SyncFolder(dir), root.Link("a", "f/a"), disk.SyncFolder(in(dir, "f")),
				write(in(dir, "b"), "new", true), root.Rename("b", "a"))
		}, map[Rule]string{Strict: "a=old f/ f/a=old", Ordered: "a=new f/ f/a=old", Ext4: "a=new f/ f/a=old", Killed: "a=new f/ f/a=old"}},
		{"a second name that is not synced, and a write to the file", func(dir string) error {
			root, err := disk.OpenRoot(dir)
			if err != nil {
				return err
			}
			defer root.Close()
			f, err := root.OpenFile("a", os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte("OLD"), 0)
			return errors.Join(err, root.Link("a", "b"))
		}, map[Rule]string{Strict: "a=old", Ordered: "a=old b=old", Ext4: "a=OLD b=OLD", Killed: "a=OLD b=OLD"}},
		{"a rename to another name of the same file", func(dir string) error {
			root, err := disk.OpenRoot(dir)
			if err != nil {
				return err
			}
			defer root.Close()
			return errors.Join(root.Link("a", "b"), root.Rename("a", "b"), root.Remove("a"))
		}, map[Rule]string{Strict: "a=old", Ordered: "b=old", Killed: "b=old"}},
		{"a file from outside", func(dir string) error {
			out := filepath.Join(filepath.Dir(dir), filepath.Base(dir)+"-beside") // not below dir
			return errors.Join(write(out, "", true), disk.Rename(out, in(dir, "b")))
		}, map[Rule]string{Ordered: "a=old b=", Killed: "a=old b="}},
	} {
		r, dir := recorded(t, c.do)
		for rule, want := range c.want {
			if got := after(t, r, r.Len(), rule); got != want {
				t.Errorf("%s, %v: %q, want %q", c.name, rule, got, want)
			}
		}
		if got := tree(t, dir); got != after(t, r, r.Len(), Killed) {
			t.Errorf("%s: the replay ends with %q, the disk with %q", c.name, after(t, r, r.Len(), Killed), got)
		}
	}
}

// TestSome: under Some every mixture of what was not synced is left by some seed, nothing else is, and a seed always
// leaves the same.
func TestSome(t *testing.T) {
	t.Parallel()
	in := func(dir, name string) string { return filepath.Join(dir, name) }
	root := func(dir string, do func(disk.Root) error) error {
		r, err := disk.OpenRoot(dir)
		if err != nil {
			return err
		}
		defer r.Close()
		return do(r)
	}
	half := strings.Repeat("x", sector)
	for _, c := range []struct {
		name string
		do   func(dir string) error
		want []string
	}{
		{"a file that is replaced as it should be", func(dir string) error {
			return errors.Join(write(in(dir, "b"), "new", true), disk.Rename(in(dir, "b"), in(dir, "a")), disk.SyncFolder(dir))
		}, []string{"a=new"}},
		{"a rename", func(dir string) error { return disk.Rename(in(dir, "a"), in(dir, "b")) }, []string{"a=old", "a=old b=old", "b=old"}},
		{"a rename into a folder", func(dir string) error {
			return errors.Join(disk.Mkdir(in(dir, "f"), 0o777), disk.SyncFolder(dir), disk.Rename(in(dir, "a"), in(dir, "f/a")))
		}, []string{"a=old f/", "a=old f/ f/a=old", "f/ f/a=old"}},
		{"two names", func(dir string) error {
			return root(dir, func(r disk.Root) error { return errors.Join(r.Link("a", "b"), r.Link("a", "c")) })
		}, []string{"a=old", "a=old b=old", "a=old c=old", "a=old b=old c=old"}},
		{"a new file", func(dir string) error { return write(in(dir, "b"), "t", false) }, []string{"a=old", "a=old b=", "a=old b=\x00", "a=old b=t"}},
		{"two sectors", func(dir string) error {
			return errors.Join(disk.Remove(in(dir, "a")), write(in(dir, "b"), "", true), disk.SyncFolder(dir), write(in(dir, "b"), half+"y", false))
		}, []string{"b=", "b=" + half + "y", "b=" + half + "\x00", "b=" + strings.Repeat("\x00", sector) + "y", "b=" + strings.Repeat("\x00", sector+1)}},
		{"a size that is cut, and a name that comes and goes", func(dir string) error {
			f, err := disk.OpenFile(in(dir, "a"), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			return errors.Join(f.Truncate(1), f.Close(), disk.Mkdir(in(dir, "f"), 0o777), disk.Remove(in(dir, "f")))
		}, []string{"a=old", "a=o", "a=old f/", "a=o f/"}},
	} {
		r, _ := recorded(t, c.do)
		seen := map[string]bool{}
		for seed := range 200 {
			is := after(t, r, r.Len(), Some(seed))
			if again := after(t, r, r.Len(), Some(seed)); again != is {
				t.Errorf("%s: seed %d leaves %q, then %q", c.name, seed, is, again)
			}
			if seen[is] = true; !slices.Contains(c.want, is) {
				t.Errorf("%s: seed %d leaves %q", c.name, seed, is)
			}
		}
		for _, want := range c.want {
			if !seen[want] {
				t.Errorf("%s: no seed leaves %q", c.name, want)
			}
		}
	}
}

// TestInject lets each operation fail, in each way.
func TestInject(t *testing.T) {
	t.Parallel()
	do := func(dir string) (errs []error) {
		for _, name := range []string{"a", "b"} { // open, write, sync each
			errs = append(errs, write(filepath.Join(dir, name), "text", true))
		}
		return errs
	}
	count := Inject(t.TempDir(), Fault{At: -1})
	do(t.TempDir())
	if count.Stop(); count.Count() != 0 {
		t.Errorf("%d operations in another folder", count.Count())
	}
	for _, c := range []struct {
		fault Fault
		want  string // the errors and what is there
		hit   string
	}{
		{Fault{At: -1}, "ok ok a=text b=text", ""},
		{Fault{At: 6}, "ok ok a=text b=text", ""},
		{Fault{At: 0, Err: syscall.EACCES}, "error ok b=text", "open"},
		{Fault{At: 1, Err: syscall.ENOSPC}, "error ok a= b=text", "write"},
		{Fault{At: 1, Err: syscall.ENOSPC, Short: true}, "error ok a=te b=text", "write"},
		{Fault{At: 1, Err: syscall.EIO, Lasting: true}, "error error a=", "write"},
		{Fault{At: 5, Err: syscall.EIO, Short: true}, "ok error a=text b=text", "sync"},
	} {
		dir := t.TempDir()
		x := Inject(dir, c.fault)
		errs := do(dir)
		x.Stop()
		got := ""
		for _, err := range errs {
			if err == nil {
				got += "ok "
				continue
			}
			if got += "error "; !errors.Is(err, c.fault.Err) {
				t.Errorf("%+v: error %v", c.fault, err)
			}
		}
		hit := ""
		if op := x.Hit(); op != nil {
			hit = op.Kind.String()
		}
		if got += tree(t, dir); got != c.want || hit != c.hit {
			t.Errorf("%+v: %q at %q, want %q at %q", c.fault, got, hit, c.want, c.hit)
		}
	}
}

// Example cuts the power while a file is replaced.
func Example() {
	dir, _ := os.MkdirTemp("", "run-")
	defer os.RemoveAll(dir)
	recording, err := Record(dir)
	if err != nil {
		panic(err)
	}
	atomicfile.Write(filepath.Join(dir, "a"), []byte("text"))
	recording.Stop()
	for n := range recording.Len() + 1 {
		to := filepath.Join(dir, fmt.Sprint(n))
		if err := recording.Replay(n, Strict, to); err != nil {
			panic(err)
		}
		b, _ := os.ReadFile(filepath.Join(to, "a"))
		fmt.Printf("%d %q\n", n, b)
	}
	// Output:
	// 0 ""
	// 1 ""
	// 2 ""
	// 3 ""
	// 4 ""
	// 5 "text"
}
