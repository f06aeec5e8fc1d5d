package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/tune"
)

// base is a small model with a byte-level BPE that tests may read but not change.
var base = sync.OnceValues(func() (string, error) {
	text, dir := filepath.Join(scratch, "base.txt"), filepath.Join(scratch, "base")
	if err := os.WriteFile(text, []byte(prose(400)), 0o666); err != nil {
		return "", err
	}
	if r := call(append([]string{"train", "--data", text, "--tokenizer", "bpe", "--bpe-vocab", "300", "--lr", "3e-3", "--out", dir}, tiny("--context", "64")...)...); r.code != cli.ExitOK {
		return "", fmt.Errorf("training: %s", r.err)
	}
	return dir, nil
})

func baseModel(t *testing.T) string {
	t.Helper()
	dir, err := base()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// table is a CSV of n prompts and completions.
func table(t *testing.T, n int) string {
	var b strings.Builder
	b.WriteString("mr,ref\n")
	for i := range n {
		fmt.Fprintf(&b, "\"name[%d], food[%d]\",The %d sees the %d.\n", i, i%7, i, i%7)
	}
	return write(t, t.TempDir(), "pairs.csv", b.String())
}

// finetune are the flags of a fine-tuning that takes an instant.
func finetune(t *testing.T, out string, more ...string) []string {
	return finetuneOn(t, table(t, 60), out, more...)
}

// finetuneOn is finetune on the pairs of a file.
func finetuneOn(t *testing.T, data, out string, more ...string) []string {
	return append([]string{"finetune", "--from", baseModel(t), "--data", data, "--out", out, "--val-fraction", "0.2", "--steps", "4",
		"--batch-tokens", "300", "--warmup", "1", "--lr", "1e-3", "--threads", "1"}, more...)
}

func TestFinetune(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	var summary struct {
		Steps       int
		ValLoss     float64 `json:"val_loss"`
		First       float64 `json:"first_val_loss"`
		Planned     int64   `json:"planned_bytes"`
		Peak        int64   `json:"peak_bytes"`
		Calibration struct {
			Grid   string
			MaxAbs float64 `json:"max_abs"`
		}
	}
	if err := json.Unmarshal([]byte(mustCall(t, finetune(t, dir, "--json")...).out), &summary); err != nil {
		t.Fatal(err)
	}
	if summary.Steps != 4 || !(summary.ValLoss < summary.First) || summary.Peak != summary.Planned || summary.Calibration.Grid != "20" || !(summary.Calibration.MaxAbs > 0) {
		t.Errorf("summary %+v", summary)
	}
	// The separator of the run comes after a prompt, unless that is verbatim.
	after := mustCall(t, "generate", dir, "--prompt", "name[1]", "--greedy", "--max-tokens", "8", "--json").out
	same := mustCall(t, "generate", dir, "--prompt", "name[1]\n", "--verbatim", "--greedy", "--max-tokens", "8", "--json").out
	other := mustCall(t, "generate", dir, "--prompt", "name[1]", "--verbatim", "--greedy", "--max-tokens", "8", "--json").out
	if ids := promptIDs(t, after); ids != promptIDs(t, same) || ids == promptIDs(t, other) {
		t.Errorf("prompts are %s, verbatim %s and %s", ids, promptIDs(t, same), promptIDs(t, other))
	}
	if r := mustCall(t, "verify", dir); !strings.Contains(r.out, "Exact") {
		t.Errorf("verify says\n%s", r.out)
	}
	if r := mustCall(t, "finetune", "--resume", dir, "--steps", "6"); !strings.Contains(r.out, "Done: 2 steps (of 6)") {
		t.Errorf("resuming says\n%s", r.out)
	}
}

// TestFinetuneSpecial: a special token is one in the separator and ordinary text in a
// prompt, in what is learned and in what is completed.
func TestFinetuneSpecial(t *testing.T) {
	t.Parallel()
	const spelt = "<|endoftext|>"
	pairs := write(t, t.TempDir(), "pairs.csv", "mr,ref\nThe house "+spelt+" x,The garden.\nThe house "+spelt+" x,The road.\n")
	for separator, special := range map[string]int{"\n": 0, " " + spelt: 1, spelt + "\n" + spelt: 2} {
		dir := filepath.Join(t.TempDir(), "run")
		mustCall(t, finetuneOn(t, pairs, dir, "--val-fraction", "0", "--separator", separator, "--steps", "1")...)
		r, err := train.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		sets := r.Task.(*tune.Task)
		n, _ := sets.Set(0).Lengths(0)
		learned := make([]int32, n)
		if _, err := sets.Set(0).Source(learned, 0); err != nil {
			t.Fatal(err)
		}
		end, _ := tokenizer.EndOfText(sets.Source)
		if got := len(slices.DeleteFunc(slices.Clone(learned), func(id int32) bool { return id != end })); got != special {
			t.Errorf("separator %q: %d special tokens in %v", separator, got, learned)
		}
		prompt := "The house " + spelt + " x"
		alone := mustCall(t, "generate", dir, "--prompt", prompt, "--max-tokens", "1", "--json").out
		lines := mustCall(t, "generate", dir, "--input", write(t, t.TempDir(), "prompts", prompt), "--max-tokens", "1", "--json").out
		if want := fmt.Sprint(learned); promptIDs(t, alone) != want || promptIDs(t, lines) != want {
			t.Errorf("separator %q: learned %s, completed %s, and of a file %s", separator, want, promptIDs(t, alone), promptIDs(t, lines))
		}
		verbatim := mustCall(t, "generate", dir, "--prompt", prompt, "--verbatim", "--max-tokens", "1", "--json").out
		if !strings.Contains(promptIDs(t, verbatim), fmt.Sprint(" ", end, " ")) {
			t.Errorf("verbatim %s", promptIDs(t, verbatim))
		}
	}
}

// promptIDs are the tokens of a prompt in the output of generate --json.
func promptIDs(t *testing.T, out string) string {
	t.Helper()
	var r generate.Prompt
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(r.PromptIDs)
}

// A run of adapters holds those, and commands add them to the model they are beside.
func TestFinetuneAdapters(t *testing.T) {
	t.Parallel()
	dir, merged := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "merged")
	mustCall(t, finetune(t, dir, "--lora-rank", "2", "--lora-targets", "all", "--lr", "0.005")...)
	for name, want := range map[string]bool{"adapter_config.json": true, "adapter_model.safetensors": true, "best/adapter_model.safetensors": true, "model.safetensors": false} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s is there: %v", name, err == nil)
		}
	}
	mustCall(t, "export", "--from", dir, "--format", "hf", "--out", merged)
	prompt := []string{"--prompt", "name[3]\n", "--verbatim", "--greedy", "--max-tokens", "20", "--print-ids", "--grid", "none"}
	got := mustCall(t, append([]string{"generate", dir}, prompt...)...).out
	if want := mustCall(t, append([]string{"generate", merged}, prompt...)...).out; got != want {
		t.Errorf("adapters give %s, merged %s", got, want)
	}
	if without := mustCall(t, append([]string{"generate", baseModel(t)}, prompt...)...).out; got == without {
		t.Errorf("adapters change nothing: %s", got)
	}
	for _, command := range []string{"eval", "verify"} {
		mustCall(t, command, dir)
	}
	text := write(t, t.TempDir(), "text.txt", prose(20))
	beside, of := object(t, mustCall(t, "eval", dir, "--text", text, "--json")), object(t, mustCall(t, "eval", merged, "--text", text, "--json"))
	if beside["float_loss"] != of["loss"] {
		t.Errorf("with adapters %v, merged %v", beside, of)
	}
	if r := call(finetune(t, filepath.Join(t.TempDir(), "again"), "--from", dir)...); r.code != cli.ExitFailure || !strings.Contains(r.err, "merge them first") {
		t.Errorf("starting from adapters: %d, %s", r.code, r.err)
	}
}

