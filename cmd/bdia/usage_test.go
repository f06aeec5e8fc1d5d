package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

func TestHelp(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, c := range []string{"", "quickstart", "train", "train text", "train images", "train translation", "train resume", "finetune", "plan", "export", "eval", "generate", "chat", "classify", "verify", "bench",
		"tokenizer", "tokenizer train", "tokenizer encode", "tokenizer decode", "tokenizer info"} {
		r := mustCall(t, append(strings.Fields(c), "--help")...)
		if r.err != "" {
			t.Errorf("%s --help writes to standard error: %s", c, r.err)
		}
		fmt.Fprintf(&b, "$ bdia %s --help\n%s\n", c, r.out)
	}
	golden(t, "help", b.String())
}

// TestHelpFits: no line of any command's help is wider than the terminal.
func TestHelpFits(t *testing.T) {
	t.Parallel()
	for _, columns := range []int{60, 80, 120} {
		var walk func(c *cobra.Command)
		walk = func(c *cobra.Command) {
			if c.Name() == "completion" { // cobra's texts
				return
			}
			var b strings.Builder
			cli.Help(&b, c, columns)
			for line := range strings.Lines(b.String()) {
				if n := len(strings.TrimRight(line, "\n")); n > columns {
					t.Errorf("%s --help has %d columns in a terminal of %d: %s", c.CommandPath(), n, columns, line)
				}
			}
			for _, sub := range c.Commands() {
				walk(sub)
			}
		}
		walk(newRoot())
	}
}

