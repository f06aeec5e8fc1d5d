package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTap: a tap sees every operation below its folder and none beside it, with relative paths made absolute.
func TestTap(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "run")
	t.Chdir(parent)
	var seen []string
	stop := Tap("run", func(op Op) error {
		seen = append(seen, strings.ReplaceAll(filepath.ToSlash(op.String()), filepath.ToSlash(dir), "R"))
		return nil
	})
	expect := func(want ...string) {
		t.Helper()
		if !slices.Equal(seen, want) {
			t.Errorf("seen %q, want %q", seen, want)
		}
		seen = nil
	}
	check(t, MkdirAll("run/a/b", 0o777))
	expect("mkdir R", "mkdir R/a", "mkdir R/a/b")
	check(t, MkdirAll("run/a/b", 0o777))
	check(t, Mkdir("runner", 0o777))
	expect()
	f, err := Create("run/x")
	check(t, err)
	for _, text := range []string{"ab", "cd"} {
		_, err = f.Write([]byte(text))
		check(t, err)
	}
	_, err = f.WriteAt([]byte("X"), 1)
	check(t, err)
	check(t, f.Truncate(3))
	check(t, f.Sync())
	check(t, f.Close())
	expect("open R/x", "write 2 bytes at 0 of R/x", "write 2 bytes at 2 of R/x", "write 1 bytes at 1 of R/x", "truncate R/x to 3 bytes", "sync R/x")
	check(t, Rename("run/x", "y"))
	check(t, SyncFolder("run"))
	check(t, os.WriteFile("run/a/b/c", nil, 0o666))
	check(t, RemoveAll("run/a"))
	check(t, RemoveAll("run/a"))
	check(t, Remove("y"))
	expect("rename R/x to "+filepath.ToSlash(filepath.Join(parent, "y")), "sync folder R", "remove R/a/b/c", "remove R/a/b", "remove R/a")
	root, err := OpenRoot("run")
	check(t, err)
	defer root.Close()
	check(t, root.MkdirAll("p/q", 0o777))
	f, err = root.OpenFile("p/q/f", os.O_CREATE|os.O_WRONLY, 0o666)
	check(t, err)
	check(t, f.Close())
	check(t, root.Rename("p/q/f", "g"))
	check(t, root.Link("g", "p/h"))
	check(t, root.Remove("p/h"))
	check(t, root.SyncFolder("p"))
	check(t, root.RemoveAll("p"))
	check(t, root.Remove("g"))
	expect("mkdir R/p", "mkdir R/p/q", "open R/p/q/f", "rename R/p/q/f to R/g", "link R/g to R/p/h", "remove R/p/h", "sync folder R/p", "remove R/p/q", "remove R/p", "remove R/g")
	stop()
	check(t, Mkdir("run/z", 0o777))
	expect()
	if taps.Load() != nil {
		t.Error("a tap is left")
	}
}

// TestRefused: an operation that a tap refuses does not happen, and its error is like the system's.
func TestRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := filepath.Join(dir, "old")
	check(t, os.WriteFile(old, []byte("text"), 0o666))
	f, err := OpenFile(old, os.O_RDWR, 0)
	check(t, err)
	defer f.Close()
	root, err := OpenRoot(dir)
	check(t, err)
	defer root.Close()
	defer Tap(dir, func(Op) error { return syscall.ENOSPC })()
	open := func(_ *File, err error) error { return err }
	_, written := f.Write([]byte("new!"))
	_, temp := MkdirTemp(dir, "t")
	for name, err := range map[string]error{
		"create": open(Create(old)), "write": written, "truncate": f.Truncate(0), "sync": f.Sync(),
		"remove": Remove(old), "all": RemoveAll(old), "mkdir": Mkdir(old+"2", 0o777), "mkdirall": MkdirAll(old+"2", 0o777), "temp": temp,
		"names": SyncFolder(dir), "root create": open(root.OpenFile("old", os.O_TRUNC|os.O_WRONLY, 0)), "root remove": root.Remove("old"),
		"root all": root.RemoveAll("old"), "root mkdir": root.Mkdir("m", 0o777), "root names": root.SyncFolder("."),
	} {
		if !errors.Is(err, syscall.ENOSPC) || !errors.As(err, new(*fs.PathError)) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	for name, err := range map[string]error{"rename": Rename(old, old+"2"), "root": root.Rename("old", "old2"), "link": root.Link("old", "old2")} {
		if !errors.Is(err, syscall.ENOSPC) || !errors.As(err, new(*os.LinkError)) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if b, err := os.ReadFile(old); err != nil || string(b) != "text" {
		t.Errorf("the file holds %q, error %v", b, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, error %v", entries, err)
	}
}

// TestShort: the first bytes of a short write arrive, and the next Write goes on after them.
func TestShort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "a"))
	check(t, err)
	defer f.Close()
	short := true
	defer Tap(dir, func(op Op) error {
		if short {
			return &Short{2, syscall.EIO}
		}
		if op.Offset != 2 {
			t.Errorf("offset %d, want 2", op.Offset)
		}
		return nil
	})()
	if n, err := f.Write([]byte("abcd")); n != 2 || !errors.Is(err, syscall.EIO) {
		t.Errorf("%d bytes, error %v", n, err)
	}
	short = false
	_, err = f.Write([]byte("xy"))
	check(t, err)
	if b, err := os.ReadFile(f.Name()); err != nil || string(b) != "abxy" {
		t.Errorf("the file holds %q, error %v", b, err)
	}
}

// TestAllocations: without a tap the seam allocates nothing.
func TestAllocations(t *testing.T) {
	f, err := Create(filepath.Join(t.TempDir(), "a"))
	check(t, err)
	defer f.Close()
	text := []byte("text")
	if n := testing.AllocsPerRun(10, func() {
		f.Write(text)
		f.WriteAt(text, 0)
		f.Truncate(0)
	}); n > 0 {
		t.Errorf("%g allocations", n)
	}
}

// TestMkdirAllOfLinks: a link out of a Root is no folder in it, with a tap as without.
func TestMkdirAllOfLinks(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "out")); err != nil {
		t.Skip(err)
	}
	root, err := OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	without := root.MkdirAll("out", 0o777)
	defer Tap(t.TempDir(), func(Op) error { return nil })()
	if with := root.MkdirAll("out", 0o777); without == nil || with == nil {
		t.Errorf("without a tap %v, with one %v", without, with)
	}
}