func TestFinetuneText(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	text := write(t, t.TempDir(), "more.txt", prose(300))
	r := mustCall(t, "finetune", "--from", baseModel(t), "--data", text, "--window", "32", "--freeze", "2", "--batch", "4", "--steps", "4", "--eval-every", "2", "--threads", "1", "--out", dir)
	if !strings.Contains(r.out, "Done: 4 steps") || !strings.Contains(r.err, "Learned are") {
		t.Errorf("%s%s", r.out, r.err)
	}
	mustCall(t, "eval", dir)
}

// outliers is baseModel with a channel of all positions set to value.
func outliers(t *testing.T, value float32) string {
	t.Helper()
	from, dir := baseModel(t), t.TempDir()
	for _, name := range []string{"config.json", "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), readFile(t, from, name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	b := bytes.Clone(readFile(t, from, "model.safetensors"))
	var header map[string]struct {
		Shape   []int
		Offsets []int `json:"data_offsets"`
	}
	data := b[8+binary.LittleEndian.Uint64(b):]
	if err := json.Unmarshal(b[8:len(b)-len(data)], &header); err != nil {
		t.Fatal(err)
	}
	positions := header["wpe.weight"]
	for i := range positions.Shape[0] {
		binary.LittleEndian.PutUint32(data[positions.Offsets[0]+4*(i*positions.Shape[1]+3):], math.Float32bits(value))
	}
	if err := os.WriteFile(filepath.Join(dir, "model.safetensors"), b, 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Outliers of the residual stream take a coarser grid, which the run keeps.
func TestFinetuneOutliers(t *testing.T) {
	t.Parallel()
	for value, want := range map[float32]string{3000: "16", 20_000: "13", 300_000: "9"} {
		dir := filepath.Join(t.TempDir(), "run")
		r := object(t, mustCall(t, finetune(t, dir, "--from", outliers(t, value), "--steps", "1", "--json")...))
		c := r["calibration"].(map[string]any)
		// With gammas of 0.5 a constant channel grows by no more than half.
		if most := c["max_abs"].(float64); c["grid"] != want || most < float64(value) || most > 1.51*float64(value) || most*3 > c["limit"].(float64) {
			t.Errorf("outliers of %v: %v", value, c)
		}
		if d := c["grid_loss"].(float64) - c["float_loss"].(float64); !(math.Abs(d) < 1e-3) {
			t.Errorf("outliers of %v: the grid changes the loss by %v", value, d)
		}
		if text := string(readFile(t, dir, "bdia.yaml")); !strings.Contains(text, "grid: \""+want+"\"") {
			t.Errorf("outliers of %v: the run has\n%s", value, text)
		}
	}
	for _, c := range []struct {
		value float32
		flags string
		code  int
		want  string
	}{
		{20_000, "--grid 20", cli.ExitUsage, "use --grid 13"},
		{5e8, "", cli.ExitFailure, "use --memory recompute --gamma 0 --grid none"},
		{float32(math.NaN()), "", cli.ExitFailure, "is NaN, on every grid and without one"},
		{float32(math.Inf(1)), "", cli.ExitFailure, "is +Inf, on every grid"},
	} {
		dir := filepath.Join(t.TempDir(), "run")
		r := call(append(finetune(t, dir, "--from", outliers(t, c.value)), strings.Fields(c.flags)...)...)
		if _, err := os.Stat(dir); r.code != c.code || !strings.Contains(r.err, c.want) || err == nil {
			t.Errorf("outliers of %v: exit code %d, %s; its folder is there: %v", c.value, r.code, r.err, err == nil)
		}
	}
	mustCall(t, finetune(t, filepath.Join(t.TempDir(), "run"), "--from", outliers(t, 5e8), "--memory", "recompute", "--gamma", "0", "--grid", "none", "--steps", "1")...)
}

// A conversation is learned turn by turn.
func TestFinetuneConversations(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, `{"messages": [{"role": "user", "content": "%d?"}, {"role": "assistant", "content": "%d!"}, {"role": "user", "content": "so"}, {"role": "assistant", "content": "yes"}]}`+"\n", i, i)
	}
	b.WriteString("no JSON\n")
	dir := filepath.Join(t.TempDir(), "run")
	r := object(t, mustCall(t, finetuneOn(t, write(t, t.TempDir(), "chats.jsonl", b.String()), dir, "--json")...))
	p := r["pairs"].(map[string]any)
	if p["read"] != 81. || p["left_out"] != 1. || p["train"].(float64)+p["val"].(float64) != 80 || int(p["val"].(float64))%2 != 0 {
		t.Errorf("pairs %v", p)
	}
}

func TestFinetuneBadInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := write(t, dir, "a.txt", prose(20))
	bad := write(t, dir, "bad.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": 1}\n")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"finetune", "--data", text}, cli.ExitUsage, "--from"},
		{[]string{"finetune", "--from", baseModel(t)}, cli.ExitUsage, "nothing to learn"},
		{[]string{"finetune", "--from", dir, "--data", text}, cli.ExitFailure, "no model"},
		{[]string{"finetune", "--from", trainedRun(t), "--data", table(t, 9)}, cli.ExitFailure, "byte-level BPE"},
		{[]string{"finetune", "--from", baseModel(t), "--data", text, "--separator", ":"}, cli.ExitUsage, "is for pairs"},
		{[]string{"finetune", "--from", baseModel(t), "--data", bad, "--on-bad", "fatal"}, cli.ExitFailure, "line 2"},
		{[]string{"finetune", "--from", baseModel(t), "--data", table(t, 9), "--completion-column", "nope"}, cli.ExitFailure, "no column"},
		{[]string{"finetune", "--from", baseModel(t), "--data", text, "--header"}, cli.ExitUsage, "is for pairs"},
		{[]string{"finetune", "--from", baseModel(t), "--data", text, "--on-long", "fatal"}, cli.ExitUsage, "is for pairs"},
		{finetune(t, "", "--lora-alpha", "4"), cli.ExitUsage, "--lora-rank"},
		{finetune(t, "", "--lora-rank", "2", "--freeze", "4"), cli.ExitUsage, "leave some for adapters"},
		{finetune(t, "", "--separator", "\xff"), cli.ExitUsage, "UTF-8"},
		{[]string{"finetune", "--resume", baseModel(t), "--grid", "auto"}, cli.ExitUsage, "--grid auto"},
		{[]string{"finetune", "--resume", baseModel(t), "--out", "x"}, cli.ExitUsage, "--out"},
		{finetune(t, "", "--window", "65"), cli.ExitUsage, "context of 64"},
		{finetune(t, "", "--freeze", "9"), cli.ExitUsage, "frozen blocks"},
		{finetune(t, "", "--lora-rank", "2", "--lora-targets", "head"), cli.ExitUsage, "adapters at"},
	} {
		if r := call(c.args...); r.code != c.code || !strings.Contains(r.err, c.want) || strings.Count(r.err, "\n") > 1 && c.code != cli.ExitOK {
			t.Errorf("bdia %s: exit code %d, %q; want %d and %q", strings.Join(c.args, " "), r.code, r.err, c.code, c.want)
		}
	}
}