// TestHelpFitsScreen: the help of a command has at most 50 lines in a terminal of 80 columns.
func TestHelpFitsScreen(t *testing.T) {
	t.Parallel()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		var b strings.Builder
		cli.Help(&b, c, 80)
		if n := strings.Count(b.String(), "\n"); n > 50 {
			t.Errorf("%s --help has %d lines", c.CommandPath(), n)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
}

// TestHelpAll: rare flags are shown when they are asked for.
func TestHelpAll(t *testing.T) {
	t.Parallel()
	for args, flag := range map[string]string{"train text": "--beta1", "train --task image": "--cutmix", "finetune": "--lora-alpha", "generate": "--min-p", "eval": "--on-corrupt"} {
		if r := mustCall(t, append(strings.Fields(args), "--help")...); strings.Contains(r.out, flag) {
			t.Errorf("bdia %s --help shows %s", args, flag)
		}
		r := mustCall(t, append(strings.Fields(args), "--help-all")...)
		if !strings.Contains(r.out, flag) {
			t.Errorf("bdia %s --help-all does not show %s", args, flag)
		}
		if strings.Contains(r.out, "\nmore ") {
			t.Errorf("bdia %s --help-all has a heading without a capital letter", args)
		}
	}
}

// TestSuggestions: a mistyped word gets the right one.
func TestSuggestions(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"trian":                            "did you mean train?",
		"tokenizer trian":                  "did you mean train?",
		"train --bacth 3":                  "unknown flag --bacth; did you mean --batch? bdia train text --help lists the flags",
		"train --optim sgd":                "did you mean --optimizer?",
		"train --nothing":                  "unknown flag --nothing; bdia train text --help",
		"train --memory revresible":        "did you mean reversible?",
		"train --optimizer adamm":          `--optimizer "adamm"; did you mean adamw? bdia train text --help`,
		"train --preset gpt2-meduim":       "did you mean gpt2-medium?",
		"train text --layer 3":             "did you mean --layers?",
		"generate --temp 1":                "did you mean --temperature?",
		"generate --max-new-tokens 5":      "did you mean --max-tokens?",
		"train text --max_length 5":        "did you mean --context?",
		"train text --learning-rate 1":     "did you mean --lr?",
		"plan --schedul cosine":            "unknown flag --schedul; bdia plan",
		"eval RUN --split vla":             "did you mean val?",
		"export --from R --format ggfu":    "did you mean gguf?",
		"finetune --from R --format josnl": "did you mean jsonl?",
	} {
		r := call(strings.Fields(args)...)
		if r.code != cli.ExitUsage || !strings.Contains(r.err, want) || strings.Count(r.err, "\n") != 1 {
			t.Errorf("bdia %s: exit code %d, %q, want %q", args, r.code, r.err, want)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if r := mustCall(t, "--version"); !strings.HasPrefix(r.out, "bdia ") || strings.Count(r.out, "\n") != 1 {
		t.Errorf("--version prints %q", r.out)
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := mustCall(t, "completion", shell); !strings.Contains(r.out, "bdia") {
			t.Errorf("completion %s prints nothing of use", shell)
		}
	}
	if r := mustCall(t, "__complete", "train", "--memory", ""); !strings.Contains(r.out, "recompute\n") {
		t.Errorf("completion of --memory offers %q", r.out)
	}
	if r := mustCall(t, "__complete", "train", "images", "--preset", ""); strings.Contains(r.out, "gpt2") || !strings.Contains(r.out, "vit-s\n") {
		t.Errorf("completion of --preset of images offers %q", r.out)
	}
	if r := mustCall(t, "__complete", "plan", "--preset", ""); !strings.Contains(r.out, "gpt2\n") || !strings.Contains(r.out, "images/tiny\n") {
		t.Errorf("completion of plan's --preset offers %q", r.out)
	}
	for _, command := range []string{"train", "train resume", "finetune", "plan", "bench", "eval", "generate", "chat", "classify", "translate", "export", "verify", "quickstart"} {
		if r := mustCall(t, append(append([]string{"__complete"}, strings.Fields(command)...), "--precision", "")...); !strings.HasPrefix(r.out, "float32\nbf16\n") {
			t.Errorf("completion of --precision of %s offers %q", command, r.out)
		}
	}
	if r := mustCall(t, "__complete", "finetune", "--grid", ""); !strings.HasPrefix(r.out, "auto\n") {
		t.Errorf("completion of finetune's --grid: %q", r.out)
	}
}

// TestWrongCalls is the table of what users get wrong before anything is read or
// written: exit code 2, or 1 where a file is to blame, and one line.
func TestWrongCalls(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "text", prose(60))
	write(t, dir, "empty", "")
	write(t, dir, "short", "hello")
	write(t, dir, "binary", "\x00\x01\x02")
	write(t, dir, "latin1", "caf\xe9\n"+prose(60))
	write(t, dir, "unknown-key.yaml", "loop:\n  batchh: 3\n")
	write(t, dir, "bad-value.yaml", "method:\n  memory: some\n")
	write(t, dir, "not.yaml", "loop: [\n")
	write(t, dir, "narrow.yaml", "model:\n  width: 33\n  heads: 6\n")
	run := trainedRun(t)

	train := "train --data DIR/text --out DIR/out "
	cases := []struct {
		code int
		args string
	}{
		{2, "trian"},
		{2, "train --layres 3"},
		{2, "tokenizer trian"},
		{2, "help nothing"},
		{2, "completion tcsh"},
		{2, "train extra"},
		{2, "eval"},
		{2, "eval RUN RUN"},
		{2, "train"},
		{2, train + "--steps many"},
		{2, train + "--lr fast"},
		{2, train + "--seed -1"},
		{2, train + "--save-every 0s"},
		{2, train + "--save-every 0.5"},
		{2, train + "--save-every="},
		{2, train + "--gamma big"},
		{2, train + "--grid 99"},
		{2, train + "--memory disk"},
		{2, train + "--gelu soft"},
		{2, train + "--preset huge"},
		{2, train + "--optimizer best"},
		{2, train + "--optimizer set-adam --state-bits 8"},
		{2, train + "--state-bits 16"},
		{2, train + "--schedule none"},
		{2, train + "--update later"},
		{2, train + "--isa neon"},
		{2, train + "--precision fp16"},
		{2, train + "--threads -1"},
		{2, train + "--width 33 --heads 2"},
		{2, train + "--width 514 --heads 2"}, // heads too wide for the device
		{2, train + "--residual-dropout 1.5"},
		{2, train + "--steps 0"},
		{2, train + "--warmup -1"},
		{2, train + "--batch 0"},
		{2, train + "--batch 1000000000000"},
		{2, train + "--batch 1000000"},
		{2, train + "--threads 1000000000000"},
		{2, train + "--batch 8 --micro-batch 3"},
		{2, train + "--val-fraction 1"},
		{2, train + "--tokenizer bpe --bpe-vocab 100"},
		{2, train + "--update now --clip 1"},
		{2, train + "--update now --batch 8 --micro-batch 4"},
		{2, train + "--memory reversible --gamma 0.6"},
		{2, train + "--memory reversible --grid none"},
		{2, train + "--config DIR/unknown-key.yaml"},
		{2, train + "--config DIR/bad-value.yaml"},
		{2, train + "--config DIR/not.yaml"},
		{2, train + "--config DIR/narrow.yaml"},
		{1, train + "--config DIR/missing.yaml"},
		{1, "train --out DIR/out --data DIR/missing"},
		{1, "train --out DIR/out --data DIR/empty"},
		{1, "train --out DIR/out --data DIR/binary"},
		{1, "train --out DIR/out --data DIR/latin1"},
		{1, "train --out DIR/out --data DIR/short --context 16"},
		{1, "train --out DIR/out --data DIR/text --context 1000"},
		{1, "train --out DIR/out --data DIR/text --context 1300"},
		{1, train + "--tokenizer DIR/missing"},
		{1, "train --data DIR/text --out RUN"},
		{1, "train --data DIR/text --out DIR"},
		{1, "train --data DIR/text --out DIR/text"},
		{1, "train --resume DIR/missing"},
		{1, "train --resume DIR"},
		{2, "train --resume RUN --out DIR/out"},
		{2, "train --resume RUN"},
		{2, "train --resume RUN --steps 3"},
		{2, "train --resume RUN --steps 9 --width 32"},
		{2, "train --resume RUN --steps 9 --preset gpt2"},
		{2, "train --resume RUN --steps 9 --max-bytes 5"},
		{2, "train --resume RUN --steps 9 --optimizer sgd"},
		{2, "train --resume RUN --steps 9 --state-bits 8"},
		{2, "train --resume RUN --steps 9 --config DIR/narrow.yaml"},
		{1, "eval DIR/missing"},
		{2, "eval RUN --split test"},
		{2, "eval RUN --samples -1"},
		{2, "eval RUN --isa neon"},
		{2, "eval RUN --precision f32"},
		{2, "train resume RUN --steps 99 --precision bf17"},
		{2, "verify --replay RUN --step 3 --precision bf16"},
		{1, "generate DIR/missing"},
		{1, "generate DIR"},
		{2, "generate RUN --prompt="},
		{1, "generate RUN --prompt é"},
		{2, "generate RUN --max-tokens 0"},
		{2, "generate RUN --temperature -1"},
		{2, "generate RUN --top-p 0"},
		{2, "generate RUN --top-k -1"},
		{1, "verify DIR/missing"},
		{2, "train resume"},
		{1, "train resume DIR"},
		{2, "train resume RUN"},
		{2, "train resume RUN --steps 9 --optimizer sgd"},
		{2, "train resume RUN --steps 9 --width 32"},
		{2, "train resume RUN --steps 9 --image 64"},
		{2, "train resume RUN --steps 9 --lora-rank 2"},
		{2, "train text --data DIR/text --task images"},
		{2, "train text --data DIR/text --crop 4"},
		{2, "train texts --data DIR/text"},
		{2, "train images --config RUN/bdia.yaml"},
		{2, "bench RUN --preset gpt2"},
		{2, "bench --preset tiny"},
		{1, "bench DIR"},
		{2, "train resume RUN RUN"},
		{2, "train resume RUN --resume RUN"},
		{2, "finetune RUN"},
		{2, "finetune --config RUN/bdia.yaml"},
		{2, "export --format hf --out DIR/out"},
		{2, "export RUN --from RUN --format hf --out DIR/out"},
		{2, "plan RUN RUN"},
		{1, "plan RUN/best"},
		{1, "generate DIR/text"},
		{1, "train resume RUN/best"},
		{1, "plan DIR"},
		{2, "plan RUN --task image"},
		{2, "plan --preset tiny"},
		{2, "plan --preset images/huge"},
		{2, "plan --task text --preset images/tiny"},
		{2, "verify RUN --layers 3"},
		{2, "verify RUN --vocab 9"},
		{2, "verify RUN --memory store"},
		{2, "verify RUN --fault cosmic"},
		{2, "verify --layers 2 --width 8 --heads 1 --context 8 --fault weight"},
		{2, "verify --layers 2 --width 8 --heads 1 --context 8 --float"},
		{2, "verify --vocab -4"},
		{2, "plan --budget lots"},
		{2, "plan --budget -2GiB"},
		{2, "plan --budget 1e300GiB"},
		{2, "plan --preset huge"},
		{2, "plan --vocab 0"},
		{2, "plan --batch 1000000"},
		{2, "plan --threads 1000000000000"},
		{2, "bench --threads -1 --memory store"},
		{2, "bench --isa neon --memory store"},
		{2, "quickstart DIR/text --seconds 0"},
		{1, "quickstart DIR/missing --out DIR/out"},
		{2, "tokenizer train DIR/text"},
		{2, "tokenizer train DIR/text --vocab 100 --out DIR/out"},
		{1, "tokenizer train DIR/missing --out DIR/out"},
		{1, "tokenizer train DIR/empty --out DIR/out"},
		{1, "tokenizer train DIR/text --out RUN"},
		{1, "tokenizer encode DIR/missing DIR/text"},
		{1, "tokenizer encode RUN DIR/missing"},
		{1, "tokenizer encode RUN DIR/latin1"},
	}
	var b strings.Builder
	for _, c := range cases {
		args := strings.Fields(strings.NewReplacer("DIR", dir, "RUN", run).Replace(c.args))
		b.WriteString(failure(t, c.args, c.code, call(args...), dir, run))
		if _, err := os.Stat(filepath.Join(dir, "out")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("bdia %s leaves its folder behind", c.args)
			os.RemoveAll(filepath.Join(dir, "out"))
		}
	}
	golden(t, "errors", b.String())
}

// failure checks that a command failed with one clear line, and describes it.
func failure(t *testing.T, args string, code int, r result, dir, run string) string {
	t.Helper()
	if r.code != code {
		t.Errorf("bdia %s: exit code %d, want %d: %s", args, r.code, code, r.err)
	}
	if r.out != "" {
		t.Errorf("bdia %s: prints %q", args, r.out)
	}
	lines := strings.Split(strings.TrimSuffix(r.err, "\n"), "\n")
	message := lines[len(lines)-1]
	if !strings.HasPrefix(message, "bdia: ") || strings.Count("\n"+r.err, "\nbdia: ") != 1 {
		t.Errorf("bdia %s: no single line of error: %q", args, r.err)
	}
	return fmt.Sprintf("$ bdia %s\nexit %d: %s\n", args, r.code, strings.NewReplacer(run, "RUN", dir, "DIR").Replace(message))
}

func TestWrongTokenIDs(t *testing.T) {
	t.Parallel()
	run := trainedRun(t)
	for in, want := range map[string]string{"1 2 99999": "number 3 of the ids", "-1": "number 1 of the ids", "0 x": `"x"`, "0,1 -3": "number 3 of the ids",
		"1 " + strings.Repeat("1", 1<<17): "number 2 of the ids has no end"} {
		r := callWith(t.Context(), in, "tokenizer", "decode", run)
		if r.code != cli.ExitFailure || !strings.Contains(r.err, want) || strings.Count(r.err, "\n") != 1 {
			t.Errorf("decoding %q: exit code %d, %q", in, r.code, r.err)
		}
	}
}

// brokenWriter fails as a full disk or a closed pipe does.
type brokenWriter struct{}

var errBroken = errors.New("no space left on device")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestFailingOutput(t *testing.T) {
	t.Parallel()
	dir := trainedRun(t)
	for _, args := range []string{"eval RUN --json", "eval RUN", "generate RUN --max-tokens 2", "tokenizer encode RUN", "verify RUN --json", "plan --json"} {
		var errOut strings.Builder
		fields := strings.Fields(strings.ReplaceAll(args, "RUN", dir))
		code := run(t.Context(), fields, io.LimitReader(strings.NewReader(prose(3)), 10), brokenWriter{}, &errOut)
		if code != cli.ExitFailure || !strings.Contains(errOut.String(), errBroken.Error()) {
			t.Errorf("bdia %s on a full disk: exit code %d, %q", args, code, errOut.String())
		}
	}
}
