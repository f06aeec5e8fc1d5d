package main

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/text"
)

// TestEvalStride holds the loss of a text against Hugging Face's recipe, computed
// token by token: windows of context tokens, the tokens of the overlap are seen but
// not counted.
func TestEvalStride(t *testing.T) {
	t.Parallel()
	dir, folder := trainedRun(t), t.TempDir()
	text := prose(6)
	file := write(t, folder, "text.txt", text)
	l, err := openDir(dir, "", true)
	if err != nil {
		t.Fatal(err)
	}
	T, V := l.cfg.Context, l.cfg.Vocab
	if err := l.load(device{Options: backend.Options{Threads: 1}}, func(m *model.GPT) error {
		return generate.Rehearse(m, T, generate.Options{MaxTokens: 1, Grid: l.grid})
	}); err != nil {
		t.Fatal(err)
	}
	defer l.be.Close()
	ids, err := l.tok.Encode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	loss := func(context []int32, id int32, grid bdia.Grid) float64 {
		row := make([]float32, V)
		l.model.NextLogits(row, context, grid)
		var sum float64
		for _, v := range row {
			sum += math.Exp(float64(v))
		}
		return math.Log(sum) - float64(row[id])
	}
	for _, stride := range []int{0, 1, 3, 8, 15, 16} {
		span := T // tokens of a window
		if stride == 0 || stride == T {
			span = T + 1
		}
		step := stride
		if step == 0 {
			step = T
		}
		var onGrid, inFloat float64
		n, windows := 0, 0
		for begin, before := 0, 1; ; begin += step {
			end := min(begin+span, len(ids))
			for at := before; at < end; at++ {
				onGrid += loss(ids[begin:at], ids[at], l.grid)
				inFloat += loss(ids[begin:at], ids[at], bdia.NoGrid)
				n++
			}
			windows++
			if before = end; end == len(ids) {
				break
			}
		}
		if n != len(ids)-1 {
			t.Fatalf("the recipe counts %d tokens of %d", n, len(ids))
		}
		m := object(t, mustCall(t, "eval", dir, "--text", file, "--stride", fmt.Sprint(stride), "--json"))
		got := func(name string) float64 { return m[name].(float64) }
		if got("tokens") != float64(n) || got("windows") != float64(windows) || got("stride") != float64(step) || m["text"] != file {
			t.Errorf("stride %d: %v, want %d tokens in %d windows", stride, m, n, windows)
		}
		words := len(strings.Fields(text))
		for name, want := range map[string]float64{"loss": onGrid / float64(n), "float_loss": inFloat / float64(n), "perplexity": math.Exp(onGrid / float64(n)),
			"bits_per_byte": onGrid / float64(n) / math.Ln2, "word_perplexity": math.Exp(onGrid / float64(words))} {
			if d := math.Abs(got(name)-want) / want; !(d < 1e-5) {
				t.Errorf("stride %d: %s %v, want %v", stride, name, got(name), want)
			}
		}
	}
}

