package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/internal/testkit"
)

// TestGenerateIDs: tokens in and out are those of the text, with a cache and without,
// and need no tokenizer.
func TestGenerateIDs(t *testing.T) {
	t.Parallel()
	dir := trainedRun(t)
	args := []string{"--prompt-ids", "3,1,4,1,5", "--print-ids", "--greedy", "--max-tokens", "200"}
	with := mustCall(t, append([]string{"generate", dir}, args...)...).out
	if n := strings.Count(with, ",") + 1; n != 200 || strings.Count(with, "\n") != 1 {
		t.Fatalf("%d tokens: %q", n, with)
	}
	if without := mustCall(t, append([]string{"generate", "--from", dir, "--no-cache"}, args...)...).out; without != with {
		t.Errorf("with cached keys %q, without %q", with, without)
	}
	bare := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors"} {
		write(t, bare, name, string(readFile(t, dir, name)))
	}
	if foreign := mustCall(t, append([]string{"generate", bare, "--grid", "9"}, args...)...).out; foreign != with {
		t.Errorf("without a tokenizer %q, want %q", foreign, with)
	}
	if r := call("generate", bare, "--prompt", "a"); r.code != cli.ExitFailure || !strings.Contains(r.err, "no tokenizer files") {
		t.Errorf("text without a tokenizer: %+v", r)
	}
	text := mustCall(t, "generate", dir, "--prompt", "The house", "--greedy", "--max-tokens", "60")
	var m generate.Prompt
	if err := json.Unmarshal([]byte(mustCall(t, "generate", dir, "--prompt", "The house", "--greedy", "--max-tokens", "60", "--json").out), &m); err != nil {
		t.Fatal(err)
	}
	if m.Prompt+m.Continuations[0].Text+"\n" != text.out || m.Continuations[0].Finish != "length" || len(m.Continuations[0].IDs) != 60 {
		t.Errorf("%+v, as text %q", m, text.out)
	}
	ids := mustCall(t, "generate", dir, "--prompt-ids", idsText(m.PromptIDs), "--greedy", "--max-tokens", "60")
	if ids != text {
		t.Errorf("from tokens %q, from text %q", ids.out, text.out)
	}
}

// TestGenerateFewerTokens: of a model with more tokens than its tokenizer only those
// are written that have a text.
func TestGenerateFewerTokens(t *testing.T) {
	t.Parallel()
	dir := unlisted(t, copyRun(t))
	write(t, dir, "chars.json", `{"version":1,"chars":"\n .T"}`) // of 24
	long := write(t, t.TempDir(), "prompts", "T.\n T T.\n")
	for _, args := range []string{"--temperature 9 --top-k 0", "--greedy", "--beam 3", "--print-ids --prompt-ids 23,5", "--temperature 9 --input " + long} {
		args := append([]string{"generate", dir, "--max-tokens", "9"}, strings.Fields(args)...)
		if !slices.Contains(args, "--input") && !slices.Contains(args, "--prompt-ids") {
			args = append(args, "--prompt", "T")
		}
		r := mustCall(t, args...)
		if rest := strings.Trim(r.out, "\n .T0123,"); rest != "" || len(r.out) < 9 {
			t.Errorf("%q writes %q", args, r.out)
		}
	}
}

// TestGenerateLines: a line gives a line, whatever is around it.
func TestGenerateLines(t *testing.T) {
	t.Parallel()
	run, dir := trainedRun(t), t.TempDir()
	const text = "The house\n\nthe sea\r\nno \x01 such\nThe house"
	plain := write(t, dir, "prompts", text)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte(text))
	z.Close()
	args := func(more ...string) []string {
		return append([]string{"generate", run, "--max-tokens", "12", "--seed", "3"}, more...)
	}
	r := mustCall(t, args("--input", plain)...)
	lines := strings.Split(r.out, "\n")
	if len(lines) != 6 || lines[1] != "" || lines[3] != "" || lines[0] == "" || lines[0] == lines[4] {
		t.Errorf("lines %q", lines)
	}
	if want := "Of 5 lines: 1 empty (first in line 2), 1 not UTF-8 or with unknown characters (first in line 4)\n"; r.err != want {
		t.Errorf("%q, want %q", r.err, want)
	}
	alone := mustCall(t, args("--prompt", "The house")...).out
	if got := generate.OneLine([]byte(strings.TrimPrefix(alone, "The house"))); got != lines[0] {
		t.Errorf("the first line gives %q, alone %q", lines[0], got)
	}
	for _, batch := range []string{"1", "2", "100"} {
		if together := mustCall(t, args("--input", plain, "--batch", batch)...); together != r {
			t.Errorf("%s lines at a time: %q, want %q", batch, together.out, r.out)
		}
	}
	out := filepath.Join(dir, "out")
	if file := mustCall(t, args("--input", write(t, dir, "prompts.gz", packed.String()), "--output", out)...); file.out != "" || string(readFile(t, out)) != r.out {
		t.Errorf("from gzip to a file: %q, want %q", readFile(t, out), r.out)
	}
	if piped := callWith(t.Context(), text, args("--input", "-")...); piped != r {
		t.Errorf("from standard input %+v, want %+v", piped, r)
	}
	for i, line := range strings.Split(strings.TrimSpace(mustCall(t, args("--input", plain, "--json")...).out), "\n") {
		var m generate.Prompt
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if m.Line != i+1 || (m.Note == "") != (len(m.Continuations) == 1) || m.Note == "" && generate.OneLine([]byte(m.Continuations[0].Text)) != lines[i] {
			t.Errorf("line %d: %s", i+1, line)
		}
	}
	if r := call(args("--input", plain, "--output", plain)...); r.code != cli.ExitUsage {
		t.Errorf("the input is overwritten: %+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := callWith(ctx, "", args("--input", plain)...); r.code != cli.ExitInterrupted {
		t.Errorf("exit code %d after Ctrl-C", r.code)
	}
	if r := callWith(ctx, "", args("--prompt", "The")...); r.code != cli.ExitInterrupted || r.out != "The\n" {
		t.Errorf("one prompt after Ctrl-C: %+v", r)
	}
}

