package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestTranslationGoesOn: a run that starts from a trained translator begins with its weights and its vocabulary: the
// first loss is a trained one, and after a step of no learning the translations are the same.
func TestTranslationGoesOn(t *testing.T) {
	t.Parallel()
	from, tmp := translatorRun(t), t.TempDir()
	source, target := bilingual(40)
	paths := []string{filepath.Join(tmp, "more.en"), filepath.Join(tmp, "more.fr")}
	for i, text := range []string{source, target} {
		if err := os.WriteFile(paths[i], []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(tmp, "run")
	got := mustCall(t, "train", "translation", "--from", from, "--source", paths[0], "--target", paths[1], "--val-source", paths[0], "--val-target", paths[1],
		"--keep-duplicates", "--batch-tokens", "256", "--steps", "1", "--lr", "1e-30", "--threads", "1", "--out", dir, "--json")
	var sum struct {
		First float64 `json:"first_val_loss"`
	}
	if err := json.Unmarshal([]byte(got.out), &sum); err != nil {
		t.Fatal(err)
	}
	if untrained := math.Log(10); !(sum.First < untrained/1.5) {
		t.Errorf("the run begins with a loss of %v; ten words give %v untrained", sum.First, untrained)
	}
	if !strings.Contains(got.err, "Starting from "+from) {
		t.Errorf("not told where the model is from: %s", got.err)
	}
	sentence := "one two three"
	if a, b := mustCall(t, "translate", from, sentence), mustCall(t, "translate", dir, sentence); a.out != b.out {
		t.Errorf("translations %q and %q", a.out, b.out)
	}
	bad := call("train", "translation", "--from", from, "--tokenizer", "bpe", "--bpe-vocab", "300", "--source", paths[0], "--target", paths[1], "--out", filepath.Join(tmp, "bad"))
	if bad.code != 1 || !strings.Contains(bad.err, "do not belong together") {
		t.Errorf("another vocabulary: exit %d, %s", bad.code, bad.err)
	}
	if bad := call("train", "translation", "--from", from, "--layers", "3", "--source", paths[0], "--target", paths[1]); bad.code != 2 || !strings.Contains(bad.err, "--layers") {
		t.Errorf("sizes beside a model: exit %d, %s", bad.code, bad.err)
	}
}

// TestTextGoesOn: train text --from is finetune on text: the same settings, hence the same weights.
func TestTextGoesOn(t *testing.T) {
	t.Parallel()
	from, tmp := baseModel(t), t.TempDir()
	path := write(t, tmp, "more.txt", strings.Repeat("The river finds the morning, and the letter keeps the road. ", 80))
	flags := []string{"--from", from, "--data", path, "--steps", "3", "--batch", "2", "--eval-every", "2", "--threads", "1"}
	var weights []string
	for i, command := range [][]string{{"train", "text"}, {"finetune"}} {
		dir := filepath.Join(tmp, strconv.Itoa(i))
		mustCall(t, append(append(command, flags...), "--out", dir)...)
		weights = append(weights, string(readFile(t, dir, "model.safetensors")))
	}
	if weights[0] != weights[1] {
		t.Error("train text --from and finetune learn other weights")
	}
	if bad := call(append([]string{"train", "text", "--width", "32"}, flags...)...); bad.code != 2 || !strings.Contains(bad.err, "--width") {
		t.Errorf("sizes beside a model: exit %d, %s", bad.code, bad.err)
	}
}

// TestNewCharactersGoOn: text with characters that the model lacks is learned by all weights, and refused with the place
// and the remedies otherwise.
func TestNewCharactersGoOn(t *testing.T) {
	t.Parallel()
	from, tmp := trainedRun(t), t.TempDir()
	path := write(t, tmp, "more.txt", strings.Repeat("the hat sat on the mat\n", 40)+"naïve 日記\n")
	flags := []string{"finetune", "--from", from, "--data", path, "--steps", "2", "--batch", "2", "--threads", "1"}
	dir := filepath.Join(tmp, "run")
	mustCall(t, append(flags, "--out", dir)...)
	if got := mustCall(t, "generate", dir, "--prompt", "日記", "--max-tokens", "3", "--threads", "1"); !strings.HasPrefix(got.out, "日記") {
		t.Errorf("generated %q", got.out)
	}
	mustCall(t, "train", "resume", dir, "--steps", "3")
	for _, c := range []struct{ args, says string }{
		{"--on-unknown fatal", "--on-unknown extend gives the model new tokens"},
		{"--lora-rank 2", "frozen blocks and adapters cannot learn new ones; --on-unknown skip leaves them out"},
	} {
		got := call(append(append(flags, "--out", filepath.Join(tmp, "no")), strings.Fields(c.args)...)...)
		if got.code != 1 || !strings.Contains(got.err, "more.txt, line 41") || !strings.Contains(got.err, c.says) {
			t.Errorf("%s: exit %d: %s", c.args, got.code, got.err)
		}
	}
	if got := mustCall(t, append(flags, "--on-unknown", "skip", "--lora-rank", "2", "--dry-run")...); !strings.Contains(got.out+got.err, "that the tokenizer lacks") {
		t.Errorf("what is left out is not counted: %s%s", got.out, got.err)
	}
}
