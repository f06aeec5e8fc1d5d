package hub

import (
	"os"
	"path/filepath"
	"testing"
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
	for dir, want := range map[string]string{best: run, best + "/": run, run: run} {
		if got := RunOf(dir); got != want {
			t.Errorf("RunOf(%s) = %s, want %s", dir, got, want)
		}
	}
}
