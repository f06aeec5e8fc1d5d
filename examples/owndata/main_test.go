package main

import (
	"path/filepath"
	"testing"
)

// TestRun: the program trains a small model of a folder, and running it again finds the run done.
func TestRun(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	for range 2 {
		text, err := run(t.Context(), "../../train/testdata/oldruns/base", dir)
		if err != nil || text == "" {
			t.Fatalf("%q, %v", text, err)
		}
	}
}
