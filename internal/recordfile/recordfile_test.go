package recordfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
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
	if err := errors.Join(w.Append([]byte("two\n")), w.Cut(mark), w.Append([]byte("three\n")), w.Close()); err != nil {
		t.Fatal(err)
	}
	if got := text(t, path); got != "one\nthree\n" || mark.Size != 4 {
		t.Errorf("%q after a cut to %+v", got, mark)
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