// TestEvalFolder measures a model that is no run.
func TestEvalFolder(t *testing.T) {
	t.Parallel()
	dir, folder := trainedRun(t), filepath.Join(t.TempDir(), "model")
	if err := os.Mkdir(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config.json", "model.safetensors", "chars.json"} {
		write(t, folder, name, string(readFile(t, dir, name)))
	}
	file := write(t, t.TempDir(), "text.txt", prose(20))
	run := object(t, mustCall(t, "eval", dir, "--text", file, "--stride", "5", "--json"))
	m := object(t, mustCall(t, "eval", "--from", folder, "--text", file, "--stride", "5", "--json"))
	if m["grid"] != "none" || m["loss"] != run["float_loss"] || m["loss"] != m["float_loss"] {
		t.Errorf("%v, as a run %v", m, run)
	}
	if r := mustCall(t, "eval", folder, "--text", file, "--samples", "3"); !strings.HasPrefix(r.out, file+", 48 tokens in 3 windows:\n") || strings.Contains(r.out, "float32") {
		t.Errorf("report for people:\n%s", r.out)
	}
	short := write(t, t.TempDir(), "text.txt", "The")
	if m := object(t, mustCall(t, "eval", dir, "--text", short, "--json")); m["tokens"].(float64) != 2 {
		t.Errorf("of three characters: %v", m)
	}
	for args, says := range map[string]string{
		"FOLDER":                           "give a text with --text",
		"FOLDER --text FILE --stride 17":   "give at most 16",
		"FOLDER --text FILE --stride -1":   "--stride -1",
		"FOLDER --text FILE --split train": "give one of them",
		"FOLDER --text FILE --gamma 0:1:1": "leave out --gamma",
		"FOLDER RUN --text FILE":           "name one",
		"RUN --stride 17":                  "give at most 16",
		"FOLDER --text FILE --isa neon":    "unknown instruction set",
	} {
		fields := strings.Fields(strings.NewReplacer("FOLDER", folder, "RUN", dir, "FILE", file).Replace(args))
		if r := call(append([]string{"eval"}, fields...)...); r.code != cli.ExitUsage || !strings.Contains(r.err, says) || r.out != "" {
			t.Errorf("eval %s: %+v, want %q", args, r, says)
		}
	}
	for _, bad := range []string{write(t, t.TempDir(), "text.txt", "é and more"), write(t, t.TempDir(), "one", "T"), filepath.Join(folder, "missing")} {
		if r := call("eval", folder, "--text", bad); r.code != cli.ExitFailure || strings.Count(r.err, "\n") != 1 {
			t.Errorf("eval --text %s: %+v", bad, r)
		}
	}
	all, spread := object(t, mustCall(t, "eval", dir, "--stride", "16", "--json")), object(t, mustCall(t, "eval", dir, "--samples", "3", "--json"))
	for _, samples := range []string{"0", "1000"} {
		if m := object(t, mustCall(t, "eval", dir, "--samples", samples, "--json")); !maps.Equal(m, all) {
			t.Errorf("--samples %s: %v, in windows that follow each other %v", samples, m, all)
		}
	}
	r, err := train.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n := r.Task.(*text.Task).Tokens(false).Len() - 1; all["tokens"].(float64) != float64(n) || n%16 == 0 {
		t.Errorf("%v of %d tokens", all["tokens"], n)
	}
	if spread["tokens"].(float64) != 48 || spread["stride"].(float64) != 0 {
		t.Errorf("three windows: %v", spread)
	}
	val := object(t, mustCall(t, "eval", dir, "--stride", "4", "--json"))
	if plain := object(t, mustCall(t, "eval", dir, "--json")); val["split"] != "val" || val["tokens"].(float64) < plain["tokens"].(float64) || val["loss"] == plain["loss"] {
		t.Errorf("with a stride %v, without %v", val, plain)
	}
}

// TestEvalSpecialTokens: the spelling of a special token is text, as in training,
// or with the flag one token.
func TestEvalSpecialTokens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run, file := filepath.Join(dir, "run"), write(t, dir, "text", prose(30)+tokenizer.EndOfTextToken+prose(30))
	mustCall(t, "train", "--data", file, "--out", run, "--tokenizer", "bpe", "--bpe-vocab", "300", "--layers", "1", "--heads", "1", "--width", "8",
		"--context", "16", "--batch", "1", "--steps", "1", "--val-fraction", "0")
	tokens := func(more ...string) float64 {
		return object(t, mustCall(t, append([]string{"eval", run, "--text", file, "--json"}, more...)...))["tokens"].(float64)
	}
	if text, special := tokens(), tokens("--special-tokens"); special >= text {
		t.Errorf("%v tokens with special ones, %v without", special, text)
	}
	if got := call("eval", run, "--special-tokens"); got.code != 2 || !strings.Contains(got.err, "--text") {
		t.Errorf("without --text: %+v", got)
	}
}
