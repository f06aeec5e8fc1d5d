package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
)

// pairFiles writes parallel sentences for training, and others to hold against what
// becomes of them.
func pairFiles(t *testing.T) (dir string) {
	dir = t.TempDir()
	source, target := bilingual(120)
	write(t, dir, "train.en", source)
	write(t, dir, "train.fr", target)
	source, target = bilingual(9)
	write(t, dir, "test.en", source)
	write(t, dir, "test.fr", target)
	return dir
}

// tinyPairs are the flags of an encoder-decoder that trains in an instant.
func tinyPairs(more ...string) []string {
	return append([]string{"--task", "translation", "--layers", "3", "--heads", "2", "--width", "16", "--context", "24", "--bpe-vocab", "270",
		"--batch-tokens", "200", "--steps", "6", "--warmup", "2", "--threads", "1"}, more...)
}

// TestTrainTranslation takes a table through training, evaluation and verification,
// and holds eval's scores against those of translate and score.
func TestTrainTranslation(t *testing.T) {
	t.Parallel()
	dir := pairFiles(t)
	run := filepath.Join(dir, "run")
	source, target := bilingual(120)
	a, b := strings.Split(source, "\n"), strings.Split(target, "\n")
	var table strings.Builder
	table.WriteString("\ufefffr,id,en\r\n")
	for i := range a {
		table.WriteString("\"" + b[i] + "\",7," + a[i] + "\r\n")
	}
	write(t, dir, "table.csv", table.String())
	r := mustCall(t, append([]string{"train", "--data", filepath.Join(dir, "table.csv"), "--source-column", "en", "--target-column", "fr", "--val-fraction", "0.2",
		"--test-fraction", "0.2", "--sample-every", "3", "--eval-every", "3", "--json", "--out", run}, tinyPairs()...)...)
	var sum struct {
		Planned, Peak int64
		Steps         int
		Val           float64 `json:"val_loss"`
		Pairs         struct {
			Read, Train, Val, Test int
			LeftOut                int            `json:"left_out"`
			Why                    map[string]int `json:"why"`
		}
	}
	if err := json.Unmarshal([]byte(r.out), &sum); err != nil {
		t.Fatal(err)
	}
	p := sum.Pairs
	if kept := p.Train + p.Val + p.Test; sum.Steps != 6 || sum.Planned != sum.Peak || p.Read != len(a) || p.Val == 0 || p.Test == 0 ||
		p.Why["empty"] != 1 || p.LeftOut != p.Why["empty"]+p.Why["duplicate"] || kept+p.LeftOut != p.Read {
		t.Errorf("summary %s", r.out)
	}
	for _, want := range []string{"Encoder-decoder of 3+3 blocks", "1 pair empty; first: table.csv, line 122", "Test       ", "-> "} {
		if !strings.Contains(r.err, want) {
			t.Errorf("no %q in\n%s", want, r.err)
		}
	}

	var e pairReport
	r = mustCall(t, "eval", run, "--json")
	if err := json.Unmarshal([]byte(r.out), &e); err != nil || e.Loss != sum.Val || e.Tokens == 0 {
		t.Errorf("eval gives %s, training ended with %v: %v", r.out, sum.Val, err)
	}
	if r = mustCall(t, "eval", run, "--split", "test", "--best"); !strings.Contains(r.out, "Test pairs") {
		t.Errorf("eval prints %s", r.out)
	}

	test, reference, out := filepath.Join(dir, "test.en"), filepath.Join(dir, "test.fr"), filepath.Join(dir, "out.fr")
	scored := mustCall(t, "eval", run, "--source", test, "--references", reference, "--references", reference, "--beam", "2")
	mustCall(t, "translate", run, "--input", test, "--output", out, "--beam", "2")
	for _, name := range []string{"bleu", "chrf"} {
		want := mustCall(t, "score", name, "--hypotheses", out, "--references", reference, reference).out
		if !strings.Contains(scored.out, strings.TrimSpace(want)) {
			t.Errorf("eval prints\n%sscore %s", scored.out, want)
		}
	}
	best := filepath.Join(run, "best")
	for _, args := range [][]string{{}, {"--source", test, "--references", reference}} {
		want := mustCall(t, append([]string{"eval", run, "--best"}, args...)...)
		if got := mustCall(t, append([]string{"eval", best}, args...)...); got != want {
			t.Errorf("eval of best/ %v prints\n%swith --best\n%s", args, got.out, want.out)
		}
	}
	for _, args := range [][]string{{"verify", run}, {"verify", run, "--encoder"}, {"verify", "--task", "translation", "--layers", "3", "--width", "32"}} {
		if r := mustCall(t, args...); !strings.Contains(r.out, "Exact") {
			t.Errorf("%v prints %s", args, r.out)
		}
	}
	if r := call("verify", run, "--encoder", "--fault", "side-bit"); r.code != cli.ExitFailure {
		t.Errorf("a damaged encoder is not found:\n%s", r.out)
	}
}