// It learns no images, and its flags, which others share, do not speak of them.
func TestFinetuneHelp(t *testing.T) {
	t.Parallel()
	if r := mustCall(t, "finetune", "--help"); strings.Contains(r.out, "images") || strings.Contains(r.out, "augmentation") || !strings.Contains(r.out, "samples of a step") {
		t.Errorf("it says\n%s", r.out)
	}
}

// A run that was stopped before it began is calibrated when it goes on; settings that
// its weights depend on stay.
func TestFinetuneResume(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	mustCall(t, finetune(t, dir)...)
	if r := call("finetune", "--resume", dir, "--steps", "6", "--separator", " "); r.code != cli.ExitUsage || !strings.Contains(r.err, `separator is "\n"`) {
		t.Errorf("another separator: %d, %s", r.code, r.err)
	}
	if r := call("finetune", "--resume", dir, "--steps", "6", "--lora-rank", "3"); r.code != cli.ExitUsage || !strings.Contains(r.err, "tune.lora.rank is 0 in this run and cannot become 3;") {
		t.Errorf("adapters: %d, %s", r.code, r.err)
	}
	if r := mustCall(t, "finetune", "--resume", dir, "--steps", "5", "--grid", "7"); strings.Contains(r.err, "Loss before training") || strings.Contains(r.err, "Starting from") {
		t.Errorf("a run that has begun says\n%s", r.err)
	}
	unbegun(t, dir)
	r := mustCall(t, "finetune", "--resume", dir, "--json")
	if c := object(t, r)["calibration"].(map[string]any); c["grid"] != "7" || !strings.Contains(r.err, "Loss before training") {
		t.Errorf("calibration %v\n%s", c, r.err)
	}
}

