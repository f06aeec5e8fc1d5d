package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/format/gguf"
	"github.com/bdia-go/bdia/format/onnx"
	"github.com/bdia-go/bdia/internal/cpufeat"
)

// runInBF16 trains a tiny run in bf16, by flag or by a file of settings, and returns its folder and what was printed.
func runInBF16(t *testing.T, settings string, more ...string) (dir string, r result) {
	t.Helper()
	root := t.TempDir()
	dir = filepath.Join(root, "run")
	args := []string{"train", "text", "--data", write(t, root, "text", prose(60)), "--tokenizer", "char", "--layers", "3", "--heads", "2", "--width", "16", "--context", "16", "--batch", "4",
		"--steps", "6", "--eval-every", "3", "--log-every", "1", "--threads", "1", "--out", dir}
	if settings != "" {
		args = append(args, "--config", write(t, root, "settings.yaml", settings))
	}
	return dir, mustCall(t, append(args, more...)...)
}

// told is what a command prints with --json.
func told(t *testing.T, args ...string) map[string]any {
	t.Helper()
	return object(t, mustCall(t, append(args, "--json")...))
}

// TestPrecisionOfRun: a run in bf16 says so in its first lines and its summary, and the commands that read it compute as
// it was trained unless they are told otherwise.
func TestPrecisionOfRun(t *testing.T) {
	t.Parallel()
	run, r := runInBF16(t, "engine:\n  precision: bf16\n")
	if !strings.Contains(r.out+r.err, "precision bf16") || !regexp.MustCompile(`precision +loss \d\.\d{4} in bf16, \d\.\d{4} in float32 \(bf16 - float32: `).MatchString(r.out) {
		t.Errorf("training says\n%s%s", r.err, r.out)
	}
	if text := string(readFile(t, run, "bdia.yaml")); !strings.Contains(text, "\n  precision: bf16\n") {
		t.Errorf("bdia.yaml:\n%s", text)
	}
	if text := string(readFile(t, run, "metrics.jsonl")); !strings.Contains(text, `"operand_bits":16`) {
		t.Errorf("metrics.jsonl:\n%s", text)
	}
	own, other := told(t, "eval", run), told(t, "eval", run, "--precision", "float32")
	if own["precision"] != "bf16" || own["loss_by_precision"] != nil {
		t.Errorf("eval: %v", own)
	}
	both, _ := other["loss_by_precision"].(map[string]any)
	if other["precision"] != "float32" || both["float32"] != other["loss"] || both["bf16"] != own["loss"] {
		t.Errorf("eval in float32: %v, in bf16: %v", other, own)
	}
	if out := mustCall(t, "eval", run, "--precision", "float32").out; !strings.Contains(out, " in bf16, ") {
		t.Errorf("eval in float32: %s", out)
	}
	if out := mustCall(t, "eval", run).out; !strings.Contains(out, "(grid 9, bf16)") || strings.Contains(out, "in float32") {
		t.Errorf("eval: %s", out)
	}
	if j := told(t, "verify", run); j["precision"] != "bf16" || j["mismatched_bits"] != 0.0 || j["gradient_differing_bits"] != 0.0 {
		t.Errorf("verify: %v", j)
	}
	if j := told(t, "verify", run, "--precision", "float32"); j["precision"] != "float32" {
		t.Errorf("verify in float32: %v", j)
	}
	if r := mustCall(t, "verify", run, "--replay", "--step", "5"); !strings.Contains(r.out, "Equal") {
		t.Errorf("replay: %s", r.out)
	}
	plan, bytes := told(t, "plan", run), told(t, "plan", run)["precisions"].(map[string]any)
	modes := plan["modes"].(map[string]any)["reversible"].(map[string]any)
	if plan["precision"] != "bf16" || bytes["bf16"] != modes["total_bytes"] {
		t.Errorf("plan: %v", plan)
	}
	step := told(t, "bench", run, "--memory", "reversible", "--steps", "1")
	if step["precision"] != "bf16" || step["peak_arena_bytes"] != bytes["bf16"] {
		t.Errorf("a step of %v in %v bytes, planned %v", step["precision"], step["peak_arena_bytes"], bytes)
	}
	if out := mustCall(t, "inspect", run).out; !strings.Contains(out, "Precision  bf16\n") {
		t.Errorf("inspect: %s", out)
	}
	ids := func(more ...string) string {
		return mustCall(t, append([]string{"generate", run, "--greedy", "--max-tokens", "8", "--print-ids"}, more...)...).out
	}
	if ids() != ids("--precision", "bf16") {
		t.Error("generate is not in the run's precision")
	}
}