// TestValidationFiles: what became of validation's own files is told too, and how many
// of their sources are trained on.
func TestValidationFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "train.tsv", "one\tun\ntwo\tdeux\nthree\ttrois\n")
	write(t, dir, "val.tsv", "two\tle deux\nfour\tquatre\n\tcinq\nsix\nthree\ttrois\n")
	for _, args := range [][]string{
		append([]string{"train", "--val-source"}, tinyPairs("--keep-duplicates")...),
		{"finetune", "--from", baseModel(t), "--steps", "1", "--warmup", "0", "--threads", "1", "--separator", " ", "--val"},
	} {
		i := slices.IndexFunc(args, func(s string) bool { return strings.HasPrefix(s, "--val") })
		args = slices.Insert(args, i+1, filepath.Join(dir, "val.tsv"))
		r := mustCall(t, append(args, "--data", filepath.Join(dir, "train.tsv"), "--json", "--out", filepath.Join(dir, args[0]))...)
		var sum struct {
			Pairs struct {
				Read, Train, Val int
				Files            struct {
					Read    int            `json:"read"`
					LeftOut int            `json:"left_out"`
					Leaked  int            `json:"trained_on"`
					Why     map[string]int `json:"why"`
				} `json:"val_files"`
			}
		}
		if err := json.Unmarshal([]byte(r.out), &sum); err != nil {
			t.Fatal(err)
		}
		p := sum.Pairs
		if p.Read != 3 || p.Train != 3 || p.Val != 3 || p.Files.Read != 5 || p.Files.LeftOut != 2 || p.Files.Leaked != 2 ||
			p.Files.Why["empty"] != 1 || p.Files.Why["with a column missing"] != 1 {
			t.Errorf("%s: summary %s", args[0], r.out)
		}
		if !strings.Contains(r.err, "of the pairs for validation, 2 have a ") {
			t.Errorf("%s: no warning in\n%s", args[0], r.err)
		}
	}
}

