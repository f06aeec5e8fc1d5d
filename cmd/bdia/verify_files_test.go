package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestVerifyFiles: a whole run is whole, and a bit that flips in any of its listed files, one at a time, is found by
// --files. Of weights and moments, resuming finds it too and goes on from the older checkpoint.
func TestVerifyFiles(t *testing.T) {
	t.Parallel()
	dir := copyRun(t)
	if r := mustCall(t, "verify", dir, "--files"); strings.Contains(r.out, "damaged") || strings.Contains(r.out, "missing") || !strings.Contains(r.out, "best/model.safetensors") {
		t.Errorf("a whole run:\n%s", r.out)
	}
	for _, name := range []string{"model.safetensors", "state/optimizer.safetensors", "state/state.json", "chars.json", "data/text-00000.tokens", "best/model.safetensors"} {
		dir := copyRun(t)
		b := readFile(t, dir, name)
		b[len(b)*2/3] ^= 1
		write(t, filepath.Join(dir, filepath.Dir(name)), filepath.Base(name), string(b))
		r := call("verify", dir, "--files")
		if r.code != 1 || !strings.Contains(r.out, "damaged") || !strings.Contains(r.out, name) {
			t.Errorf("%s: exit code %d\n%s%s", name, r.code, r.out, r.err)
		}
		if name == "model.safetensors" || name == "best/model.safetensors" {
			if r := call("generate", filepath.Join(dir, filepath.Dir(name)), "--max-tokens", "1"); r.code != 1 || !strings.Contains(r.err, "damaged") {
				t.Errorf("generate with a damaged %s: exit code %d, %s", name, r.code, r.err)
			}
		}
	}
}
