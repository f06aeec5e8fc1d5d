package export

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tokenizer"
)

// TestFamilies: a folder of a family goes back with its config.json and its tensors byte for byte, a GGUF file of it has
// its weights, and a graph its logits.
func TestFamilies(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"llama3-f32", "llama2-bf16-sharded", "qwen2-bf16", "qwen3-f32", "mistral-f16-window"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := testkit.SharedPath(t, "llm", "hf_tiny", name)
			f, err := hub.Open(from, hub.Options{WithoutText: true})
			if err != nil {
				t.Fatal(err)
			}
			out := t.TempDir()
			r, err := Write(t.Context(), f, RandomSample(f), Options{Format: "hf", Out: filepath.Join(out, "hf"), Device: backend.Options{Threads: 1}})
			if err != nil || r.FloatFile != 0 {
				t.Fatalf("%+v, %v", r, err)
			}
			config, err := os.ReadFile(filepath.Join(from, "config.json"))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(out, "hf", "config.json")); err != nil || !bytes.Equal(got, config) {
				t.Errorf("config.json: %v\n%s\nwant\n%s", err, got, config)
			}
			generation, err := os.ReadFile(filepath.Join(from, "generation_config.json"))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(out, "hf", "generation_config.json")); err != nil || !bytes.Equal(got, generation) {
				t.Errorf("generation_config.json: %v\n%s\nwant\n%s", err, got, generation)
			}
			if got, want := fingerprint(t, filepath.Join(out, "hf")), fingerprint(t, from); got != want {
				t.Errorf("weights: %s, want %s", got, want)
			}
			r, err = Write(t.Context(), f, RandomSample(f), Options{Format: "onnx", Out: filepath.Join(out, "onnx"), Device: backend.Options{Threads: 1}})
			if err != nil || !(r.FloatFile < 1e-5*r.LargestAbs) {
				t.Errorf("onnx: %+v, %v", r, err)
			}
			if _, err = Write(t.Context(), f, RandomSample(f), Options{Format: "onnx", NoCache: true, Out: filepath.Join(out, "plain.onnx"), Device: backend.Options{Threads: 1}}); err != nil {
				t.Errorf("onnx without a cache: %v", err)
			}
			o := Options{Format: "gguf", Out: filepath.Join(out, "model.gguf"), Device: backend.Options{Threads: 1}}
			if _, err := Write(t.Context(), f, RandomSample(f), o); err == nil || !strings.Contains(err.Error(), "needs a tokenizer") {
				t.Errorf("gguf without a tokenizer: %v", err)
			}
			if f.Tokenizer, err = tokenizer.TrainBPE(t.Context(), strings.NewReader("the cat sat on the mat\n"), tokenizer.TrainOptions{VocabSize: 262}); err != nil {
				t.Fatal(err)
			}
			r, err = Write(t.Context(), f, RandomSample(f), o)
			if err != nil || r.FloatFile != 0 {
				t.Fatalf("gguf: %+v, %v", r, err)
			}
			windowed := len(r.Notes) == 1 && strings.Contains(r.Notes[0], "a window of 6 others")
			if windowed != strings.HasSuffix(name, "-window") || !windowed && len(r.Notes) > 0 {
				t.Errorf("gguf: notes %q", r.Notes)
			}
			modelfile, err := os.ReadFile(filepath.Join(out, "model.Modelfile"))
			if err != nil {
				t.Fatal(err)
			}
			if context := fmt.Sprintf("num_ctx %d\n", min(convert.GGUFContext(f.GPTInfo.Config), 8192)); !strings.Contains(string(modelfile), context) || windowed && context != "num_ctx 6\n" {
				t.Errorf("the Modelfile is not of %s%s", context, modelfile)
			}
		})
	}
}

// fingerprint is the digest of the tensors in a folder.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	w, err := convert.OpenWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	sum, err := w.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// TestExternalConfig: transformers.js is told of weights in a second file, once, and config.json stays what it is.
func TestExternalConfig(t *testing.T) {
	t.Parallel()
	text := withExternal([]byte("{\n  \"hidden_size\": 8,\n  \"model_type\": \"llama\"\n}\n"))
	const want = "{\n  \"hidden_size\": 8,\n  \"model_type\": \"llama\",\n  \"transformers.js_config\": {\"use_external_data_format\": true}\n}\n"
	if string(text) != want || string(withExternal(text)) != want {
		t.Errorf("%s\n%s", text, withExternal(text))
	}
}
