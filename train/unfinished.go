package train

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/atomicfile"
	"github.com/bdia-go/bdia/internal/disk"
)

// Unfinished reports whether dir is the folder of a run that Create was interrupted in: it was locked for a run, has no
// settings, and nothing but what Create writes before them. Create begins there again, and removes it first.
func Unfinished(dir string) bool {
	locked, _, known := leftovers(dir)
	return known && locked
}

// leftovers looks through dir: whether it was locked for a run, whether it has other files, and whether Create may have
// written all of them before the settings.
func leftovers(dir string) (locked, some, known bool) {
	tokenizers := slices.Concat(hub.TokenizerFiles(), []string{convert.GenerationFile, convert.OriginFile})
	known = only(dir, func(name string, folder bool) bool {
		path := filepath.Join(dir, name)
		if checkpoint.Own(name) {
			locked = true
			return true
		}
		some = true
		switch {
		case !folder:
			return atomicfile.Left(name) || slices.Contains(tokenizers, name)
		case name == "source" || name == "target":
			return only(path, func(name string, folder bool) bool {
				return !folder && (atomicfile.Left(name) || slices.Contains(tokenizers, name))
			})
		case name == "data":
			return only(path, func(name string, folder bool) bool {
				ending := filepath.Ext(name)
				return !folder && (atomicfile.Left(name) || ending == ".tokens" || ending == ".pairs")
			})
		}
		return false
	})
	return locked, some, known
}

// strange fails if dir has files that look like the ones of an interrupted Create and belong to somebody else, since no
// run was begun there: a tokenizer, for example. Create would remove them.
func strange(dir string) error {
	if locked, some, known := leftovers(dir); some && known && !locked {
		return fmt.Errorf("train: %s is not empty, and its files belong to no run; choose another folder", dir)
	}
	return nil
}

// only reports whether known holds for all entries of dir.
func only(dir string, known func(name string, folder bool) bool) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !e.IsDir() && !e.Type().IsRegular() || !known(e.Name(), e.IsDir())
	})
}

// ClearUnfinished removes what an interrupted Create left in dir, which is locked, if it is Unfinished.
func ClearUnfinished(dir string) error {
	if !Unfinished(dir) {
		return nil
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if !checkpoint.Own(e.Name()) {
			err = cmp.Or(err, disk.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// clean removes the files that interrupted writers left in dir, the folder of a run that is locked, and below it.
func clean(dir string) error {
	if err := atomicfile.CleanTree(dir); err != nil {
		return fmt.Errorf("train: remove what an interrupted process left in %s: %w", dir, err)
	}
	return nil
}
