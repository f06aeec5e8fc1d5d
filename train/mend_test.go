package train

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/checkpoint"
)

// TestMendFromCopies: a damaged or missing file of the latest checkpoint comes back from a checkpoint that has the same
// bytes, and the run loses no step. Without a copy it goes back to the older checkpoint.
func TestMendFromCopies(t *testing.T) {
	t.Parallel()
	o := ownOptions()
	o.Loop.Keep = 2
	done := filepath.Join(t.TempDir(), "run")
	finish(t, start(t, done, o))
	flip := func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 1; return b }
	gone := func([]byte) []byte { return nil }
	for name, tc := range map[string]struct {
		file   string
		damage func([]byte) []byte
		copies bool // best/ has it
		step   int
		note   string
	}{
		"weights that best/ has":     {WeightsFile, flip, true, 8, "has other bytes than were written. best/" + WeightsFile + " is a copy"},
		"no weights":                 {WeightsFile, gone, true, 8, "is missing. best/" + WeightsFile},
		"weights without a copy":     {WeightsFile, flip, false, 6, "goes on from the checkpoint of step 6"},
		"moments, which best/ lacks": {optimizerFile, flip, true, 6, "goes on from the checkpoint of step 6"},
		"no state":                   {"state/state.json", gone, true, 6, WeightsFile + " and no state/state.json. The run goes on from the checkpoint of step 6"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "run")
			if err := os.CopyFS(dir, os.DirFS(done)); err != nil {
				t.Fatal(err)
			}
			sound, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(tc.file)))
			if err != nil {
				t.Fatal(err)
			}
			if !tc.copies {
				if err := os.RemoveAll(filepath.Join(dir, bestDir)); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, filepath.FromSlash(tc.file))
			if damaged := tc.damage(sound); damaged == nil {
				err = os.Remove(path)
			} else {
				err = os.WriteFile(path, damaged, 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
			r := start(t, dir, o)
			begin(t, r)
			if notes := strings.Join(r.held.fixed, "\n"); r.State.Step != tc.step || !strings.Contains(notes, tc.note) {
				t.Errorf("step %d: %s", r.State.Step, notes)
			}
			if is, err := os.ReadFile(path); err != nil || bytes.Equal(is, sound) != (tc.step == 8) {
				t.Errorf("the file is as it was: %v, %v", bytes.Equal(is, sound), err)
			}
		})
	}
}

// begin holds the folder of r until the test ends.
func begin(t *testing.T, r *Run) {
	t.Helper()
	end, err := r.begin()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
}

// TestRenamedKept: an older checkpoint in a folder that was renamed is a way out, as what it is.
func TestRenamedKept(t *testing.T) {
	t.Parallel()
	o := ownOptions()
	o.Loop.Keep = 2
	dir := filepath.Join(t.TempDir(), "run")
	finish(t, start(t, dir, o))
	if err := os.Rename(filepath.Join(dir, "checkpoints", "step-6"), filepath.Join(dir, "checkpoints", "step-7")); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "state", "state.json"), 0); err != nil {
		t.Fatal(err)
	}
	r := start(t, dir, o)
	begin(t, r)
	if notes := strings.Join(r.held.fixed, "\n"); r.State.Step != 6 || !strings.Contains(notes, "from the checkpoint of step 6") {
		t.Errorf("step %d: %s", r.State.Step, notes)
	}
}

// TestMovedIsNotIntact: after its folder was moved, a run does not say of the old place that the checkpoint there is
// intact.
func TestMovedIsNotIntact(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("an open folder cannot be moved")
	}
	dir := filepath.Join(t.TempDir(), "run")
	_, err := start(t, dir, ownOptions()).Train(t.Context(), onStep{step: func(step int) {
		if step == 5 {
			if err := os.Rename(dir, dir+"-moved"); err != nil {
				t.Error(err)
			}
		}
	}})
	var moved *checkpoint.MovedError
	if !errors.As(err, &moved) || !moved.Saved || strings.Contains(err.Error(), "is intact") {
		t.Errorf("%v", err)
	}
}

// TestMissingSettings: a file that people edit and that is gone is not said to be edited and used.
func TestMissingSettings(t *testing.T) {
	t.Parallel()
	dir, o := filepath.Join(t.TempDir(), "run"), ownOptions()
	finish(t, start(t, dir, o))
	m, err := checkpoint.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	const name = "generation_config.json"
	if m.Files[name], err = checkpoint.SumOf(strings.NewReader("{}")); err != nil {
		t.Fatal(err)
	}
	r := start(t, dir, o)
	begin(t, r)
	r.held.notes = nil
	if err := r.edited(m, name); err != nil || len(r.held.notes) != 1 || strings.Contains(r.held.notes[0], "edited") || !strings.Contains(r.held.notes[0], "is missing") {
		t.Errorf("%v, notes %q", err, r.held.notes)
	}
}

// TestDamagedDataEndTheRun: a run whose data are found damaged does no further step, and does not wait for the next
// checkpoint to say so.
func TestDamagedDataEndTheRun(t *testing.T) {
	t.Parallel()
	dir, o := filepath.Join(t.TempDir(), "run"), ownOptions()
	o.Loop.EvalEvery, o.Loop.SaveEvery = 0, 4
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := start(t, dir, o).Train(ctx, cancelling{cancel: cancel, at: 4}); err != nil {
		t.Fatal(err)
	}
	r, last := start(t, dir, o), 0
	_, err := r.Train(t.Context(), onStep{step: func(step int) {
		if last = step; step == 5 {
			r.held.ended = make(chan error, 1)
			r.held.ended <- &checkpoint.DamagedError{Dir: dir, File: "data/text-00000.tokens", Reason: "has other bytes than were written"}
		}
	}})
	if !errors.Is(err, checkpoint.ErrDamaged) || last != 5 || !strings.Contains(err.Error(), "the checkpoint of step 4") {
		t.Errorf("step %d: %v", last, err)
	}
}
