package mmap

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, text := range []string{"", "some bytes"} {
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		b, unmap, err := Open(path)
		if err != nil || string(b) != text {
			t.Fatalf("%q, %v; want %q", b, err, text)
		}
		if err := unmap(); err != nil {
			t.Error(err)
		}
	}
	if _, _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
	if _, _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), dir) {
		t.Errorf("no file: %v", err)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	mem, free, err := Memory(1 << 20)
	if err != nil || len(mem) != 1<<20 || mem[0] != 0 || mem[len(mem)-1] != 0 {
		t.Fatalf("%d bytes: %v", len(mem), err)
	}
	mem[len(mem)-1] = 1
	free()
	if _, _, err := Memory(1 << 62); err == nil {
		t.Error("2^62 bytes: no error")
	}
}
