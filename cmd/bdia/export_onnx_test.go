package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/format/onnx"
)

// TestExportONNX: a folder of each kind of model, and a file where one is enough,
// that gives the logits of float inference.
func TestExportONNX(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, run string
		more      []string
		files     []string // in the folder; the first is the graph that has the inputs
		inputs    int
	}{
		{"text", trainedRun(t), nil, []string{"onnx/model.onnx", "config.json", "chars.json"}, 11},
		{"text without cache", trainedRun(t), []string{"--no-cache"}, []string{"onnx/model.onnx", "config.json"}, 2},
		{"images", imageRun(t), nil, []string{"onnx/model.onnx", "config.json", "preprocessor_config.json"}, 1},
		{"pairs", translatorRun(t), nil, []string{"onnx/decoder_model.onnx", "onnx/encoder_model.onnx", "config.json"}, 3},
	} {
		dir := t.TempDir()
		folder, file := filepath.Join(dir, "folder"), filepath.Join(dir, "model.onnx")
		args := append([]string{"--from", tc.run, "--format", "onnx"}, tc.more...)
		r := exported(t, append(args, "--out", folder)...)
		if r.FloatFile == 0 || r.FloatFile > 1e-5*r.LargestAbs || r.GridFile == 0 || r.Logits == 0 || r.DType != "f32" || r.Format != "onnx" {
			t.Errorf("%s: %+v", tc.name, r)
		}
		for _, name := range tc.files {
			if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
				t.Errorf("%s: %v", tc.name, err)
			}
		}
		if _, err := os.Stat(filepath.Join(folder, "model.safetensors")); err == nil {
			t.Errorf("%s: the folder has the weights twice", tc.name)
		}
		f, err := onnx.Open(filepath.Join(folder, tc.files[0]))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(f.Inputs); n != tc.inputs {
			t.Errorf("%s: %d inputs, want %d", tc.name, n, tc.inputs)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if tc.name == "pairs" {
			continue
		}
		if again := exported(t, append(args, "--out", file)...); again.FloatFile != r.FloatFile {
			t.Errorf("%s: alone %+v, in a folder %+v", tc.name, again, r)
		}
		a, err := os.ReadFile(filepath.Join(folder, tc.files[0]))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil || string(a) != string(b) {
			t.Errorf("%s: the file alone differs from that in a folder, %v", tc.name, err)
		}
	}
	for _, tc := range []struct{ says, run, args string }{
		{"two files", translatorRun(t), "--format onnx --out x.onnx"},
		{"for language models", imageRun(t), "--format onnx --no-cache --out x"},
		{"--format onnx", trainedRun(t), "--format hf --no-cache --out x"},
	} {
		r := call(append([]string{"export", "--from", tc.run, "--threads", "1"}, strings.Fields(tc.args)...)...)
		if r.code != cli.ExitUsage || !strings.Contains(r.err, tc.says) {
			t.Errorf("%s: exit code %d, %s", tc.args, r.code, r.err)
		}
	}
}
