package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
)

const base = "../../train/testdata/oldruns/base" // a small model

// write writes a text file.
func write(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "text.txt")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRun: fine-tuning lowers the loss on held-out text, the best weights write what the program wrote, and they stand
// in a folder that can be fine-tuned again.
func TestRun(t *testing.T) {
	t.Parallel()
	file, dir := write(t, strings.Repeat("to be or not to be, ", 200)), filepath.Join(t.TempDir(), "run")
	sum, text, err := run(base, file, dir, "to be", 30)
	if err != nil {
		t.Fatal(err)
	}
	if !(sum.BestVal.Loss < sum.FirstVal.Loss) || sum.Steps != 30 {
		t.Errorf("%+v", sum)
	}
	best, err := hub.Open(filepath.Join(dir, "best"), hub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	again, err := generate.FromFolder(best, backend.Options{}, "to be", generate.DefaultOptions())
	if err != nil || again != text || !strings.HasPrefix(text, "to be") || len(text) == len("to be") {
		t.Errorf("%q, and then %q, %v", text, again, err)
	}
	if _, _, err := run(best.Dir, file, filepath.Join(t.TempDir(), "run"), "to be", 1); err != nil {
		t.Error(err)
	}
}

// TestRunShort: a text that is shorter than one window is an error.
func TestRunShort(t *testing.T) {
	t.Parallel()
	if _, _, err := run(base, write(t, "to be"), filepath.Join(t.TempDir(), "run"), "to be", 1); !errors.Is(err, data.ErrTooShort) {
		t.Errorf("error %v, want ErrTooShort", err)
	}
}
