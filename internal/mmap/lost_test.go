//go:build unix

package mmap

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestLost: a mapped file that is cut is an error, and other panics stay what they are.
func TestLost(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	b, unmap, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer unmap()
	read := func(i int) (x byte, err error) {
		defer Lost(Reading(), &err)
		return b[i], nil
	}
	if _, err := read(1 << 19); err != nil {
		t.Errorf("a whole file: %v", err)
	}
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := read(1 << 19); !errors.Is(err, ErrLost) {
		t.Errorf("a file that was cut: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("an index outside is no panic any more")
		}
	}()
	_, _ = read(1 << 30)
}
