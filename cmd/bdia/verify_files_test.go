package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
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

// TestVerifyExport: the files of an exported folder are compared too, and the folder is refused with a damaged one.
func TestVerifyExport(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"hf", "onnx"} {
		out := filepath.Join(t.TempDir(), "out")
		mustCall(t, "export", "--from", trainedRun(t), "--format", format, "--out", out)
		if r := mustCall(t, "verify", out, "--files"); !strings.Contains(r.out, "README.md") || !strings.Contains(r.out, "model.") {
			t.Errorf("%s:\n%s", format, r.out)
		}
		name := map[string]string{"hf": "model.safetensors", "onnx": "onnx/model.onnx"}[format]
		b := readFile(t, out, name)
		b[len(b)-5] ^= 16
		write(t, filepath.Dir(filepath.Join(out, name)), filepath.Base(name), string(b))
		if r := call("verify", out, "--files"); r.code != 1 || !strings.Contains(r.out, "damaged") {
			t.Errorf("%s: exit code %d\n%s%s", format, r.code, r.out, r.err)
		}
	}
}

// TestVerifyExportedFile: an exported file carries its checksum, and every bit that flips in it is told: each of its head
// and its tail, and others all along. A file of other software has none.
func TestVerifyExportedFile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"model.gguf", "model.onnx"} {
		dir := t.TempDir()
		out := filepath.Join(dir, name)
		mustCall(t, "export", "--from", trainedRun(t), "--format", strings.TrimPrefix(filepath.Ext(name), "."), "--out", out, "--threads", "1")
		if r := mustCall(t, "verify", out, "--files"); !strings.Contains(r.out, "ok") || !strings.Contains(r.out, name) {
			t.Errorf("%s:\n%s", name, r.out)
		}
		whole := readFile(t, dir, name)
		for at := 0; at < len(whole); at++ {
			if at > 400 && at < len(whole)-400 && at%97 > 0 {
				continue
			}
			b := slices.Clone(whole)
			b[at] ^= 1 << (at % 8)
			write(t, dir, name, string(b))
			list, err := checkFile(out)
			if err == nil && list[0].State != "damaged" {
				t.Errorf("%s: a bit of byte %d of %d: %v", name, at, len(whole), list)
			}
		}
		for _, b := range [][]byte{whole[:len(whole)-1], append(slices.Clone(whole), 0)} {
			write(t, dir, name, string(b))
			if list, err := checkFile(out); err == nil && list[0].State != "damaged" {
				t.Errorf("%s with %d of %d bytes: %v", name, len(b), len(whole), list)
			}
		}
		if r := call("verify", out, "--files", "--json"); r.code != 1 || strings.Contains(r.out, `"whole": true`) {
			t.Errorf("%s: %+v", name, r)
		}
		write(t, dir, name, "GGUF of others")
		if r := call("verify", out, "--files"); r.code != 1 || !strings.Contains(r.err, "no checksum") || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestVerifyEdited: of a file that people edit, it is told where it differs first from what was written, as an older
// checkpoint has it; settings that are cut off are damaged, with or without a copy.
func TestVerifyEdited(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file   string
		change func(text string) string
		want   string
		code   int
	}{
		"cut":     {"bdia.yaml", func(s string) string { return s[:len(s)/2] }, "damaged  bdia.yaml", 1},
		"empty":   {"bdia.yaml", func(string) string { return "" }, "it is cut off in line 1 of the text that checkpoints/step-", 1},
		"setting": {"bdia.yaml", func(s string) string { return strings.Replace(s, "log_every: ", "log_every: 1", 1) }, `is "  log_every: 11", and "  log_every: 1" in checkpoints/step-`, 0},
		"comment": {"bdia.yaml", func(s string) string { return strings.Replace(s, "\n", " # mine\n", 1) }, `line 1 is "task: text # mine"`, 0},
		"longer":  {"config.json", func(s string) string { return s + "\n" }, "more follows from line", 0},
		"other":   {"best/config.json", func(s string) string { return strings.Replace(s, ":", " :", 1) }, "edited  ", 0},
	} {
		for _, copies := range []bool{true, false} {
			dir := copyRun(t)
			if !copies {
				testkit.OK(t, os.RemoveAll(filepath.Join(dir, "checkpoints")))
				testkit.OK(t, os.RemoveAll(filepath.Join(dir, "best")))
				if strings.HasPrefix(c.file, "best") {
					continue
				}
			}
			write(t, filepath.Join(dir, filepath.Dir(c.file)), filepath.Base(c.file), c.change(string(readFile(t, dir, c.file))))
			r := call("verify", dir, "--files")
			if r.code != c.code || copies && !strings.Contains(strings.Join(strings.Fields(r.out), " "), strings.Join(strings.Fields(c.want), " ")) || !strings.Contains(r.out, "bytes") {
				t.Errorf("%s: %d\n%s%s", name, r.code, r.out, r.err)
			}
			if !copies && strings.Contains(r.out, "checkpoints") {
				t.Errorf("%s: a copy:\n%s", name, r.out)
			}
		}
	}
}
