package recordfile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/bdia-go/bdia/internal/disk"
)

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestMarks: a file goes on after a mark as if what came later had not been, and only if it begins as it did.
func TestMarks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "records")
	w, err := Open(path, Mark{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Append([]byte("one\n")), w.Sync()); err != nil {
		t.Fatal(err)
	}
	mark := w.Mark()
	if err := errors.Join(w.Append([]byte("two\n")), w.Close()); err != nil {
		t.Fatal(err)
	}
	if got := text(t, path); got != "one\ntwo\n" || mark.Size != 4 || w.Mark() != mark {
		t.Errorf("%q, at %+v", got, mark)
	}
	if w, err = Open(path, mark); err != nil || w.Mark() != mark {
		t.Fatal(err)
	}
	if err := errors.Join(w.Append([]byte("2\n")), w.Close()); err != nil || text(t, path) != "one\n2\n" {
		t.Errorf("%q, %v", text(t, path), err)
	}
	for name, content := range map[string]string{"changed": "onE\n2\n", "short": "on"} {
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, mark); !errors.Is(err, ErrMark) || text(t, path) != content {
			t.Errorf("%s: %v, and the file is %q", name, err, text(t, path))
		}
	}
	gone := filepath.Join(t.TempDir(), "gone")
	if _, err := Open(gone, mark); !errors.Is(err, ErrMark) {
		t.Error(err)
	}
	if _, err := os.Stat(gone); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was left: %v", err)
	}
}

// TestSyncFails: after a failed sync the mark stays, and the next sync writes again what the disk may have lost. What the
// system has lost too is found.
func TestSyncFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "records")
	w, err := Open(path, Mark{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Append([]byte("one\n")), w.Sync()); err != nil {
		t.Fatal(err)
	}
	mark := w.Mark()
	var fail error
	var written [][2]int64
	defer disk.Tap(dir, func(op disk.Op) error {
		if op.Kind == disk.Write {
			written = append(written, [2]int64{op.Offset, int64(len(op.Data))})
		}
		if op.Kind == disk.Sync {
			return fail
		}
		return nil
	})()
	fail = syscall.EIO
	if err := errors.Join(w.Append([]byte("two\n")), w.Append([]byte("three\n"))); err != nil {
		t.Fatal(err)
	}
	if err := w.Sync(); !errors.Is(err, syscall.EIO) || w.Mark() != mark {
		t.Errorf("%v, %+v", err, w.Mark())
	}
	fail, written = nil, nil
	if err := w.Sync(); err != nil || !slices.Equal(written, [][2]int64{{4, 10}}) || w.Mark().Size != 14 {
		t.Errorf("%v, written again: %v, %+v", err, written, w.Mark())
	}
	mark, fail = w.Mark(), syscall.EIO
	if err := errors.Join(w.Append([]byte("four\n")), w.Sync()); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("one\ntwo\nthree\n\x00\x00\x00\x00\x00"), 0o666); err != nil {
		t.Fatal(err)
	}
	fail = nil
	if err := w.Sync(); !errors.Is(err, ErrMark) || w.Mark() != mark {
		t.Errorf("%v, %+v", err, w.Mark())
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
