package export

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/internal/disk"
)

// hiddenPrefix begins the name of the folder in which an export is written: .bdia-export-NAME beside the export NAME.
// It holds a lock, the new export, and with Options.Force the earlier one until the new one is in place. After a kill
// it stays, unlocked. The next export in the folder puts the earlier one back if there is none, and removes the rest.
const hiddenPrefix = ".bdia-export-"

// hidden is such a folder, which is locked.
type hidden struct {
	dir    string
	out    string
	unlock func()
}

// hide makes the hidden folder for an export to out, after mending what killed exports left beside it.
func hide(out string) (*hidden, error) {
	out = filepath.Clean(out)
	parent := filepath.Dir(out)
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), hiddenPrefix)
		if ok && e.IsDir() && name != filepath.Base(out) && left(filepath.Join(parent, e.Name())) {
			h, err := claim(filepath.Join(parent, name))
			if errors.Is(err, checkpoint.ErrLocked) {
				continue // it is being written
			}
			if err != nil {
				return nil, err
			}
			h.close()
		}
	}
	return claim(out)
}

// claim locks the hidden folder of an export to out, and mends what is in it.
func claim(out string) (*hidden, error) {
	h := &hidden{dir: filepath.Join(filepath.Dir(out), hiddenPrefix+filepath.Base(out)), out: out}
	var err error
	if h.unlock, err = checkpoint.Lock(h.dir); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	if exists(h.before()) && !exists(out) {
		err = disk.Rename(h.before(), out)
	}
	if err = errors.Join(err, h.empty()); err != nil {
		h.unlock()
		return nil, fmt.Errorf("export: mend what an interrupted export left: %w", err)
	}
	return h, nil
}

// path is where the new export is written, and before where the earlier one waits.
func (h *hidden) path() string   { return filepath.Join(h.dir, "new", filepath.Base(h.out)) }
func (h *hidden) before() string { return filepath.Join(h.dir, "before") }

// empty removes what is in the folder, but for the lock.
func (h *hidden) empty() error {
	return errors.Join(disk.RemoveAll(filepath.Join(h.dir, "new")), disk.RemoveAll(h.before()))
}

// close removes the folder. The earlier export stays if it could not be put back.
func (h *hidden) close() {
	var err error
	if exists(h.out) {
		err = h.empty()
	} else {
		err = disk.RemoveAll(filepath.Join(h.dir, "new"))
	}
	h.unlock()
	if err == nil && !exists(h.before()) {
		disk.RemoveAll(h.dir)
	}
}

// left reports whether dir holds nothing but what an export has in its hidden folder.
func left(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !checkpoint.Own(e.Name()) && e.Name() != "new" && e.Name() != "before"
	})
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