// TestWrongPairCalls is TestWrongCalls for translations.
func TestWrongPairCalls(t *testing.T) {
	t.Parallel()
	dir, trained, text, base := pairFiles(t), translatorRun(t), trainedRun(t), baseModel(t)
	write(t, dir, "short.fr", "un\n")
	write(t, dir, "empty.en", "")
	write(t, dir, "blank.fr", strings.Repeat("\n", 9))
	write(t, dir, "latin1.en", "caf\xe9\n")
	write(t, dir, "table.csv", "en,fr\na,b\n")
	write(t, dir, "table.tsv", "only one column\n")
	write(t, dir, "keys.jsonl", strings.Repeat(`{"head": "a", "tail": "b"}`+"\n", 3))
	foreign := filepath.Join(dir, "foreign")
	if err := os.CopyFS(foreign, os.DirFS(filepath.Join(trained, "best"))); err != nil {
		t.Fatal(err)
	}
	unlisted(t, foreign)
	write(t, foreign, "chars.json", `{"version":1,"chars":" eno"}`)
	var b strings.Builder
	for _, c := range []struct {
		code int
		args string
	}{
		{2, "train --task translation"},
		{2, "train --task translation --source DIR/train.en"},
		{1, "train --task translation --source DIR/train.en --target DIR/short.fr --out DIR/out"},
		{1, "train --task translation --source DIR/missing.en --target DIR/train.fr --out DIR/out"},
		{1, "train --task translation --source DIR/empty.en --target DIR/empty.en --out DIR/out"},
		{1, "train --task translation --source DIR/latin1.en --target DIR/short.fr --out DIR/out"},
		{1, "train --task translation --source DIR/latin1.en --target DIR/short.fr --on-bad fatal --out DIR/out"},
		{1, "train --task translation --source DIR/train.en --target DIR/train.fr --context 3 --on-long fatal --bpe-vocab 257 --out DIR/out"},
		{1, "train --task translation --data DIR/table.csv --source-column de --out DIR/out"},
		{1, "train --task translation --data DIR/table.csv --target-column 3 --out DIR/out"},
		{1, "train --task translation --data DIR/table.tsv --on-bad fatal --out DIR/out"},
		{2, "train --task translation --data DIR/train.en --out DIR/out"},
		{2, "train --task translation --data DIR/table.csv --target DIR/train.fr --out DIR/out"},
		{2, "train --task translation --data DIR/table.csv --source DIR/train.en --target DIR/train.fr --out DIR/out"},
		{1, "train --task translation --data DIR/keys.jsonl --out DIR/out"},
		{1, "finetune --from BASE --data DIR/keys.jsonl --out DIR/out"},
		{1, "finetune --from BASE --data DIR/table.csv --prompt-column de --out DIR/out"},
		{1, "finetune --from BASE --prompts DIR/train.en --completions DIR/short.fr --out DIR/out"},
		{2, "finetune --from BASE --prompts DIR/train.en --out DIR/out"},
		{2, "finetune --from BASE --data DIR/train.en --format xml --out DIR/out"},
		{1, "train --task translation --source DIR/train.en --target DIR/train.fr --batch-tokens 4 --out DIR/out"},
		{2, "train --task translation --source DIR/train.en --target DIR/train.fr --batch 16 --micro-batch 3"},
		{2, "train --task translation --source DIR/train.en --target DIR/train.fr --val-source DIR/test.en"},
		{2, "train --task translation --source DIR/train.en --target DIR/train.fr --on-long cut"},
		{2, "train --task translation --source DIR/train.en --target DIR/train.fr --max-ratio 0.5"},
		{2, "train --task translation --source DIR/train.en --target DIR/train.fr --val-fraction 0.6 --test-fraction 0.5"},
		{2, "train --task translation --source DIR/train.en --target DIR/train.fr --steps 5 --epochs 2"},
		{2, "train --task translation --source DIR/train.en --target DIR/train.fr --preset gpt2"},
		{2, "train --task translation --source DIR/train.en --target DIR/train.fr --crop 4"},
		{2, "train --data DIR/train.en --target DIR/train.fr"},
		{2, "train --data DIR/train.en --epochs 0"},
		{2, "train --task image --data DIR/train.en --bpe-vocab 300"},
		{2, "train --resume TRAINED --batch-tokens 64"},
		{2, "train --resume TRAINED --width 32"},
		{2, "eval TRAINED --source DIR/test.en"},
		{2, "eval TRAINED --source DIR/test.en --references DIR/test.fr --beam 0"},
		{1, "eval RUN --source DIR/test.en --references DIR/test.fr"},
		{2, "eval RUN --split test"},
		{2, "eval TRAINED --split test"},
		{2, "eval TRAINED --gamma 0.5"},
		{1, "eval TRAINED --source DIR/test.en --references DIR/short.fr"},
		{1, "eval TRAINED --source DIR/test.en --references DIR/blank.fr"},
		{1, "eval TRAINED --source DIR/missing.en --references DIR/test.fr"},
		{1, "eval DIR --source DIR/test.en --references DIR/short.fr"},
		{1, "eval DIR/foreign --source DIR/test.en --references DIR/test.fr"},
		{1, "translate DIR/foreign one"},
		{2, "eval DIR/foreign"},
		{2, "eval RUN --beam 3"},
		{2, "eval TRAINED --length-penalty 0.6"},
		{1, "generate TRAINED"},
		{2, "verify RUN --encoder"},
		{2, "plan --task translation --batch -1"},
	} {
		args := strings.Fields(strings.NewReplacer("DIR", dir, "RUN", text, "TRAINED", trained, "BASE", base).Replace(c.args))
		line := failure(t, c.args, c.code, call(args...), dir, text)
		b.WriteString(strings.ReplaceAll(line, trained, "TRAINED"))
		if _, err := os.Stat(filepath.Join(dir, "out")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("bdia %s leaves its folder behind", c.args)
			os.RemoveAll(filepath.Join(dir, "out"))
		}
	}
	golden(t, "errors_pairs", b.String())
}

