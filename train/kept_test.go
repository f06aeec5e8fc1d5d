package train_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/train"
)

// stoppedAt makes a run with older checkpoints in dir, and stops it at a checkpoint.
func stoppedAt(t *testing.T, dir string, step int, task train.Task) {
	t.Helper()
	task.Common().Loop.Keep = 2
	r, err := train.Create(t.Context(), dir, task, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r.Clock = &stopped{}
	if sum, err := r.Train(ctx, &hearer{at: step, stop: stop}); err != nil || sum.Steps != step {
		t.Fatalf("%+v, %v", sum, err)
	}
}

// TestKeptIsARun: an older checkpoint has the settings beside its weights and state. In the run's folder it is refused
// with a line that names the run. Copied elsewhere with the data, it goes on to the bits of a run that was not stopped.
func TestKeptIsARun(t *testing.T) {
	t.Parallel()
	for _, run := range tinyRuns {
		t.Run(run.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(scratch(t), "run")
			stoppedAt(t, dir, 4, run.task(t)())
			name := checkpoint.KeptName(3)
			var inRun *train.InRunError
			if _, err := train.Open(filepath.Join(dir, filepath.FromSlash(name))); !errors.As(err, &inRun) || inRun.Run != dir {
				t.Errorf("%s: error %v", name, err)
			}
			files, alone := content(t, dir), map[string]string{"./": ""}
			for file, text := range files {
				if rest, ok := strings.CutPrefix(file, name+"/"); ok && rest != "" {
					alone[rest] = text
				}
			}
			if alone["bdia.yaml"] != files["bdia.yaml"] || alone["bdia.yaml"] == "" {
				t.Errorf("the settings are %q", alone["bdia.yaml"])
			}
			copied := filepath.Join(scratch(t), "copy")
			if err := lay(copied, alone); err != nil {
				t.Fatal(err)
			}
			if _, data := files["data/"]; data {
				if _, err := train.Open(copied); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "without its data") {
					t.Errorf("without data: error %v", err)
				}
			}
			for file, text := range files {
				if strings.HasPrefix(file, "data/") {
					alone[file] = text
				}
			}
			if err := lay(copied, alone); err != nil {
				t.Fatal(err)
			}
			for _, place := range []string{dir, copied} {
				from, err := goOn(place, nil, nobody)
				if want := map[string]int{dir: 4, copied: 3}[place]; err != nil || from != want {
					t.Fatalf("%s goes on from step %d, not %d: %v", place, from, want, err)
				}
			}
			if d := difference(numbers(content(t, copied)), numbers(content(t, dir))); d != "" && !strings.HasPrefix(d, checkpoint.KeptDir) {
				t.Error(d)
			}
		})
	}
}

// TestKeptAndEdited: a run goes back to its older checkpoint, also if files there were edited. Its settings and what
// was edited in its own folder stay as they are: here it was made longer since that checkpoint. A file that is gone
// comes back.
func TestKeptAndEdited(t *testing.T) {
	t.Parallel()
	for _, lost := range []string{"model.safetensors", checkpoint.ManifestFile} {
		t.Run(lost, func(t *testing.T) {
			t.Parallel()
			const card = "README.md"
			dir := filepath.Join(scratch(t), "run")
			run := tinyRuns[2]
			stoppedAt(t, dir, 4, run.task(t)())
			kept := filepath.Join(dir, filepath.FromSlash(checkpoint.KeptName(3)))
			edit := func(text string, at ...string) {
				t.Helper()
				if err := os.WriteFile(filepath.Join(at...), []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			// What the checkpoint of step 3 had, and one file more that people edit.
			m, err := checkpoint.ReadManifest(kept)
			if err != nil {
				t.Fatal(err)
			}
			editable := slices.DeleteFunc(m.Names(), func(name string) bool { return !checkpoint.Editable(name) })
			if !slices.Contains(editable, "config.json") || !slices.Contains(editable, "bdia.yaml") {
				t.Fatalf("%s has %v", kept, editable)
			}
			r, err := train.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			longer := r.Task.(train.Synthetic).Clone()
			longer.Common().Schedule.Steps = 8
			if err := r.Reconfigure(longer); err != nil {
				t.Fatal(err)
			}
			r.Close()
			edit("# mine", dir, card)
			was := content(t, dir)
			if was["bdia.yaml"] == was[checkpoint.KeptName(3)+"/bdia.yaml"] {
				t.Fatal("the settings did not change")
			}
			for _, name := range editable { // in the older checkpoint
				edit("edited", kept, filepath.FromSlash(name))
			}
			edit("", dir, lost) // damaged
			if err := os.Remove(filepath.Join(kept, "config.json")); err != nil {
				t.Fatal(err)
			}
			notes, err := train.Mend(dir)
			if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "goes on from the checkpoint of step 3") {
				t.Fatalf("%v, notes %q", err, notes)
			}
			is := content(t, dir)
			for _, name := range append(editable, card) {
				if is[name] != was[name] {
					t.Errorf("%s is now %q", name, is[name])
				}
			}
			if from, err := goOn(dir, nil, nobody); err != nil || from != 3 {
				t.Errorf("goes on from step %d, %v", from, err)
			}
			if st, err := checkpoint.ReadState(filepath.Join(dir, filepath.FromSlash(checkpoint.StateFile))); err != nil || st.Step != 8 {
				t.Errorf("ends at step %d, %v", st.Step, err)
			}
		})
	}
}

// TestRunIsWholeAtEveryInstant: once a file of a checkpoint is in a run's folder, it is there at every operation of the
// run, for other software that reads the folder meanwhile.
func TestRunIsWholeAtEveryInstant(t *testing.T) {
	t.Parallel()
	place := scratch(t)
	dir := filepath.Join(place, "run")
	task := tinyRuns[0].task(t)()
	task.Common().Loop.Keep = 2
	var one sync.Mutex
	seen, n := map[string]bool{}, 0
	defer disk.Tap(place, func(disk.Op) error {
		one.Lock()
		defer one.Unlock()
		n++
		for _, pattern := range []string{"*.json", "*.safetensors", "state/*.json", "state/*.safetensors"} {
			found, err := fs.Glob(os.DirFS(dir), pattern)
			if err != nil {
				t.Error(err)
			}
			for _, name := range found {
				seen[name] = true
			}
		}
		for name := range seen {
			if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
				t.Errorf("operation %d: %v", n, err)
			}
		}
		return nil
	})()
	if _, err := goOn(dir, func() train.Task { return task }, nobody); err != nil {
		t.Fatal(err)
	}
	if !seen["model.safetensors"] || !seen[checkpoint.StateFile] || n < 200 {
		t.Errorf("%d operations, %v", n, seen)
	}
}
