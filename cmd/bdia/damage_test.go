package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// cut keeps the first half of a file.
func cut(b []byte) []byte { return b[:len(b)/2] }

// hugeHeader claims a safetensors header of 2^63-1 bytes.
func hugeHeader(b []byte) []byte {
	b = bytes.Clone(b)
	binary.LittleEndian.PutUint64(b, 1<<63-1)
	return b
}

// replace substitutes text; both sides have to be there.
func replace(from, to string) func([]byte) []byte {
	return func(b []byte) []byte {
		if !bytes.Contains(b, []byte(from)) {
			panic("no " + from)
		}
		return bytes.Replace(b, []byte(from), []byte(to), 1)
	}
}

// hostileSize describes a model of 50 TiB.
func hostileSize(b []byte) []byte {
	b = replace(`"n_embd": 16`, `"n_embd": 1048576`)(b)
	return replace(`"n_head": 2`, `"n_head": 16384`)(b)
}

// TestDamagedRuns damages a file of a run without manifest and demands of every command that
// reads it one clear line and exit code 1.
func TestDamagedRuns(t *testing.T) {
	t.Parallel()
	wider := filepath.Join(t.TempDir(), "wider")
	trainedRun(t)
	mustCall(t, append([]string{"train", "--data", filepath.Join(scratch, "text.txt"), "--out", wider}, tiny("--width", "32", "--steps", "1")...)...)
	other := func([]byte) []byte { return readFile(t, wider, "model.safetensors") }

	const readers = "eval RUN|generate RUN|verify RUN|train --resume RUN --steps 7"
	var b strings.Builder
	for _, c := range []struct {
		name, file string
		damage     func([]byte) []byte // nil removes the file
		commands   string
	}{
		{"truncated weights", "model.safetensors", cut, readers},
		{"no weights", "model.safetensors", nil, readers},
		{"empty weights", "model.safetensors", func([]byte) []byte { return nil }, readers},
		{"hostile length of the header", "model.safetensors", hugeHeader, readers},
		{"header that is no JSON", "model.safetensors", replace("{", "?"), readers},
		{"hostile shape", "model.safetensors", replace("[16", "[99"), readers},
		{"hostile offset", "model.safetensors", replace("[0,", "[9,"), readers},
		{"weights of another shape", "model.safetensors", other, readers},
		{"truncated optimiser state", "state/optimizer.safetensors", cut, "train --resume RUN --steps 7"},
		{"no optimiser state", "state/optimizer.safetensors", nil, "train --resume RUN --steps 7"},
		{"truncated counters", "state/state.json", cut, "train --resume RUN --steps 7|eval RUN"},
		{"truncated tokens", "data/text-00000.tokens", cut, "train --resume RUN --steps 7|eval RUN|verify RUN"},
		{"no tokens", "data/text-00000.tokens", nil, "train --resume RUN --steps 7|eval RUN|verify RUN"},
		{"truncated tokenizer", "chars.json", cut, readers},
		{"no tokenizer", "chars.json", nil, readers},
		{"model description that is no JSON", "config.json", cut, "generate RUN"},
		{"hostile width", "config.json", replace(`"n_embd": 16`, `"n_embd": 1048576`), "generate RUN"},
		{"hostile size", "config.json", hostileSize, "generate RUN"},
		{"hostile depth", "config.json", replace(`"n_layer": 4`, `"n_layer": 1000000000`), "generate RUN"},
		{"settings cut off", "bdia.yaml", func(b []byte) []byte { return b[:bytes.Index(b, []byte("layers"))] }, "eval RUN|train --resume RUN --steps 7"},
		{"settings with an unknown key", "bdia.yaml", replace("  layers:", "  blocks:"), "eval RUN|generate RUN|train --resume RUN --steps 7"},
		{"settings of another depth", "bdia.yaml", replace("layers: 4", "layers: 3"), "eval RUN|train --resume RUN --steps 7"},
		{"settings of another width", "bdia.yaml", replace("width: 16", "width: 32"), "eval RUN|verify RUN|train --resume RUN --steps 7"},
	} {
		dir := unlisted(t, copyRun(t))
		path := filepath.Join(dir, filepath.FromSlash(c.file))
		if c.damage == nil {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, c.damage(readFile(t, path)), 0o666); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "# %s\n", c.name)
		for _, command := range strings.Split(c.commands, "|") {
			before := readTree(t, dir)
			r := call(strings.Fields(strings.ReplaceAll(command, "RUN", dir))...)
			b.WriteString(failure(t, command, cli.ExitFailure, r, filepath.Dir(dir), dir))
			if after := readTree(t, dir); before["best/model.safetensors"] != after["best/model.safetensors"] ||
				before["model.safetensors"] != after["model.safetensors"] {
				t.Errorf("%s: bdia %s changes the weights", c.name, command)
			}
		}
	}
	golden(t, "damage", b.String())
}

// TestSettingsCutOff: a run's bdia.yaml that is empty, of zeros or cut off is not taken for default settings, and the error
// says that it is not as the run wrote it.
func TestSettingsCutOff(t *testing.T) {
	t.Parallel()
	whole := readFile(t, copyRun(t), "bdia.yaml")
	for name, text := range map[string][]byte{"empty": nil, "a comment": []byte("# gone\n"), "zeros": make([]byte, len(whole)),
		"half": whole[:len(whole)/2], "between sections": whole[:bytes.Index(whole, []byte("engine:"))]} {
		dir := copyRun(t)
		if err := os.WriteFile(filepath.Join(dir, "bdia.yaml"), text, 0o666); err != nil {
			t.Fatal(err)
		}
		for command, want := range map[string]string{"eval": "bdia.yaml is not as the run wrote it", "train resume": "bdia.yaml is not as the run wrote it",
			"generate": "not as a run writes it"} {
			r := call(append(strings.Fields(command), dir)...)
			failure(t, name, cli.ExitFailure, r, dir, dir)
			if !strings.Contains(r.err, want) {
				t.Errorf("%s, %s: %s", name, command, r.err)
			}
		}
	}
}

// readTree reads all files below dir.
func readTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(readFile(t, path))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestDivergence trains until the numbers give out: one clear line, and the
// checkpoint of the step before goes on.
func TestDivergence(t *testing.T) {
	t.Parallel()
	trainedRun(t)
	for name, c := range map[string]struct{ flags, want string }{
		"not a number":   {"--lr 1e6 --memory store --gamma 0 --grid none", "loss is not finite"},
		"past the limit": {"--lr 1e3", "past the exactness limit"},
	} {
		dir := filepath.Join(t.TempDir(), "run")
		args := append([]string{"train", "--data", filepath.Join(scratch, "text.txt"), "--out", dir}, tiny("--save-every", "1", "--steps", "50")...)
		r := call(append(args, strings.Fields(c.flags)...)...)
		failure(t, name, cli.ExitFailure, r, dir, dir)
		if !strings.Contains(r.err, c.want) || !strings.Contains(r.err, "is intact") {
			t.Errorf("%s: %q", name, r.err)
		}
		if r := call("generate", dir, "--max-tokens", "1"); r.code != cli.ExitOK && !strings.Contains(r.err, "logits are not finite") {
			t.Errorf("%s: the checkpoint does not load: %s", name, r.err)
		}
	}
}
