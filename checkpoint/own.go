package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/bdia-go/bdia/internal/disk"
)

// Own reports whether name, of an entry of a run directory, belongs to this package: its lock, or the files of an
// interrupted transaction.
func Own(name string) bool {
	return name == lockFile || strings.HasPrefix(name, lockFile+"-") || name == pendingDir || name == journalFile
}

// RemoveLock removes the file of a lock that was given back from dir, which holds something complete by now. A missing
// file is not an error.
func RemoveLock(dir string) error {
	err := disk.Remove(filepath.Join(dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = disk.SyncFolder(dir)
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}