// interrupter is an output that ends ctx when it is written to for the nth time.
type interrupter struct {
	bytes.Buffer
	n      int
	cancel func()
}

func (w *interrupter) Write(b []byte) (int, error) {
	if w.n--; w.n == 0 {
		w.cancel()
	}
	return w.Buffer.Write(b)
}

// TestGenerateInterrupted: what was written by a Ctrl-C stays, and the exit code says
// that it is not all.
func TestGenerateInterrupted(t *testing.T) {
	t.Parallel()
	dir := trainedRun(t)
	args := []string{"generate", dir, "--prompt", "The house", "--max-tokens", "60"}
	whole := mustCall(t, args...).out
	ctx, cancel := context.WithCancel(t.Context())
	out, errOut := &interrupter{n: 12, cancel: cancel}, new(strings.Builder)
	code := run(ctx, args, nil, out, errOut)
	if text := strings.TrimSuffix(out.String(), "\n"); code != cli.ExitInterrupted || len(text) < 15 || len(text)+1 == len(whole) || !strings.HasPrefix(whole, text) {
		t.Errorf("exit code %d, %q of %q, %s", code, out, whole, errOut)
	}
}

// TestGenerateStop: the text ends before a text to stop at.
func TestGenerateStop(t *testing.T) {
	t.Parallel()
	dir := trainedRun(t)
	args := []string{"generate", dir, "--prompt", "The house", "--max-tokens", "60", "--temperature", "1"}
	whole := strings.TrimPrefix(mustCall(t, args...).out, "The house")
	for _, stop := range []string{whole[20:23], whole[5:6]} {
		want := "The house" + whole[:strings.Index(whole, stop)] + "\n"
		if got := mustCall(t, append(args, "--stop", "nowhere", "--stop", stop)...).out; got != want {
			t.Errorf("up to %q: %q, want %q", stop, got, want)
		}
	}
	greedy := append(slices.Clone(args[:6]), "--greedy")
	if got := mustCall(t, append(args, "--min-p", "1")...).out; got != mustCall(t, greedy...).out {
		t.Errorf("the most likely tokens only: %q", got)
	}
	if got := mustCall(t, append(args, "--repetition-penalty", "100")...).out; strings.TrimPrefix(got, "The house") == whole {
		t.Error("a penalty changes nothing")
	}
}

// TestGenerateEnd: the token for the end of a text ends it, unless it is ignored.
func TestGenerateEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := write(t, dir, "text", prose(2000))
	run := filepath.Join(dir, "run")
	mustCall(t, append([]string{"train", "--data", text, "--tokenizer", "bpe", "--bpe-vocab", "270", "--out", run}, tiny("--steps", "1")...)...)
	args := []string{"generate", run, "--prompt", "The", "--temperature", "20", "--top-k", "0", "--max-tokens", "3000", "--json"}
	for ignore, want := range map[string]string{"--ignore-eos=false": "end", "--ignore-eos": "length"} {
		var m generate.Prompt
		if err := json.Unmarshal([]byte(mustCall(t, append(args, ignore)...).out), &m); err != nil {
			t.Fatal(err)
		}
		if got := m.Continuations[0]; string(got.Finish) != want || strings.Contains(got.Text, "<|endoftext|>") != (want == "length") {
			t.Errorf("%s: %s after %d tokens", ignore, got.Finish, len(got.IDs))
		}
	}
}

