package main

import (
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/export"
	"github.com/bdia-go/bdia/format/gguf"
)

// TestExportGGUF: a run of characters and one of byte pairs become files that say
// what they are, as near to the model as their type allows.
func TestExportGGUF(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pairs := filepath.Join(dir, "pairs")
	mustCall(t, append([]string{"train", "--data", write(t, dir, "text", prose(200)), "--out", pairs, "--tokenizer", "bpe", "--bpe-vocab", "300"},
		tiny("--width", "32", "--mlp", "48")...)...)
	for _, tc := range []struct {
		run, dtype string
		most       float64 // difference of a logit, as a share of the largest
		model      string
		notes      int
	}{
		{trainedRun(t), "", 0, "rwkv", 0}, {trainedRun(t), "q8_0", 1e-3, "rwkv", 1}, // rows of 16
		{pairs, "f32", 0, "gpt2", 0}, {pairs, "f16", 1e-3, "gpt2", 0}, {pairs, "bf16", 1e-2, "gpt2", 0}, {pairs, "q8_0", 2e-2, "gpt2", 1},
	} {
		out := filepath.Join(t.TempDir(), "new", "model.gguf")
		args := []string{"export", "--from", tc.run, "--format", "gguf", "--out", out, "--threads", "1"}
		if tc.dtype != "" {
			args = append(args, "--dtype", tc.dtype)
		}
		var r export.Report
		if err := json.Unmarshal([]byte(mustCall(t, append(args, "--json")...).out), &r); err != nil {
			t.Fatal(err)
		}
		if !(r.FloatFile <= tc.most*r.LargestAbs) || (r.FloatFile == 0) != (tc.most == 0) || math.Abs(r.GridFile-r.GridFloat) > r.FloatFile ||
			r.Format != "gguf" || len(r.Notes) != tc.notes || !strings.Contains(r.Sample, "held-out text") || r.Grid != "9" {
			t.Errorf("%s %s: %+v", tc.run, tc.dtype, r)
		}
		f, err := gguf.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		if m, _ := f.Value("tokenizer.ggml.model"); m != tc.model {
			t.Errorf("%s: tokenizer %v", tc.run, m)
		}
		if n, _ := f.Value("general.name"); n != filepath.Base(tc.run) {
			t.Errorf("name %v", n)
		}
		f.Close()
		if r := call(args...); r.code != cli.ExitUsage || !strings.Contains(r.err, "--force") {
			t.Errorf("over a file: %+v", r)
		}
		if r := mustCall(t, append(args, "--force")...); strings.Count(r.out, "Note:") != tc.notes || !strings.Contains(r.out, "format gguf") {
			t.Errorf("%s", r.out)
		}
	}
}

func TestExportGGUFRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	erf := copyRun(t)
	write(t, erf, "config.json", strings.Replace(string(readFile(t, erf, "config.json")), "gelu_new", "gelu", 1))
	for _, tc := range []struct {
		from, dtype string
		code        int
		want        string
	}{
		{trainedRun(t), "q4_0", cli.ExitUsage, "format gguf has f32, f16, bf16, q8_0"},
		{erf, "f32", cli.ExitFailure, "GELU is the erf form"},
		{imageRun(t), "f32", cli.ExitFailure, "for language models"},
	} {
		out := filepath.Join(dir, "m.gguf")
		r := call("export", "--from", tc.from, "--format", "gguf", "--dtype", tc.dtype, "--out", out, "--threads", "1")
		if r.code != tc.code || !strings.Contains(r.err, tc.want) || strings.Count(r.err, "\n") > 2 {
			t.Errorf("%s: %+v, want %q", tc.from, r, tc.want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
