package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/export"
	"github.com/bdia-go/bdia/format/safetensors"
)

// exported runs export with --json.
func exported(t *testing.T, args ...string) (r export.Report) {
	t.Helper()
	if err := json.Unmarshal([]byte(mustCall(t, append([]string{"export", "--threads", "1", "--json"}, args...)...).out), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// tensorsOf returns the tensors of a model folder as text: name, type, shape and
// bytes.
func tensorsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string]string{}
	for _, name := range f.Names() {
		info, _ := f.Info(name)
		b, err := f.Bytes(name)
		if err != nil {
			t.Fatal(err)
		}
		info.Offset = 0
		text, err := json.Marshal(info)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(text) + string(b)
	}
	return all
}

// TestExportHF: a folder of each kind of model, whose logits are those of float
// inference; in the type of what it comes from, it comes out as it went in.
func TestExportHF(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, run, sample string
		files, dtypes     []string
	}{
		{"text", trainedRun(t), "32 positions of held-out text", []string{"config.json", "model.safetensors", "chars.json"}, []string{"f16", "bf16"}},
		{"images", imageRun(t), "2 held-out images", []string{"config.json", "model.safetensors", "preprocessor_config.json"}, []string{"bf16"}},
		{"pairs", translatorRun(t), "sentences", []string{"config.json", "model.safetensors"}, []string{"f16"}},
	} {
		dir := t.TempDir()
		first := exported(t, "--from", tc.run, "--format", "hf", "--out", filepath.Join(dir, "f32"))
		if first.FloatFile != 0 || first.GridFile != first.GridFloat || first.GridFloat == 0 || first.DType != "f32" || first.Logits == 0 || !strings.Contains(first.Sample, tc.sample) || first.Bytes == 0 {
			t.Errorf("%s: %+v", tc.name, first)
		}
		exported(t, "--from", tc.run, "--format", "onnx", "--force", "--out", filepath.Join(dir, "f32"))
		exported(t, "--from", tc.run, "--format", "hf", "--force", "--out", filepath.Join(dir, "f32"))
		for _, name := range tc.files {
			if _, err := os.Stat(filepath.Join(dir, "f32", name)); err != nil {
				t.Errorf("%s: %v", tc.name, err)
			}
		}
		for _, dtype := range tc.dtypes {
			half, again := filepath.Join(dir, dtype), filepath.Join(dir, dtype+"-again")
			r := exported(t, "--from", tc.run, "--format", "hf", "--dtype", dtype, "--out", half)
			if r.DType != dtype || r.FloatFile == 0 || r.FloatFile > r.LargestAbs/20 || r.Bytes >= first.Bytes {
				t.Errorf("%s in %s: %+v", tc.name, dtype, r)
			}
			if r := exported(t, "--from", half, "--format", "hf", "--out", again); r.DType != dtype || r.FloatFile != 0 || r.Grid != "none" || !strings.Contains(r.Sample, "random") {
				t.Errorf("%s in %s, again: %+v", tc.name, dtype, r)
			}
			if !maps.Equal(tensorsOf(t, half), tensorsOf(t, again)) {
				t.Errorf("%s in %s: other tensors after a second export", tc.name, dtype)
			}
		}
		if r := exported(t, "--from", filepath.Join(dir, "f32"), "--format", "hf", "--out", filepath.Join(dir, "again")); r.FloatFile != 0 || !maps.Equal(tensorsOf(t, filepath.Join(dir, "f32")), tensorsOf(t, filepath.Join(dir, "again"))) {
			t.Errorf("%s: other tensors after a second export: %+v", tc.name, r)
		}
	}
	for format, want := range map[string]bool{"hf": true, "onnx": true, "gguf": false} {
		r := exported(t, "--from", trainedRun(t), "--format", format, "--out", filepath.Join(t.TempDir(), "x"))
		if got := slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, "chars.json") }); got != want {
			t.Errorf("%s of characters: notes %q", format, r.Notes)
		}
	}
	text := mustCall(t, "export", "--from", trainedRun(t), "--best", "--format", "hf", "--out", filepath.Join(t.TempDir(), "a", "b"), "--threads", "1").out
	for _, s := range []string{"weights of f32", "grid of 9 bits - float32 ", "grid of 9 bits - exported ", "float32 - exported        0\n"} {
		if !strings.Contains(text, s) {
			t.Errorf("the report lacks %q:\n%s", s, text)
		}
	}
}

