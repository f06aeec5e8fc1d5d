package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/bdia-go/bdia/internal/disk"
)

// names lists the files of a folder.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	if b, err := os.ReadFile(path); err != nil || string(b) != want {
		t.Errorf("%s holds %q, error %v, want %q", path, b, err, want)
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.json")
	for _, text := range []string{"first", "", "second"} {
		check(t, Write(path, []byte(text)))
		holds(t, path, text)
	}
	plain := filepath.Join(dir, "plain")
	check(t, os.WriteFile(plain, nil, 0o666))
	want, err := os.Stat(plain)
	check(t, err)
	if got, err := os.Stat(path); err != nil || got.Mode() != want.Mode() {
		t.Errorf("mode %v, error %v, other new files have %v", got.Mode(), err, want.Mode())
	}
	if got := names(t, dir); !slices.Equal(got, []string{"a.json", "plain"}) {
		t.Errorf("files %q", got)
	}
}

func TestWriteInTheWorkingFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	check(t, Write("a", []byte("text")))
	holds(t, "a", "text")
}

// TestOldUntilCommit: nothing changes at the path before Commit, and Abort leaves no
// trace before it and does no harm after it.
func TestOldUntilCommit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	check(t, Write(path, []byte("old")))
	for _, commit := range []bool{false, true} {
		f, err := Create(path)
		check(t, err)
		other, err := Create(path) // two writers do not meet
		check(t, err)
		for _, text := range []string{"HEAD", "new ", "text"} {
			if n, err := f.Write([]byte(text)); n != len(text) || err != nil {
				t.Fatalf("%d bytes, error %v", n, err)
			}
		}
		check(t, f.Close())
		check(t, f.Close())
		if _, err := f.Write([]byte("x")); err == nil {
			t.Error("a write after Close is no error")
		}
		if n, err := f.WriteAt([]byte("head"), 0); n != 4 || err != nil {
			t.Fatalf("%d bytes, error %v", n, err)
		}
		holds(t, path, "old")
		if commit {
			check(t, f.Commit())
		}
		f.Abort()
		other.Abort()
		if got := names(t, dir); !slices.Equal(got, []string{"a"}) {
			t.Errorf("files %q", got)
		}
	}
	holds(t, path, "headnew text")
}

// TestFailures: the old content stays, nothing is left over, and the error is the
// cause without names of files.
func TestFailures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	check(t, os.MkdirAll(filepath.Join(dir, "folder", "full"), 0o777))
	for name, err := range map[string]error{
		"absent folder":              Write(filepath.Join(dir, "absent", "a"), nil),
		"a folder in the way":        Write(filepath.Join(dir, "folder"), nil),
		"nothing to sync":            SyncTree(filepath.Join(dir, "absent")),
		"nothing to move":            Move(filepath.Join(dir, "absent"), filepath.Join(dir, "b")),
		"move over a folder":         Move(dir, filepath.Join(dir, "folder")),
		"remove a folder that lasts": Remove(filepath.Join(dir, "folder")),
		"clean an absent folder":     Clean(filepath.Join(dir, "absent"), "*"),
	} {
		if err == nil || strings.Contains(err.Error(), filepath.Base(dir)) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if err := Write(filepath.Join(dir, "absent", "a"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v is not fs.ErrNotExist", err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"folder"}) {
		t.Errorf("files %q", got)
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "[odd") // no pattern itself
	check(t, os.Mkdir(dir, 0o777))
	for _, name := range []string{"a.x", "b.x", "b.y"} {
		f, err := Create(filepath.Join(dir, name))
		check(t, err)
		check(t, f.Close()) // and the program dies
	}
	keep := []string{".b.x.tmp", "a.x", "b.x", "b.x.1.tmp"}
	for _, name := range keep {
		check(t, os.WriteFile(filepath.Join(dir, name), nil, 0o666))
	}
	check(t, Clean(dir, "[ab].x"))
	got := names(t, dir)
	if i := slices.IndexFunc(got, func(s string) bool { return strings.HasPrefix(s, ".b.y.") }); i < 0 {
		t.Errorf("files %q: one of another pattern is gone", got)
	} else if got = slices.Delete(got, i, i+1); !slices.Equal(got, keep) {
		t.Errorf("files %q, want %q", got, keep)
	}
	if err := Clean(dir, "["); err == nil {
		t.Error("a bad pattern is no error")
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a")
	check(t, Write(path, nil))
	check(t, Remove(path))
	check(t, Remove(path))
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestMove(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	check(t, os.MkdirAll(in("new/sub"), 0o777))
	check(t, os.WriteFile(in("new/sub/a"), []byte("deep"), 0o666))
	check(t, os.WriteFile(in("alone"), []byte("alone"), 0o666))
	check(t, os.WriteFile(in("old"), []byte("old"), 0o666))
	check(t, Move(in("new"), in("there")))
	check(t, Move(in("alone"), in("old")))
	holds(t, in("there/sub/a"), "deep")
	holds(t, in("old"), "alone")
	if got := names(t, dir); !slices.Equal(got, []string{"old", "there"}) {
		t.Errorf("files %q", got)
	}
}

// TestSyncs: content is synced under the old name, the folder after the rename. A
// failed sync of content keeps the old file; a file system that cannot sync folders
// does not matter.
func TestSyncs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	check(t, Write(path, []byte("old")))
	var synced []string
	stop := disk.Tap(dir, func(op disk.Op) error {
		switch op.Kind {
		case disk.Sync:
			name := "file"
			if b, err := os.ReadFile(path); err == nil {
				name += " beside " + string(b)
			}
			synced = append(synced, name)
		case disk.Names:
			synced = append(synced, "folder of "+strings.Join(names(t, op.Path), " "))
			return syscall.EINVAL
		}
		return nil
	})
	expect := func(want ...string) {
		t.Helper()
		if !slices.Equal(synced, want) {
			t.Errorf("synced %q, want %q", synced, want)
		}
		synced = nil
	}
	check(t, Write(path, []byte("new")))
	expect("file beside old", "folder of a")
	f, err := Create(path)
	check(t, err)
	check(t, f.Close())
	expect("file beside new")
	_, err = f.WriteAt([]byte("at"), 0)
	check(t, err)
	check(t, f.Commit())
	expect("file beside new", "folder of a")
	check(t, Remove(path))
	expect("folder of ")
	check(t, MkdirAll(path))
	expect("folder of a")
	check(t, MkdirAll(path))
	expect("folder of a")
	check(t, os.WriteFile(filepath.Join(path, "x"), nil, 0o666))
	check(t, SyncTree(path))
	check(t, Move(path, filepath.Join(dir, "b")))
	expect("folder of x", "file", "folder of b")
	check(t, MkdirAll(filepath.Join(path, "c", "d")))
	expect("folder of a b", "folder of c", "folder of d")
	check(t, os.RemoveAll(path))
	stop()
	defer disk.Tap(dir, func(op disk.Op) error {
		if op.Kind == disk.Sync {
			return syscall.EIO
		}
		return nil
	})()
	if err := Write(path, []byte("newer")); err != syscall.EIO {
		t.Errorf("error %v", err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"b"}) {
		t.Errorf("files %q", got)
	}
}
