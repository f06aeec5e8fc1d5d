package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// TestDamagedFinishedRun: a finished run that is damaged is mended when it is resumed. It is done if the run has copies
// of the files, and otherwise goes on from the older checkpoint to the same bytes.
func TestDamagedFinishedRun(t *testing.T) {
	t.Parallel()
	whole := trainedRun(t)
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	for name, tc := range map[string]struct {
		file   string
		damage func([]byte) []byte
		flags  string
		code   int
		want   string
	}{
		"weights":                       {"model.safetensors", flip, "", cli.ExitUsage, "best/model.safetensors is a copy of it"},
		"moments":                       {"state/optimizer.safetensors", flip, "", cli.ExitOK, "goes on from the checkpoint of step 3"},
		"longer":                        {"state/optimizer.safetensors", flip, "--steps 8", cli.ExitOK, "at step 3 and goes on"},
		"tokenizer that cannot be read": {"chars.json", cut, "", cli.ExitUsage, "best/chars.json is a copy of it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copyRun(t)
			path := filepath.Join(dir, filepath.FromSlash(tc.file))
			if err := os.WriteFile(path, tc.damage(readFile(t, path)), 0o666); err != nil {
				t.Fatal(err)
			}
			r := call(append([]string{"train", "resume", dir}, strings.Fields(tc.flags)...)...)
			if r.code != tc.code || !strings.Contains(r.err, tc.want) || tc.code == cli.ExitUsage && !strings.Contains(r.err, "has done its 6 steps") {
				t.Errorf("exit %d: %s", r.code, r.err)
			}
			if tc.flags == "" && string(readFile(t, path)) != string(readFile(t, whole, filepath.FromSlash(tc.file))) {
				t.Errorf("%s is not what it was", tc.file)
			}
		})
	}
}

// TestDamageHint: an error of a damaged run names the command that looks through it, and its other checkpoints.
func TestDamageHint(t *testing.T) {
	t.Parallel()
	dir := copyRun(t)
	path := filepath.Join(dir, "model.safetensors")
	b := readFile(t, path)
	b[len(b)-1] ^= 1
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	r := call("generate", dir)
	if want := "bdia verify " + dir + " --files compares all files; other checkpoints: " + filepath.Join(dir, "best") + ", " +
		filepath.Join(dir, "checkpoints", "step-3"); r.code != cli.ExitFailure || !strings.Contains(r.err, want) {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
}
