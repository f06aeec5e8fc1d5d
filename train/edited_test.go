package train_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/train"
)

// TestEditedSettings: a run tells what was edited in its settings since it wrote them, and does not go on with other
// settings than can change. Nor does it let them pass when it is given further settings.
func TestEditedSettings(t *testing.T) {
	t.Parallel()
	done := filepath.Join(scratch(t), "run")
	stoppedAt(t, done, 4, tinyRuns[0].task(t)())
	for name, tc := range map[string]struct {
		from, to string
		copies   bool
		setting  string // of the error; empty: the run goes on, and says text
		text     string
	}{
		"rate":                  {"\n  lr: 0.01", "\n  lr: 0.02", true, "", "bdia.yaml was edited, and is used as it is: schedule.lr is 0.02 and was 0.01."},
		"space":                 {"\n  seed: 7", "\n  seed:  7", true, "", "its settings are the same."},
		"rate without a copy":   {"\n  lr: 0.01", "\n  lr: 0.02", false, "", "No checkpoint tells what it said before."},
		"seed":                  {"\n  seed: 7", "\n  seed: 8", true, "loop.seed", ""},
		"seed without a copy":   {"\n  seed: 7", "\n  seed: 8", false, "loop.seed", ""},
		"heads":                 {"\n  heads: 2", "\n  heads: 1", true, "model.heads", ""},
		"heads without a copy":  {"\n  heads: 2", "\n  heads: 1", false, "n_head of config.json", ""},
		"gelu without a copy":   {"\n  gelu: tanh", "\n  gelu: erf", false, "activation_function of config.json", ""},
		"biases without a copy": {"\n  no_bias: false", "\n  no_bias: true", false, "bdia_no_bias of config.json", ""},
		"epsilon of the norms":  {"\n  eps: 0.0", "\n  eps: 1e-06", true, "model.eps", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(scratch(t), "run")
			if err := os.CopyFS(dir, os.DirFS(done)); err != nil {
				t.Fatal(err)
			}
			if !tc.copies {
				if err := os.RemoveAll(filepath.Join(dir, checkpoint.KeptDir)); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, "bdia.yaml")
			text, err := os.ReadFile(path)
			if err != nil || strings.Count(string(text), tc.from+"\n") != 1 {
				t.Fatalf("%v\n%s", err, text)
			}
			if err := os.WriteFile(path, []byte(strings.Replace(string(text), tc.from+"\n", tc.to+"\n", 1)), 0o666); err != nil {
				t.Fatal(err)
			}
			for _, further := range []bool{false, true} {
				r, err := train.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				if further {
					to := r.Task.(train.Synthetic).Clone()
					to.Common().Loop.Patience = 9
					err = r.Reconfigure(to)
				}
				h := &hearer{}
				if err == nil {
					_, err = r.Train(t.Context(), h)
				}
				var change *train.ChangeError
				if tc.setting == "" {
					if err != nil || !strings.Contains(strings.Join(h.texts, "\n"), tc.text) {
						t.Errorf("%v: %q", err, h.texts)
					}
					break
				}
				if !errors.As(err, &change) || change.Setting != tc.setting {
					t.Errorf("error %v", err)
				}
				if _, err := r.Replay(t.Context(), 4, nil); tc.copies && !errors.As(err, &change) {
					t.Errorf("replay: error %v", err)
				}
			}
		})
	}
}