// unbegun makes the run in dir one that was stopped before its first step.
func unbegun(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"state", "best", "checkpoints", "manifest.json", "model.safetensors"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever begins a run with --grid auto, it gets the grid that it needs.
func TestTrainCalibrates(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	from := outliers(t, 20_000)
	mustCall(t, finetune(t, dir, "--from", from)...)
	unbegun(t, dir)
	yaml := strings.Replace(string(readFile(t, dir, configName)), `grid: "13"`, `grid: "9"`, 1)
	fresh := write(t, t.TempDir(), "run.yaml", yaml)
	write(t, dir, configName, yaml)
	if r := call("train", "--resume", dir, "--grid", "20"); r.code != cli.ExitUsage || !strings.Contains(r.err, "use --grid 13") {
		t.Errorf("a grid of one's own: %+v", r)
	}
	write(t, dir, configName, yaml)
	for _, args := range [][]string{{"--resume", dir}, {"--config", fresh, "--out", filepath.Join(t.TempDir(), "new")}} {
		r := mustCall(t, append([]string{"train", "--json"}, args...)...)
		if c := object(t, r)["calibration"].(map[string]any); c["grid"] != "13" || !strings.Contains(r.err, "grid auto") {
			t.Errorf("train %s: calibration %v\n%s", args, c, r.err)
		}
	}
}

// What cannot change in a run is refused, flag by flag.
func TestFinetuneResumeFlags(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ofPairs, ofText := filepath.Join(dir, "pairs"), filepath.Join(dir, "text")
	mustCall(t, finetune(t, ofPairs)...)
	mustCall(t, "finetune", "--from", baseModel(t), "--data", write(t, dir, "more.txt", prose(100)), "--window", "32", "--batch", "2", "--steps", "1", "--threads", "1", "--out", ofText)
	for _, flag := range strings.Split("from=x data=other.csv prompts=x completions=x format=tsv prompt-column=3 completion-column=3 header val=x val-completions=x "+
		"val-fraction=0.3 epochs=5 separator=: loss-on-prompt on-bad=fatal on-long=truncate keep-duplicates batch-tokens=200 window=20 lora-rank=2 lora-alpha=3 freeze=1", " ") {
		name, _, _ := strings.Cut(flag, "=")
		for _, run := range []string{ofPairs, ofText} {
			before := string(readFile(t, run, configName))
			if r := call("finetune", "--resume", run, "--steps", "5", "--"+flag); r.code != cli.ExitUsage || !strings.Contains(r.err, "--"+name) {
				t.Errorf("--%s beside --resume %s: %+v", flag, filepath.Base(run), r)
			}
			if string(readFile(t, run, configName)) != before {
				t.Errorf("--%s has changed the settings of %s", flag, run)
			}
		}
	}
}

// How long a run is changes by steps; the learning rate follows.
func TestFinetuneLonger(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	args := finetune(t, dir, "--epochs", "2")
	i := slices.Index(args, "--steps")
	mustCall(t, slices.Delete(args, i, i+2)...)
	r := call("finetune", "--resume", dir, "--epochs", "3")
	_, steps, ok := strings.Cut(strings.TrimSpace(r.err), "that is --steps ")
	if r.code != cli.ExitUsage || !ok {
		t.Fatalf("more epochs: %+v", r)
	}
	if r := mustCall(t, "finetune", "--resume", dir, "--steps", steps); !strings.Contains(r.err, "The cosine schedule now ends at step "+steps) || !strings.Contains(r.out, "steps (of "+steps+")") {
		t.Errorf("%s%s", r.out, r.err)
	}
	if r := call("finetune", "--resume", dir, "--epochs", "5"); r.code != cli.ExitUsage || !strings.Contains(r.err, "change that with --steps") {
		t.Errorf("epochs of a run that counts steps: %+v", r)
	}
}

// Adapters are of no use beside other weights than those beside which they learned.
func TestFinetuneBaseChanged(t *testing.T) {
	t.Parallel()
	dir, from := filepath.Join(t.TempDir(), "run"), outliers(t, 1)
	mustCall(t, finetune(t, dir, "--from", from, "--lora-rank", "2")...)
	write(t, from, "model.safetensors", string(readFile(t, outliers(t, 2), "model.safetensors")))
	for _, command := range []string{"eval RUN", "eval RUN --best", "generate RUN/best --prompt a", "verify RUN", "finetune --resume RUN --steps 6", "export --from RUN --format hf --out RUN.out"} {
		if r := call(strings.Fields(strings.ReplaceAll(command, "RUN", dir))...); r.code != cli.ExitFailure || !strings.Contains(r.err, "not those from which the run started") {
			t.Errorf("%s: %+v", command, r)
		}
	}
}

// Nothing held out is nothing to evaluate: what to try next takes what was learned.
func TestFinetuneAllPairs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	r := mustCall(t, finetune(t, dir, "--val-fraction", "0")...)
	if !strings.Contains(r.out, "bdia eval "+dir+" --split train") {
		t.Errorf("it says\n%s", r.out)
	}
	mustCall(t, "eval", dir, "--split", "train")
	if r := mustCall(t, "plan", "--config", filepath.Join(dir, configName)); !strings.Contains(r.out, "total") {
		t.Errorf("the plan is\n%s", r.out)
	}
}

// A fine-tuning that only does harm has no best weights, and commands say so.
func TestFinetuneNoBest(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	if r := mustCall(t, finetune(t, dir, "--lr", "1", "--schedule", "constant", "--eval-every", "1", "--steps", "1")...); !strings.Contains(r.out, "at step 0, before it learned") {
		t.Errorf("the run says\n%s", r.out)
	}
	for _, args := range [][]string{{"eval", dir, "--best"}, {"eval", dir + "/best"}, {"export", "--from", dir, "--best", "--format", "hf", "--out", dir + "-hf"}} {
		if r := call(args...); r.code != 1 || !strings.Contains(r.err, "no best weights") {
			t.Errorf("%s: exit %d, %s", args, r.code, r.err)
		}
	}
}
