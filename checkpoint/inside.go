package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Inside fails if one of the named files is a link out of the directory: a checkpoint stays inside and
// could not copy it. Links within the directory, and files that are gone, are none of them.
func (f *Folder) Inside(names ...string) error {
	for _, name := range names {
		if _, err := f.d.root.Stat(name); err == nil || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if info, err := f.d.root.Lstat(name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			way := "put a copy of the file in its place"
			if name == lockFile {
				way = "remove it"
			}
			return fmt.Errorf("checkpoint: %s is a link to a place outside of the folder, which a checkpoint cannot follow: %s",
				filepath.Join(f.d.path, filepath.FromSlash(name)), way)
		}
	}
	return nil
}
