package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// object decodes standard output, all of which must be one JSON object.
func object(t *testing.T, r result) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(r.out), &m); err != nil {
		t.Fatalf("standard output is not one JSON object: %v\n%s", err, r.out)
	}
	return m
}

func readFile(t *testing.T, elem ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRunDirectory(t *testing.T) {
	t.Parallel()
	dir := trainedRun(t)
	for _, name := range []string{"bdia.yaml", "config.json", "model.safetensors", "chars.json", "metrics.jsonl", "loss.png", "loss.svg",
		"state/state.json", "state/optimizer.safetensors", "best/config.json", "best/model.safetensors", "best/chars.json"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: missing or empty (%v)", name, err)
		}
	}
}

func TestEval(t *testing.T) {
	t.Parallel()
	dir := trainedRun(t)
	m := object(t, mustCall(t, "eval", dir, "--json"))
	for _, name := range []string{"split", "tokens", "windows", "loss", "perplexity", "bits_per_byte", "float_loss", "grid", "grid_minus_float"} {
		if _, ok := m[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
	loss := m["loss"].(float64)
	if !(loss > 1 && loss < math.Log(40)) {
		t.Errorf("loss %v is not that of a hardly trained model of some 30 characters", loss)
	}
	if got, want := m["bits_per_byte"].(float64), loss/math.Ln2; math.Abs(got-want) > 1e-9 { // one byte a character
		t.Errorf("%v bits per byte, want %v", got, want)
	}
	if d := m["grid_minus_float"].(float64); d == 0 || math.Abs(d) > 0.05 {
		t.Errorf("grid and float32 differ by %v", d)
	}
	train := object(t, mustCall(t, "eval", dir, "--json", "--split", "train", "--best", "--samples", "3"))
	if train["windows"].(float64) != 3 || train["tokens"].(float64) != 3*16 {
		t.Errorf("3 windows of 16 tokens were asked for: %v", train)
	}
	if r := mustCall(t, "eval", dir); !strings.HasPrefix(r.out, "Validation text, ") || strings.Count(r.out, "\n") != 5 {
		t.Errorf("report for people:\n%s", r.out)
	}
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	dir := trainedRun(t)
	args := []string{"generate", dir, "--prompt", "The house", "--max-tokens", "30", "--seed", "7"}
	first := mustCall(t, args...)
	if !strings.HasPrefix(first.out, "The house") || len(first.out) != len("The house")+30+1 {
		t.Errorf("the prompt and 30 characters were asked for: %q", first.out)
	}
	if again := mustCall(t, args...); again != first {
		t.Errorf("the same seed gives %q, then %q", first.out, again.out)
	}
	for _, short := range [][]string{{"generate", dir, "The house"}, {"generate", dir, "-p", "The house"}, {"generate", "--from", dir, "-p", "The house"}} {
		if r := mustCall(t, append(short, args[4:]...)...); r != first {
			t.Errorf("%v: %q, want %q", short, r.out, first.out)
		}
	}
	if r := call("generate", dir, "The", "house"); r.code != cli.ExitUsage || !strings.Contains(r.err, "quotation marks") {
		t.Errorf("two texts: %+v", r)
	}
	if other := mustCall(t, append(args, "--seed", "8")...); other == first {
		t.Error("another seed gives the same text")
	}
	greedy := mustCall(t, append(args[:len(args)-2:len(args)-2], "--greedy")...)
	if top := mustCall(t, append(args[:len(args)-2:len(args)-2], "--top-k", "1", "--seed", "9")...); top.out != greedy.out {
		t.Errorf("greedy %q, the most likely token %q", greedy.out, top.out)
	}
	if best := mustCall(t, "generate", filepath.Join(dir, "best"), "--prompt", "The", "--max-tokens", "1"); len(best.out) != 5 {
		t.Errorf("from best/: %q", best.out)
	}
	if piped := callWith(t.Context(), "The house\n", "generate", dir, "--prompt", "-", "--max-tokens", "30", "--seed", "7"); piped != first {
		t.Errorf("prompt from standard input: %+v, want %+v", piped, first)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	dir := trainedRun(t)
	counts := func(m map[string]any) (wrong float64) {
		return m["mismatched_bits"].(float64) + m["off_grid"].(float64) + m["gradient_differing_bits"].(float64)
	}
	fresh := []string{"--layers", "5", "--width", "16", "--heads", "2", "--context", "16", "--dropout", "0.1"}
	for name, args := range map[string][]string{"run": {dir}, "fresh model": fresh, "gamma 0.25": append(fresh, "--gamma", "0.25")} {
		m := object(t, mustCall(t, append([]string{"verify", "--json", "--threads", "1"}, args...)...))
		if counts(m) != 0 || m["reconstructed_activations"].(float64) <= 0 || m["gradient_values"].(float64) <= 0 {
			t.Errorf("%s: %v", name, m)
		}
		if top, limit := m["max_abs"].(float64), m["max_abs_limit"].(float64); !(top > 0 && top < limit && limit == 2097152) {
			t.Errorf("%s: largest |x| %v of %v", name, top, limit)
		}
		for _, s := range m["states"].([]any) {
			if s := s.(map[string]any); s["reverse"] != nil && s["reverse"] != s["forward"] {
				t.Errorf("%s: state %v", name, s)
			}
		}
		for _, fault := range faultNames()[1:] {
			r := call(append([]string{"verify", "--json", "--threads", "1", "--fault", fault}, args...)...)
			if r.code != cli.ExitFailure || counts(object(t, r)) == 0 {
				t.Errorf("%s: fault %s passes, exit code %d", name, fault, r.code)
			}
		}
	}
	if r := mustCall(t, "verify", dir); !strings.Contains(r.out, "Exact: ") {
		t.Errorf("report for people:\n%s", r.out)
	}
	if r := mustCall(t, append([]string{"verify", "--layers", "2"}, fresh[2:]...)...); strings.Contains(r.out, "Exact: ") {
		t.Errorf("two blocks rebuild nothing, yet:\n%s", r.out)
	}
}

func TestDrift(t *testing.T) {
	t.Parallel()
	args := []string{"verify", "--float", "--layers", "12", "--width", "16", "--heads", "2", "--context", "16"}
	points := object(t, mustCall(t, append(args, "--json")...))["drift"].([]any)
	if len(points) != 11 { // x_10 ... x_0
		t.Fatalf("%d points", len(points))
	}
	first, last := points[0].(map[string]any), points[10].(map[string]any)
	growth := math.Pow(last["rms"].(float64)/first["rms"].(float64), 0.1)
	if first["k"].(float64) != 10 || last["k"].(float64) != 0 || !(growth > 1.6 && growth < 3) {
		t.Errorf("from %v to %v: x%.2f a block", first, last, growth)
	}
	if r := mustCall(t, args...); strings.Count(r.out, "#\n") != 11 {
		t.Errorf("report for people:\n%s", r.out)
	}
	deep := []string{"verify", "--float", "--layers", "200", "--width", "8", "--heads", "1", "--context", "8", "--batch", "1", "--vocab", "8"}
	points = object(t, mustCall(t, append(deep, "--json")...))["drift"].([]any)
	if last := points[198].(map[string]any); last["rms"] != nil { // past float32, and so past JSON's numbers
		t.Errorf("deep stack: x_0 is off by %v", last)
	}
	if r := mustCall(t, deep...); !strings.Contains(r.out, "Mean growth a block: x") || strings.Contains(r.out, "xNaN") {
		t.Errorf("deep stack:\n%s", r.out)
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	type usage struct {
		TotalBytes   int64            `json:"total_bytes"`
		Components   map[string]int64 `json:"components"`
		LargestBatch int              `json:"largest_batch"`
	}
	plan := func(args ...string) (p struct {
		BudgetBytes int64            `json:"budget_bytes"`
		Modes       map[string]usage `json:"modes"`
	}) {
		t.Helper()
		r := mustCall(t, append([]string{"plan", "--json", "--threads", "1"}, args...)...)
		if err := json.Unmarshal([]byte(r.out), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	dir := trainedRun(t)
	p := plan("--config", filepath.Join(dir, "bdia.yaml"))
	if len(p.Modes) != 3 || p.Modes["reversible"].Components["weights"] <= 0 {
		t.Fatalf("plan: %+v", p)
	}
	r, s := p.Modes["reversible"], p.Modes["store"]
	if r.Components["side_bits"] <= 0 || s.Components["side_bits"] != 0 || r.Components["weights"] != s.Components["weights"] || r.TotalBytes >= s.TotalBytes {
		t.Errorf("reversible %+v\nstore %+v", r, s)
	}
	b := plan("--config", filepath.Join(dir, "bdia.yaml"), "--budget", "4MiB")
	if b.BudgetBytes != 4<<20 || b.Modes["reversible"].LargestBatch < 4 {
		t.Fatalf("budget: %+v", b)
	}
	for mode, u := range b.Modes {
		if u.TotalBytes > 4<<20 {
			t.Errorf("%s: %d bytes are over the budget", mode, u.TotalBytes)
		}
	}
	if r := call("plan", "--budget", "1KiB"); r.code != cli.ExitFailure || strings.Contains(r.out, "Use --batch") || !strings.Contains(r.err, "does not fit") {
		t.Errorf("nothing fits into a kilobyte: exit code %d, %s%s", r.code, r.out, r.err)
	}
	if r := mustCall(t, "plan", "--preset", "nano"); !strings.Contains(r.out, "side bits") || !strings.Contains(r.out, "total") {
		t.Errorf("report for people:\n%s", r.out)
	}
}

// cancelWriter cancels when what was written to it contains a text.
type cancelWriter struct {
	bytes.Buffer
	on     string
	cancel func()
}

func (c *cancelWriter) Write(b []byte) (int, error) {
	n, err := c.Buffer.Write(b)
	if strings.Contains(c.String(), c.on) {
		c.cancel()
	}
	return n, err
}

func TestInterruptAndResume(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	trainedRun(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errOut := &cancelWriter{on: "step 3/6  validation", cancel: cancel}
	var out bytes.Buffer
	args := append([]string{"train", "--data", filepath.Join(scratch, "text.txt"), "--out", dir}, tiny()...)
	if code := run(ctx, args, nil, &out, errOut); code != cli.ExitStopped {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	if want := "Interrupted after step 3 of 6; saved."; !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "train resume "+dir) {
		t.Errorf("prints %q, want %q and how to go on", out.String(), want)
	}
	// In the last step: what is left to do is its evaluation.
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	errOut = &cancelWriter{on: "step 6/6", cancel: cancel}
	out.Reset()
	if code := run(ctx, []string{"train", "--resume", dir, "--json"}, nil, &out, errOut); code != cli.ExitStopped {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	m := object(t, result{out: out.String()})
	if m["steps"] != 6.0 || m["interrupted"] != true || m["planned_bytes"] != m["peak_bytes"] {
		t.Errorf("summary: %v", m)
	}
	m = object(t, mustCall(t, "train", "--resume", dir, "--json"))
	if m["steps"] != 6.0 || m["interrupted"] != false {
		t.Errorf("summary: %v", m)
	}
	for _, name := range []string{"model.safetensors", "state/optimizer.safetensors"} {
		if !bytes.Equal(readFile(t, dir, name), readFile(t, trainedRun(t), name)) {
			t.Errorf("%s is not that of the uninterrupted run", name)
		}
	}
	longer := mustCall(t, "train", "--resume", dir, "--steps", "8", "--batch", "2")
	if !strings.Contains(longer.out, "Done: 2 steps (of 8)") || !strings.Contains(string(readFile(t, dir, "bdia.yaml")), "steps: 8") {
		t.Errorf("going on to 8 steps: %s", longer.out)
	}
}

func TestInterruptedBeforeTraining(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	text, out := write(t, dir, "text", prose(100)), filepath.Join(dir, "out")
	r := callWith(ctx, "", append([]string{"train", "--data", text, "--out", out}, tiny("--tokenizer", "bpe", "--bpe-vocab", "300")...)...)
	if _, err := os.Stat(out); r.code != cli.ExitInterrupted || r.err != "bdia: interrupted\n" || err == nil {
		t.Errorf("exit code %d, %q; folder: %v", r.code, r.err, err)
	}
}

func TestConfigurationRoundTrip(t *testing.T) {
	t.Parallel()
	first, again := trainedRun(t), filepath.Join(t.TempDir(), "again")
	mustCall(t, "train", "--config", filepath.Join(first, "bdia.yaml"), "--out", again)
	for _, name := range []string{"bdia.yaml", "config.json", "model.safetensors"} {
		if !bytes.Equal(readFile(t, first, name), readFile(t, again, name)) {
			t.Errorf("%s changed", name)
		}
	}
}

func TestRunsWithoutNames(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, ".", "text", prose(100))
	for range 2 {
		mustCall(t, append([]string{"train", "--data", "text"}, tiny("--steps", "1")...)...)
	}
	if runs, err := os.ReadDir(runsDir); err != nil || len(runs) != 2 {
		t.Errorf("two runs within a second: %v, %v", runs, err)
	}
}

func TestGenerateWithoutLineBreaks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text, run := write(t, dir, "text", strings.ReplaceAll(prose(100), "\n", " ")), filepath.Join(dir, "run")
	mustCall(t, append([]string{"train", "--data", text, "--out", run}, tiny("--steps", "1")...)...)
	if r := mustCall(t, "generate", run, "--max-tokens", "5"); len(r.out) != 1+5+1 {
		t.Errorf("one token of prompt and five more were expected: %q", r.out)
	}
}

func TestTokenizer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text, tok := write(t, dir, "text", prose(300)), filepath.Join(dir, "tok")
	if r := mustCall(t, "tokenizer", "train", text, "--vocab", "300", "--out", tok); !strings.HasPrefix(r.out, "300 tokens") {
		t.Errorf("prints %q", r.out)
	}
	parts, packed := filepath.Join(dir, "parts"), new(strings.Builder)
	z := gzip.NewWriter(packed)
	z.Write([]byte(prose(300)[3000:]))
	z.Close()
	mustCall(t, "tokenizer", "train", write(t, dir, "first", prose(300)[:3000]), write(t, dir, "rest.gz", packed.String()), "--vocab", "300", "--out", parts)
	if a, b := readFile(t, tok, "tokenizer.json"), readFile(t, parts, "tokenizer.json"); !bytes.Equal(a, b) {
		t.Error("of a text in two files, one of them compressed, another vocabulary is learned")
	}
	ids := mustCall(t, "tokenizer", "encode", tok, text)
	if commas := strings.ReplaceAll(ids.out, "\n", ","); callWith(t.Context(), commas, "tokenizer", "decode", tok).out != prose(300) {
		t.Error("ids with commas between them do not give the text")
	}
	if back := callWith(t.Context(), ids.out, "tokenizer", "decode", tok); back.out != prose(300) {
		t.Errorf("decoded text differs; %s", back.err)
	}
	if n := mustCall(t, "tokenizer", "encode", tok, text, "--count"); n.out != fmt.Sprintln(strings.Count(ids.out, "\n")) {
		t.Errorf("%s ids, %d lines", n.out, strings.Count(ids.out, "\n"))
	}
	run := filepath.Join(dir, "run")
	mustCall(t, append([]string{"train", "--data", text, "--tokenizer", tok, "--preset", "gpt2", "--out", run}, tiny("--steps", "1")...)...)
	if !strings.Contains(string(readFile(t, run, "bdia.yaml")), "vocab: 300\n") {
		t.Error("the tokenizer does not decide the vocabulary of a preset")
	}
}

func TestQuickstart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	notes := filepath.Join(dir, "notes")
	if err := os.Mkdir(notes, 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, notes, "a.txt", prose(400))
	write(t, notes, "b.md", prose(700))
	run := filepath.Join(dir, "run")
	task := quickTask()
	cfg := &task.Settings
	cfg.Data.Path, cfg.Data.BPEVocab, cfg.Engine.Threads = notes, 300, 1
	cfg.Model.Layers, cfg.Model.Width, cfg.Model.Context, cfg.Loop.Batch = 4, 16, 16, 4
	var out bytes.Buffer
	c := &cobra.Command{}
	c.SetErr(io.Discard)
	if err := quickstart(t.Context(), &out, cli.NewProgress(c), task, run, 0.3, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Loss on held-out text", "It writes:\n  | ", "this run       ordinary", "as planned to the byte",
		"Exact: ", "bdia generate " + run + "\n", "bdia train resume " + run} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
	mustCall(t, "generate", run, "--max-tokens", "2")
}

func TestMemoryModesAgree(t *testing.T) {
	t.Parallel()
	var weights [][]byte
	for _, mode := range []string{"store", "recompute"} {
		dir := filepath.Join(t.TempDir(), mode)
		trainedRun(t)
		mustCall(t, append([]string{"train", "--data", filepath.Join(scratch, "text.txt"), "--out", dir, "--memory", mode}, tiny()...)...)
		weights = append(weights, readFile(t, dir, "model.safetensors"))
	}
	weights = append(weights, readFile(t, trainedRun(t), "model.safetensors"))
	if !slices.EqualFunc(weights[1:], weights[:2], bytes.Equal) {
		t.Error("store, recompute and reversible give different weights")
	}
}

// TestQuiet: with -q a run says how it ended, and on standard error only what the user should know.
func TestQuiet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := write(t, dir, "a.txt", prose(200))
	args := append([]string{"train", "text", "--data", text, "--out", filepath.Join(dir, "run"), "-q"}, tiny()...)
	r := mustCall(t, args...)
	if strings.Contains(r.err, "step ") || strings.Contains(r.err, "Sample") || !strings.Contains(r.err, "steps are few") || !strings.Contains(r.out, "Done: 6 steps") {
		t.Errorf("train -q prints %q, %q", r.out, r.err)
	}
}
