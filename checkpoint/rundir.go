package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/bdia-go/bdia/internal/disk"
)

// runDir is an open run directory with the operations that change it. os.Root
// keeps every access inside the directory, even through symbolic links.
type runDir struct {
	path string
	root disk.Root
	held bool // by a Folder, which closes it
}

func openDir(path string) (*runDir, error) {
	root, err := disk.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return &runDir{path: path, root: root}, nil
}

// close closes the directory after a transaction.
func (d *runDir) close() {
	if !d.held {
		d.root.Close()
	}
}

func (d *runDir) mkdirAll(name string) error {
	return d.root.MkdirAll(name, 0o755)
}

func (d *runDir) create(name string) (*disk.File, error) {
	return d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
}

// removeAll deletes a folder. If it does not exist, that is no error, even on a
// read-only disk.
func (d *runDir) removeAll(name string) error {
	if _, err := d.root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return d.root.RemoveAll(name)
}

// bare shortens an os error to its operation, its relative name and its cause.
func bare(err error) error {
	var le *os.LinkError
	if errors.As(err, &le) {
		return fmt.Errorf("rename to %s: %w", le.New, le.Err)
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return fmt.Errorf("%s: %w", pe.Path, pe.Err)
	}
	return err
}
