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
	locked := false
	tokenizers := slices.Concat(hub.TokenizerFiles(), []string{convert.GenerationFile, convert.OriginFile})
	ok := only(dir, func(name string, folder bool) bool {
		path := filepath.Join(dir, name)
		switch {
		case checkpoint.Own(name):
			locked = true
			return true
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
	return ok && locked
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
