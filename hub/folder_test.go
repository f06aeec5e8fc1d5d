package hub

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/convert"
)

func TestRunOf(t *testing.T) {
	t.Parallel()
	run := t.TempDir()
	best := filepath.Join(run, "best")
	if got := RunOf(best); got != "" {
		t.Errorf("RunOf(%s) = %s although there is no run above", best, got)
	}
	if err := os.WriteFile(filepath.Join(run, RunFile), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	step, junk := filepath.Join(run, "checkpoints", "step-5"), filepath.Join(run, "checkpoints", "step-5junk")
	for _, dir := range []string{step, junk} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{checkpoint.ManifestFile, RunFile} {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	for dir, want := range map[string]string{best: run, best + "/": run, run: run, step: run, junk: junk} {
		if got := RunOf(dir); got != want {
			t.Errorf("RunOf(%s) = %s, want %s", dir, got, want)
		}
	}
}

// TestNewGPT: the model of a folder without its weights, for training. Folders with another kind of model, or with
// adapters, have none.
func TestNewGPT(t *testing.T) {
	t.Parallel()
	const runs = "../train/testdata/oldruns/"
	for dir, want := range map[string]error{"base": nil, "text": nil, "image": &convert.KindError{Have: convert.ViT, Want: convert.GPT}, "lora": ErrAdapters} {
		f, err := Open(runs+dir, Options{})
		if dir == "lora" && err != nil { // its base model has moved
			f, err = Open(runs+"base", Options{})
			if err == nil {
				f.Adapter = runs + dir
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		m, err := f.NewGPT(plan.New(0), bdia.DefaultOptions())
		var kind *convert.KindError
		switch {
		case want == nil:
			if err != nil || m.Config != f.GPTInfo.Config {
				t.Errorf("%s: %v", dir, err)
			}
		case errors.As(want, &kind):
			if !errors.As(err, &kind) || kind.Have != convert.ViT {
				t.Errorf("%s: error %v", dir, err)
			}
		case !errors.Is(err, want):
			t.Errorf("%s: error %v, want %v", dir, err, want)
		}
	}
	f, err := Open(runs+"base", Options{})
	if err != nil {
		t.Fatal(err)
	}
	f.GPTInfo.Config.Vocab *= 1000
	if _, err := f.NewGPT(plan.New(0), bdia.DefaultOptions()); !errors.Is(err, ErrMismatch) {
		t.Errorf("a description of far larger weights: error %v", err)
	}
}
