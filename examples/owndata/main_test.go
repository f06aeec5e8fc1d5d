package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/hub"
)

const base = "../../train/testdata/oldruns/base" // a small model

// TestRun: the program trains the model of a folder and continues the prompt. Called again it finds the run done, and
// the same weights write the same text. The best weights are a model folder, and other weights than at first.
func TestRun(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	var texts [2]string
	for i := range texts {
		text, err := run(base, dir, "a b", 40)
		if err != nil || !strings.HasPrefix(text, "a b") || len(text) == len("a b") {
			t.Fatalf("%q, %v", text, err)
		}
		texts[i] = text
	}
	if texts[0] != texts[1] {
		t.Errorf("%q, and then %q", texts[0], texts[1])
	}
	var prints [2]string
	for i, dir := range []string{base, filepath.Join(dir, "best")} {
		var err error
		if prints[i], err = hub.Fingerprint(dir); err != nil {
			t.Fatal(err)
		}
	}
	if prints[0] == prints[1] {
		t.Error("nothing was learned")
	}
}

// TestRunWithoutModel: a folder without a model is an error, and no run begins.
func TestRunWithoutModel(t *testing.T) {
	t.Parallel()
	from, dir := t.TempDir(), filepath.Join(t.TempDir(), "run")
	if _, err := run(from, dir, "a", 1); !errors.Is(err, hub.ErrNoModel) {
		t.Errorf("error %v, want ErrNoModel", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v", dir, err)
	}
}