// TestResumeInPrecision: a run goes on in another precision by --precision alone.
func TestResumeInPrecision(t *testing.T) {
	t.Parallel()
	run, _ := runInBF16(t, "", "--precision", "bf16")
	path := filepath.Join(run, "bdia.yaml")
	edited := strings.Replace(string(readFile(t, path)), "precision: bf16", "precision: float32", 1)
	if err := os.WriteFile(path, []byte(edited), 0o666); err != nil {
		t.Fatal(err)
	}
	want := "was trained in bf16, and its settings say float32; put engine.precision back, or ask for the change; bdia train resume " + run + " --precision float32 goes on in it"
	for _, more := range []string{"", "--patience 9"} {
		if r := call(append([]string{"train", "resume", run, "--steps", "9"}, strings.Fields(more)...)...); r.code != cli.ExitFailure || !strings.Contains(r.err, want) || strings.Count(r.err, "\n") != 1 {
			t.Errorf("resume %s: %+v, want %q", more, r, want)
		}
	}
	r := mustCall(t, "train", "resume", run, "--steps", "9", "--precision", "float32")
	if !strings.Contains(r.out, "Done") {
		t.Errorf("%+v", r)
	}
	r = mustCall(t, "train", "resume", run, "--steps", "12", "--precision", "bf16")
	if !strings.Contains(r.err, "From step 10 on, products are of bf16, not of float32") {
		t.Errorf("%+v", r)
	}
	out := filepath.Join(t.TempDir(), "hf")
	exported(t, "--from", run, "--format", "hf", "--out", out)
	if card := string(readFile(t, out, "README.md")); !strings.Contains(card, "| Earlier precision | float32 in steps 7 to 9 |") {
		t.Errorf("card: %s", card)
	}
}

// TestExportPrecision: exports and their model cards say the precision of training, their weights are float32, and what
// is compared with them is the model as it was trained.
func TestExportPrecision(t *testing.T) {
	t.Parallel()
	run, _ := runInBF16(t, "", "--precision", "bf16")
	out := t.TempDir()
	const row = "| Precision of training | bf16: operands of matrix products were rounded to it"
	for format, name := range map[string]string{"hf": "hf", "onnx": "a.onnx", "gguf": "b.gguf"} {
		path := filepath.Join(out, name)
		r := exported(t, "--from", run, "--format", format, "--out", path)
		if r.Precision != "bf16" || r.DType != "f32" || r.GridFloat == 0 || r.FloatFile > 1e-4 {
			t.Errorf("%s: %+v", format, r)
		}
		card := filepath.Join(path, "README.md")
		if format != "hf" {
			card = strings.TrimSuffix(path, filepath.Ext(path)) + ".README.md"
		}
		if text := string(readFile(t, card)); !strings.Contains(text, row) {
			t.Errorf("%s: card %s", format, text)
		}
	}
	const about = "Precision of training: bf16: "
	g, err := gguf.Open(filepath.Join(out, "b.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if v, _ := g.Value("general.description"); !strings.HasPrefix(fmt.Sprint(v), about) {
		t.Errorf("general.description is %q", v)
	}
	o, err := onnx.Open(filepath.Join(out, "a.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if !strings.HasPrefix(o.Doc, about) {
		t.Errorf("doc_string is %q", o.Doc)
	}
}

// TestVerifyBF16: the reverse walk of every kind of model is exact in bf16.
func TestVerifyBF16(t *testing.T) {
	t.Parallel()
	for _, model := range []string{"--layers 4", "--preset llama-nano --layers 4", "--task image --layers 4 --image 16", "--task translation --layers 4", "--task translation --layers 4 --encoder"} {
		args := []string{"verify", "--width", "32", "--heads", "2", "--precision", "bf16", "--threads", "1"}
		if !strings.Contains(model, "image") {
			args = append(args, "--context", "16")
		}
		if strings.Contains(model, "translation") {
			args = append(args, "--batch-tokens", "128")
		}
		j := told(t, append(args, strings.Fields(model)...)...)
		if j["precision"] != "bf16" || j["mismatched_bits"] != 0.0 || j["gradient_differing_bits"] != 0.0 || j["off_grid"] != 0.0 || j["reconstructed_activations"] == 0.0 {
			t.Errorf("%s: %v", model, j)
		}
	}
}

// TestSpeedNote: on processors without a unit for products of bf16, a line says what they cost.
func TestSpeedNote(t *testing.T) {
	t.Parallel()
	if note := speedNote(backend.Options{ISA: "portable"}); note != "" {
		t.Errorf("float32: %q", note)
	}
	for _, level := range cpufeat.SupportedBF16() {
		want := map[cpufeat.Level]string{
			cpufeat.Portable: `^products of bf16 are computed in portable Go here, which is slow: [0-9.e+-]+ GFLOP/s, and [0-9.e+-]+ in float32\.$`,
			cpufeat.AVX2:     `^products of bf16 are exact on avx2, and no faster than float32: that takes a processor with AMX\.$`,
			cpufeat.AVX512:   `^products of bf16 are exact on avx512, and no faster than float32: that takes a processor with AMX\.$`,
			cpufeat.AMX:      `^$`,
		}[level]
		if note := speedNote(backend.Options{ISA: level.String(), Threads: 1, Precision: backend.BFloat16}); !regexp.MustCompile(want).MatchString(note) {
			t.Errorf("%v: %q", level, note)
		}
	}
	if why := cpufeat.WithoutAMX(); why != "" {
		if note := speedNote(backend.Options{Precision: backend.BFloat16}); !strings.HasPrefix(note, "AMX is not used ("+why+"): ") {
			t.Errorf("without AMX: %q", note)
		}
	}
}
