//go:build unix

package disk

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestOpenRegular: a pipe is refused at once, by path and in a Root, through a link too. Files and folders open.
func TestOpenRegular(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	check(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o666))
	check(t, os.Symlink("pipe", filepath.Join(dir, "link")))
	check(t, os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o666))
	root, err := OpenRoot(dir)
	check(t, err)
	defer root.Close()
	for name, refused := range map[string]bool{"pipe": true, "link": true, "file": false, ".": false} {
		for _, open := range []func() (*os.File, error){
			func() (*os.File, error) { return OpenRegular(filepath.Join(dir, name)) },
			func() (*os.File, error) { return root.Open(name) },
		} {
			f, err := open()
			if errors.Is(err, ErrIrregular) != refused || !refused && err != nil {
				t.Errorf("%s: error %v", name, err)
			}
			f.Close()
		}
	}
	if text, err := root.ReadFile("file"); err != nil || string(text) != "text" {
		t.Errorf("%q, error %v", text, err)
	}
}
