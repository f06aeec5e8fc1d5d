package train

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/checkpoint"
)

// ErrNoState is wrapped by LostStateError.
var ErrNoState = errors.New("its training state is gone")

// LostStateError is the error of a run that has weights and no state/state.json: a copy without state/, for example.
// Training would begin at step 0 and write over the weights.
type LostStateError struct {
	Dir   string // of the run
	Found string // a file of a checkpoint that is there, slash-separated, relative to Dir
}

// Error says what is there, and how the run can go on.
func (e *LostStateError) Error() string {
	return fmt.Sprintf("train: %s: %v: it has %s and no %s; put the folder state/ back, or start a new run from these weights. Nothing was changed",
		e.Dir, ErrNoState, e.Found, checkpoint.StateFile)
}

// Unwrap makes errors.Is(err, ErrNoState) true.
func (e *LostStateError) Unwrap() error { return ErrNoState }

// lost fails with a LostStateError if dir has files of a checkpoint and no state, and no older checkpoint to go on
// from. Records alone are no such files: a process that is killed before its first checkpoint leaves them, and the run
// begins anew.
func lost(dir string) error {
	if dir == "" {
		return nil
	}
	if steps, err := checkpoint.Kept(dir); err != nil || len(steps) > 0 {
		return err
	}
	return noState(dir)
}

// noState fails with a LostStateError if dir has files of a checkpoint and no state.
func noState(dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(checkpoint.StateFile))); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, pattern := range []string{"*.safetensors", "state/*.safetensors", bestDir + "/*.safetensors"} {
		found, err := fs.Glob(os.DirFS(dir), pattern)
		if err != nil {
			return fmt.Errorf("train: %s: %w", dir, err)
		}
		if len(found) > 0 {
			return &LostStateError{dir, found[0]}
		}
	}
	return nil
}
