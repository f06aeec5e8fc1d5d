package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// TestOlderCheckpoint: commands take an older checkpoint of a run for what it is, and not for the best weights or the
// latest: what they say of it is what they say of a copy of it in a folder of its own. Training names the run.
func TestOlderCheckpoint(t *testing.T) {
	t.Parallel()
	dir, copied := copyRun(t), filepath.Join(t.TempDir(), "copy")
	older := filepath.Join(dir, "checkpoints", "step-3")
	for from, to := range map[string]string{older: copied, filepath.Join(dir, "data"): filepath.Join(copied, "data")} {
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range []string{"eval RUN", "generate RUN --seed 3 --max-tokens 30 --threads 1"} {
		of := func(dir string) string {
			return mustCall(t, strings.Fields(strings.ReplaceAll(args, "RUN", dir))...).out
		}
		switch is := of(older); {
		case is != of(copied):
			t.Errorf("%s: %q of the older checkpoint, %q of its copy", args, is, of(copied))
		case is == of(dir) || is == of(filepath.Join(dir, "best")):
			t.Errorf("%s: the older checkpoint is taken for another one: %q", args, is)
		}
	}
	out := filepath.Join(t.TempDir(), "out")
	mustCall(t, "export", older, "--format", "hf", "--out", out)
	if card := string(readFile(t, out, "README.md")); !strings.Contains(card, "| Steps | 3 of ") {
		t.Errorf("the card says %s", card)
	}
	for _, args := range [][]string{{"train", "resume", older}, {"verify", older}, {"inspect", older}} {
		if r := call(args...); r.code != cli.ExitFailure || !strings.Contains(strings.Join(strings.Fields(r.out+r.err), " "), "name the run directory, "+dir) {
			t.Errorf("%v: exit code %d, %s%s", args, r.code, r.out, r.err)
		}
	}
	mustCall(t, "train", "resume", copied, "--threads", "1")
	if a, b := readFile(t, dir, "model.safetensors"), readFile(t, copied, "model.safetensors"); string(a) != string(b) {
		t.Error("the copy ends with other weights than the run")
	}
}
