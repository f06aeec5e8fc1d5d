//go:build unix

package disk

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestOpenStream: a pipe is read if somebody writes into it, and else is an error after a while.
func TestOpenStream(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := openStream(pipe, 50*time.Millisecond); !errors.Is(err, ErrIrregular) {
		t.Errorf("a pipe that nobody writes into: %v", err)
	}
	go func() {
		time.Sleep(50 * time.Millisecond) // later than the reader
		_ = os.WriteFile(pipe, []byte("text"), 0o666)
	}()
	f, err := OpenStream(pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); string(b) != "text" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := OpenStream(pipe + "no"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