// TestGenerateBeam: a beam of one is greedy, a wider one finds what is likelier.
func TestGenerateBeam(t *testing.T) {
	t.Parallel()
	run, dir := trainedRun(t), t.TempDir()
	args := []string{"generate", run, "--prompt", "The h", "--max-tokens", "8"}
	if one, greedy := mustCall(t, append(args, "--beam", "1")...), mustCall(t, append(args, "--greedy")...); one != greedy {
		t.Errorf("a beam of one writes %q, greedily %q", one.out, greedy.out)
	}
	best := func(beam string) generate.Prompt {
		t.Helper()
		var m generate.Prompt
		if err := json.Unmarshal([]byte(mustCall(t, append(args, "--beam", beam, "--n-best", beam, "--json")...).out), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	one, five := best("1"), best("5")
	if len(five.Continuations) != 5 || *five.Continuations[0].LogProb < *one.Continuations[0].LogProb || *five.Continuations[4].Score > *five.Continuations[0].Score {
		t.Errorf("%+v, greedily %+v", five, one)
	}
	rows := mustCall(t, append(args, "--beam", "5", "--n-best", "2")...).out
	if strings.Count(rows, "\n") != 2 || !strings.HasPrefix(rows, "1\t-") {
		t.Errorf("rows %q", rows)
	}
	prompts := write(t, dir, "prompts", "The h\n\n"+strings.Repeat("a ", 20)+"\nthe sea\n")
	lines := strings.Split(mustCall(t, "generate", run, "--input", prompts, "--max-tokens", "8", "--beam", "5", "--stop", " ").out, "\n")
	if len(lines) != 5 || lines[1]+lines[2] != "" || strings.Contains(lines[0]+lines[3], " ") {
		t.Errorf("lines %q", lines)
	}
	for i, prompt := range []string{"The h", "", "", "the sea"} {
		if prompt == "" {
			continue
		}
		if alone := mustCall(t, "generate", run, "--prompt", prompt, "--max-tokens", "8", "--beam", "5", "--stop", " ").out; alone != prompt+lines[i]+"\n" {
			t.Errorf("%q alone, %q in a file", alone, lines[i])
		}
	}
}

// TestGenerateWrongCalls: what does not go together is said before a model is loaded.
func TestGenerateWrongCalls(t *testing.T) {
	t.Parallel()
	run := trainedRun(t)
	for args, says := range map[string]string{
		"":                                "name a run or model folder",
		"RUN --from RUN":                  "give one of them",
		"RUN --prompt a --prompt-ids 1":   "--prompt and --prompt-ids",
		"RUN --prompt-ids 1 --input x":    "--prompt-ids and --input",
		"RUN --prompt-ids=":               "--prompt-ids is empty",
		"RUN --prompt-ids 1,x":            `"x" is no token`,
		"RUN --prompt-ids 1,,2":           `"" is no token`,
		"RUN --prompt-ids 1,99999":        `"99999" is no token`,
		"RUN --prompt-ids -1":             `"-1" is no token`,
		"RUN --n-best 2":                  "--n-best is for a search",
		"RUN --beam -1":                   "beam of -1",
		"RUN --beam 2 --n-best 3":         "the 3 best of 2",
		"RUN --beam 2 --greedy":           "--greedy is for sampling",
		"RUN --greedy --temperature 0.5":  "--greedy is temperature 0",
		"RUN --beam 2 --top-k 3":          "--top-k is for sampling",
		"RUN --beam 2 --stop ab":          "a search can only end at a token",
		"RUN --batch 0":                   "--batch 0: give 1 to 1024",
		"RUN --min-p 2":                   "min-p is 2",
		"RUN --repetition-penalty 0":      "the repetition penalty is 0",
		"RUN --stop=":                     "a text to stop at is empty",
		"RUN --grid 99":                   "--grid",
		"RUN --max-tokens 99999999999999": "ask for 1 to",
	} {
		fields := strings.Fields(strings.ReplaceAll(args, "RUN", run))
		failure(t, "generate "+args, cli.ExitUsage, call(append([]string{"generate"}, fields...)...), run, run)
		if r := call(append([]string{"generate"}, fields...)...); !strings.Contains(r.err, says) {
			t.Errorf("generate %s: %q, want %q", args, r.err, says)
		}
	}
	if r := call("generate", run, "--input", filepath.Join(run, "missing")); r.code != cli.ExitFailure {
		t.Errorf("a missing file: %+v", r)
	}
	if r := call("generate", run, "--beam", "2", "--prompt", strings.Repeat("a", 16)); r.code != cli.ExitFailure || !strings.Contains(r.err, "leaves no room") {
		t.Errorf("a prompt as long as the context: %+v", r)
	}
	if _, err := os.Stat(filepath.Join(run, "out")); err == nil {
		t.Error("a file is left")
	}
}

// TestGenerateFromBegin: without a prompt, a model of which texts begin with a token begins with that one.
func TestGenerateFromBegin(t *testing.T) {
	t.Parallel()
	from := testkit.SharedPath(t, "llm", "stories260K", "hf")
	for args, want := range map[string]string{"": `"prompt":"","prompt_ids":[1],`, "--prompt=x": `"prompt_ids":[1,`} {
		r := mustCall(t, append([]string{"generate", from, "--json", "--greedy", "--max-tokens", "4", "--threads", "1"}, strings.Fields(args)...)...)
		if !strings.Contains(r.out, want) {
			t.Errorf("%q: %s, want %s", args, r.out, want)
		}
	}
}