// TestEditIsAChange: gamma, grid, batch and betas that are edited by hand have the bits of the same settings given to
// Reconfigure, from the step at which the run goes on.
func TestEditIsAChange(t *testing.T) {
	t.Parallel()
	done := filepath.Join(scratch(t), "run")
	stoppedAt(t, done, 4, tinyRuns[0].task(t)())
	for setting, edit := range map[string]func(c *train.Common){
		"gamma": func(c *train.Common) { c.Method.Gamma = 0.25 },
		"grid":  func(c *train.Common) { c.Method.Grid = 10 },
		"batch": func(c *train.Common) { c.Loop.Batch = 2 * c.Loop.Batch },
		"beta2": func(c *train.Common) { c.Optimizer.Beta2 = 0.9 },
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			given, byHand := filepath.Join(scratch(t), "run"), filepath.Join(scratch(t), "run")
			for _, dir := range []string{given, byHand} {
				if err := os.CopyFS(dir, os.DirFS(done)); err != nil {
					t.Fatal(err)
				}
			}
			r, err := train.Open(given)
			if err != nil {
				t.Fatal(err)
			}
			to := r.Task.(train.Synthetic).Clone()
			edit(to.Common())
			if err := r.Reconfigure(to); err != nil {
				t.Fatal(err)
			}
			r.Close()
			text, err := os.ReadFile(filepath.Join(given, "bdia.yaml"))
			if err == nil {
				err = os.WriteFile(filepath.Join(byHand, "bdia.yaml"), text, 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
			var weights [3]string
			for i, dir := range []string{done, given, byHand} {
				if dir == done {
					dir = filepath.Join(scratch(t), "run")
					if err := os.CopyFS(dir, os.DirFS(done)); err != nil {
						t.Fatal(err)
					}
				}
				r, err := train.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				h := &hearer{}
				if _, err := r.Train(t.Context(), h); err != nil {
					t.Fatal(err)
				}
				r.Close()
				if told := strings.Contains(strings.Join(h.texts, "\n"), setting+" is"); told != (i == 2) {
					t.Errorf("%d: told %v: %q", i, told, h.texts)
				}
				b, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
				if err != nil {
					t.Fatal(err)
				}
				weights[i] = string(b)
			}
			if weights[1] != weights[2] || weights[0] == weights[1] {
				t.Errorf("by hand as given: %v, and other than before: %v", weights[1] == weights[2], weights[0] != weights[1])
			}
		})
	}
}

// TestAveragesBegin: averages of weights cannot begin later, and the error says so.
func TestAveragesBegin(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "run")
	stoppedAt(t, dir, 4, tinyRuns[1].task(t)())
	r, err := train.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Common().Loop.EMA > 0 {
		t.Fatal("the run has averages")
	}
	r.Common().Loop.EMA = 0.9
	var state *train.StateError
	if _, err := r.Train(t.Context(), nil); !errors.As(err, &state) || !strings.Contains(err.Error(), "cannot begin later") || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// TestManifestRemoved: a run of this version without its manifest is not said to be of an earlier one.
func TestManifestRemoved(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "run")
	stoppedAt(t, dir, 4, tinyRuns[0].task(t)())
	if err := os.Remove(filepath.Join(dir, checkpoint.ManifestFile)); err != nil {
		t.Fatal(err)
	}
	r, err := train.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	h := &hearer{}
	if _, err := r.Train(t.Context(), h); err != nil || !h.hears(checkpoint.ManifestFile) || strings.Contains(strings.Join(h.texts, "\n"), "earlier version") {
		t.Errorf("%v: %q", err, h.texts)
	}
}

// TestShutFile: a file that this process may not open ends training, and no older checkpoint takes its place.
func TestShutFile(t *testing.T) {
	t.Parallel()
	if os.Getuid() <= 0 { // who may open everything, and Windows
		return
	}
	dir := filepath.Join(scratch(t), "run")
	stoppedAt(t, dir, 4, tinyRuns[0].task(t)())
	for _, name := range []string{"model.safetensors", checkpoint.StateFile, checkpoint.ManifestFile, "bdia.yaml"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		_, err := goOn(dir, nil, nobody)
		if !errors.Is(err, fs.ErrPermission) || errors.Is(err, checkpoint.ErrDamaged) || strings.Contains(err.Error(), "edited") {
			t.Errorf("%s: error %v", name, err)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		if st, err := checkpoint.ReadState(filepath.Join(dir, filepath.FromSlash(checkpoint.StateFile))); err != nil || st.Step != 4 {
			t.Errorf("%s: the run is at step %d, error %v", name, st.Step, err)
		}
	}
}

// TestWhole: a run does not go back to a checkpoint with a damaged manifest. One without a manifest is of an earlier
// version.
func TestWhole(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(scratch(t), "run")
	stoppedAt(t, dir, 4, tinyRuns[0].task(t)())
	r, err := train.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Whole(); err != nil {
		t.Error(err)
	}
	path := filepath.Join(dir, checkpoint.ManifestFile)
	if err := os.WriteFile(path, []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := r.Whole(); !errors.Is(err, checkpoint.ErrDamaged) {
		t.Errorf("a damaged manifest: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := r.Whole(); err != nil {
		t.Errorf("no manifest: %v", err)
	}
}