// TestExportPlace: what is there stays, unless --force says that it may go and an
// export can have written it; a failure leaves nothing behind.
func TestExportPlace(t *testing.T) {
	t.Parallel()
	dir, run := t.TempDir(), copyRun(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	out, file, other, model := in("out"), write(t, dir, "file", "text"), in("other"), in("model")
	mustCall(t, "export", "--from", run, "--format", "onnx", "--out", model, "--threads", "1")
	for _, to := range []string{other, in("thesis"), in("deep")} {
		if err := os.CopyFS(to, os.DirFS(model)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, other, "NOTES.md", "dear")
	write(t, in("deep/onnx"), "notes", "dear")
	if err := os.Mkdir(in("thesis/thesis"), 0o777); err != nil {
		t.Fatal(err)
	}
	export := func(from, out string, more ...string) result {
		return call(append([]string{"export", "--from", from, "--format", "hf", "--out", out, "--threads", "1"}, more...)...)
	}
	before := readTree(t, dir)
	for _, tc := range []struct {
		from, out, more string
		says            string // for exit code 2; nothing: 0
	}{
		{run, out, "", ""},
		{run, out, "", "--force"},
		{run, out, "--force --dtype f16", ""},
		{run, out, "--force --format onnx", ""},
		{run, out, "--force", ""},
		{run, file, "--force", "is no folder"},
		{run, file, "--format gguf", "--force"},
		{run, out, "--force --format gguf", "no regular file"},
		{run, out, "--force --format onnx --dtype f32 --out " + in("other") + ".onnx", ""},
		{run, other, "--force", "has NOTES.md"},
		{run, in("thesis"), "--force", "has thesis,"},
		{run, in("deep"), "--force", "has onnx/notes"},
		{run, run, "--force", "run directory"},
		{run, filepath.Join(run, "best"), "--force", "run directory"},
		{run, filepath.Join(copyRun(t), "state"), "--force", "run directory"},
		{run, filepath.Join(run, "metrics.jsonl"), "--force --format gguf", "run directory"},
		{out, out, "--force", "what is exported"},
		{out, filepath.Join(out, "model.safetensors"), "--force --format gguf", "what is exported"},
		{run, "-", "", "./-"},
	} {
		code := cli.ExitUsage
		if tc.says == "" {
			code = cli.ExitOK
		}
		if r := export(tc.from, tc.out, strings.Fields(tc.more)...); r.code != code || !strings.Contains(r.err, tc.says) {
			t.Errorf("--out %s %s: exit code %d, %s", tc.out, tc.more, r.code, r.err)
		}
	}
	for name, text := range readTree(t, dir) {
		if was, ok := before[name]; ok && text != was {
			t.Errorf("%s is changed", name)
		}
		delete(before, name)
	}
	if len(before) > 0 {
		t.Errorf("gone are %q", slices.Collect(maps.Keys(before)))
	}
	if r := export(run, filepath.Join(file, "x")); r.code != cli.ExitFailure || !strings.Contains(r.err, "file") {
		t.Errorf("below a file: exit code %d, %s", r.code, r.err)
	}
	damaged := copyRun(t)
	write(t, damaged, "model.safetensors", "short")
	if r := export(damaged, filepath.Join(dir, "none")); r.code != cli.ExitFailure {
		t.Errorf("damaged: %d, %s", r.code, r.err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{"deep", "file", "model", "other", "other.README.md", "other.onnx", "out", "thesis"}) {
		t.Errorf("the folder has %q", names)
	}
	for _, tc := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--format", "hf", "--out", "x"}, cli.ExitUsage, "--from"},
		{[]string{"--from", run, "--out", "x"}, cli.ExitUsage, "--format: hf"},
		{[]string{"--from", run, "--format", "hf"}, cli.ExitUsage, "--out"},
		{[]string{"--from", run, "--format", "pt", "--out", "x"}, cli.ExitUsage, `"pt" is not known; there are hf`},
		{[]string{"--from", run, "--format", "hf", "--dtype", "f8", "--out", "x"}, cli.ExitUsage, "f32, f16, bf16"},
		{[]string{"--from", t.TempDir(), "--format", "hf", "--out", "x"}, cli.ExitFailure, "config.json is missing"},
		{[]string{"--from", filepath.Join(dir, "none"), "--format", "hf", "--out", "x"}, cli.ExitFailure, "there is no folder"},
		{[]string{"--from", out, "--best", "--format", "hf", "--out", "x"}, cli.ExitUsage, "--best is for run directories"},
	} {
		if r := call(append([]string{"export"}, tc.args...)...); r.code != tc.code || !strings.Contains(r.err, tc.says) || r.out != "" {
			t.Errorf("%q: exit code %d, %s", tc.args, r.code, r.err)
		}
	}
}