// TestTranslationFlags: flags of several tasks set the fields of this one.
func TestTranslationFlags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		want func(*trainpairs.Config)
	}{
		{"", func(*trainpairs.Config) {}},
		{"--data a.csv --val-fraction 0.1 --bpe-vocab 500 --epochs 3", func(c *trainpairs.Config) {
			c.Pairs.Source, c.Pairs.Split.Val, c.Pairs.BPEVocab, c.Pairs.Epochs = "a.csv", 0.1, 500, 3
		}},
		{"--source a --target b --val-source c --val-target d --on-long truncate --max-ratio 3 --separate --steps 9", func(c *trainpairs.Config) {
			c.Pairs.Source, c.Pairs.Target, c.Pairs.ValSource, c.Pairs.ValTarget = "a", "b", "c", "d"
			c.Pairs.OnLong, c.Pairs.MaxRatio, c.Pairs.Separate, c.Pairs.Epochs, c.Schedule.Steps = pairs.Truncate, 3, true, 0, 9
		}},
		{"--preset base --layers 2 --context 40 --untied --shared=false --dropout 0.3 --attention-dropout 0.2 --label-smoothing 0 --sinusoidal", func(c *trainpairs.Config) {
			c.Seq2Seq, _ = model.Seq2SeqPreset("base")
			m := &c.Seq2Seq
			m.EncoderLayers, m.DecoderLayers, m.SourceContext, m.TargetContext, m.Untied, m.Shared, m.Sinusoidal = 2, 2, 40, 40, true, false, true
			m.EmbeddingDropout, m.AttentionDropout, m.ResidualDropout, m.LabelSmoothing = 0.3, 0.2, 0.3, 0
		}},
	} {
		want := trainpairs.Default()
		c.want(&want)
		got := settings[trainpairs.Config](t, "--task translation "+c.args)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", c.args, diff)
		}
	}
}

// TestPaperPairs: the table of the paper's experiment runs, and what is held out of it
// is of other sentences.
func TestPaperPairs(t *testing.T) {
	t.Parallel()
	table := testkit.SharedPath(t, "data", "eng-fra", "eng_-french.csv")
	run := filepath.Join(t.TempDir(), "run")
	r := mustCall(t, append([]string{"train", "--data", table, "--max-chars", "12", "--test-fraction", "0.05", "--out", run}, tinyPairs()...)...)
	if !strings.Contains(r.err, "175,621 pairs") || !strings.Contains(r.out, "as planned to the byte") {
		t.Errorf("%s%s", r.err, r.out)
	}
}
