package text

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/internal/traintest"
	"github.com/bdia-go/bdia/train"
)

// TestLostState: a run with weights and without a state does not begin again at step 0 over them, whatever part of it
// is gone, and nothing in it changes.
func TestLostState(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	cfg.Data.Path = traintest.TextFile(t, traintest.Text(3000))
	done := create(t, cfg)
	traintest.Trained(t, done, traintest.Listener{})
	for name, lose := range map[string][]string{
		"all of state/":        {"state"},
		"state.json":           {"state/state.json"},
		"state/ and weights":   {"state", "model.safetensors"},
		"all but the moments":  {"state/state.json", "model.safetensors", "best"},
		"all but config, best": {"state", "model.safetensors", "metrics.jsonl"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "run")
			if err := os.CopyFS(dir, os.DirFS(done.Dir)); err != nil {
				t.Fatal(err)
			}
			for _, gone := range lose {
				if err := os.RemoveAll(filepath.Join(dir, gone)); err != nil {
					t.Fatal(err)
				}
			}
			before := listing(t, dir)
			r := traintest.Open(t, dir)
			_, err := r.Train(context.Background(), nil)
			for what, err := range map[string]error{"Train": err, "Reconfigure": r.Reconfigure(New(*settings(r)))} {
				if !errors.Is(err, train.ErrNoState) {
					t.Errorf("%s: error %v is not train.ErrNoState", what, err)
				}
				traintest.OneLine(t, err, dir, "state/state.json", "start a new run")
			}
			if after := listing(t, dir); after != before {
				t.Errorf("the refused run has changed:\n%s\nbefore\n%s", after, before)
			}
		})
	}
}

// TestKilledBeforeTheFirstCheckpoint: records and figures alone are no checkpoint, and the run begins again.
func TestKilledBeforeTheFirstCheckpoint(t *testing.T) {
	t.Parallel()
	cfg := tinyConfig()
	cfg.Data.Path = traintest.TextFile(t, traintest.Text(3000))
	want := create(t, cfg)
	traintest.Trained(t, want, traintest.Listener{})
	r := create(t, cfg)
	first := traintest.Read(t, filepath.Join(r.Dir, checkpoint.ManifestFile))
	traintest.Trained(t, r, traintest.Listener{})
	if err := os.WriteFile(filepath.Join(r.Dir, checkpoint.ManifestFile), []byte(first), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"state", "model.safetensors", "best"} {
		if err := os.RemoveAll(filepath.Join(r.Dir, gone)); err != nil {
			t.Fatal(err)
		}
	}
	traintest.Trained(t, traintest.Open(t, r.Dir), traintest.Listener{})
	traintest.SameFiles(t, r.Dir, want.Dir)
}
