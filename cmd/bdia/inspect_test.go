package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// questions is a CSV of n pairs with a header, an index column without a name, and a row that lacks its answer.
func questions(n int) string {
	var b strings.Builder
	b.WriteString(",question,answer\n0,only a question\n")
	for i := range n {
		b.WriteString(strings.Join([]string{string(rune('1' + i%9)), "What is " + strings.Repeat("x", i+1) + "?", " It is " + strings.Repeat("y", i) + "."}, ",") + "\n")
	}
	return b.String()
}

// TestInspect compares the pictures of small inputs with a golden file.
func TestInspect(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	t.Chdir(t.TempDir())
	transcripts := map[string]string{}
	for name, text := range map[string]string{
		"answers.csv":   questions(60),
		"latin1.csv":    "prompt,completion\ncaf\xe9,x\nth\xe9,y\n",
		"chats.jsonl":   strings.Repeat(`{"messages":[{"role":"user","content":"Hello"},{"role":"assistant","content":"Hi \ud83d\ude00"}]}`+"\n", 3),
		"languages.tsv": strings.Repeat("source\ttarget\n", 1) + "one\tun\ntwo\tdeux\nthree\ttrois\n",
		"empty.jsonl":   "",
		"notes/a.txt":   prose(20),
		"notes/b.md":    "# Words\n\n" + prose(9),
		"notes/c.txt":   "",
		"short.txt":     "One line.\n",
	} {
		if dir := filepath.Dir(name); dir != "." {
			os.MkdirAll(dir, 0o755)
		}
		write(t, ".", name, text)
	}
	for _, name := range []string{"notes", "short.txt", "answers.csv", "latin1.csv", "chats.jsonl", "languages.tsv", "empty.jsonl", "missing.csv"} {
		args := []string{"inspect", name, "--samples", "1"}
		if name == "languages.tsv" {
			args = append(args, "--task", "translation")
		}
		r := call(args...)
		transcript := "$ bdia " + strings.Join(args, " ") + "\n" + r.out + r.err
		transcripts[strings.TrimSuffix(name, filepath.Ext(name))] = transcript
		if bad := name == "latin1.csv" || name == "empty.jsonl" || name == "missing.csv" || name == "short.txt"; bad != (r.code == cli.ExitFailure) || !bad && r.code != cli.ExitOK {
			t.Errorf("%s: exit code %d\n%s", name, r.code, transcript)
		}
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	r := call("inspect", "answers.csv", "latin1.csv", "--json")
	inputs := object(t, r)["inputs"].([]any)
	good, bad := inputs[0].(map[string]any), inputs[1].(map[string]any)
	if r.code != cli.ExitFailure || good["error"] != nil || bad["error"] == "" || good["data"].(map[string]any)["parts"] == nil || bad["data"].(map[string]any)["left_out"] == nil {
		t.Errorf("exit code %d, %v", r.code, inputs)
	}
	t.Chdir(here)
	for name, transcript := range transcripts {
		golden(t, "inspect-"+name, transcript)
	}
}

// measured is what differs from one machine to the next: times, sizes of memory and distributions of made-up colours.
var measured = regexp.MustCompile(`(?m)^(Time|Memory) +.*\n(?:           .*\n)*|^Note +Pixels.*\n(?:           .*\n)*`)

// samplePlace is the line above a sample of the folder photos, which lies elsewhere each time.
var samplePlace = regexp.MustCompile(`Sample\s+\S+/(photos/\S+);\s+lines\s+with\s+>\s+are\s+learned:`)

// TestPreviews compares what runs show before their first step with a golden file.
func TestPreviews(t *testing.T) {
	model := baseModel(t)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	write(t, ".", "answers.csv", questions(60))
	write(t, ".", "text", prose(100))
	if err := writeImages("photos", 4); err != nil {
		t.Fatal(err)
	}
	translation := []string{"train", "translation", "--data", "answers.csv", "--source-column", "question", "--target-column", "answer", "--tokenizer", "char",
		"--layers", "2", "--heads", "2", "--width", "16", "--context", "80", "--epochs", "1"}
	all := ""
	for _, args := range [][]string{
		{"finetune", "--from", model, "--data", "answers.csv", "--grid", "9", "--steps", "12"},
		translation,
		append([]string{"train", "--data", "text"}, tiny("--steps", "20")...),
		append([]string{"train", "--data", "photos", "--val-fraction", "0.5"}, tinyViT()...),
	} {
		r := mustCall(t, append(args, "--dry-run", "--threads", "1")...)
		all += "$ bdia " + strings.ReplaceAll(strings.Join(args, " "), model, "MODEL") + "\n" +
			samplePlace.ReplaceAllString(measured.ReplaceAllString(r.out, "$1 ...\n"), "Sample     $1; lines with > are learned:")
	}
	t.Chdir(here)
	golden(t, "previews", all)
}

// TestLetters: any text comes back as it was, characters past the first plane too.
func TestLetters(t *testing.T) {
	t.Parallel()
	l := letters{}
	for _, text := range []string{"", "café 語\x00", "😀 a 😀 👩‍🚀 𝒳"} {
		ids, _ := l.Encode([]byte(text))
		if got, _ := l.Decode(ids); string(got) != text {
			t.Errorf("%q came back as %q", text, got)
		}
		for _, id := range ids {
			if id < 0 || int(id) >= l.VocabSize() {
				t.Errorf("%q has the id %d", text, id)
			}
		}
	}
}

// TestDryRun: a dry run shows what a run would do, leaves nothing behind, and fails as the run would.
func TestDryRun(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	t.Chdir(t.TempDir())
	write(t, ".", "text", prose(100))
	args := append([]string{"train", "--data", "text", "--dry-run"}, tiny("--steps", "20")...)
	r := mustCall(t, args...)
	for _, want := range []string{"Model ", "Parameters ", "Memory ", "Time "} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
	for n := range 3 {
		r := mustCall(t, append(args, "--show", strconv.Itoa(n))...)
		if got := strings.Count(r.out, "Sample "); got != n {
			t.Errorf("--show %d shows %d samples", n, got)
		}
	}
	if r := call(append(args, "--show", "-1")...); r.code != cli.ExitUsage {
		t.Errorf("--show -1: %+v", r)
	}
	m := object(t, mustCall(t, append(args, "--json")...))
	f, ok := m["forecast"].(map[string]any)
	if !ok || f["steps"] != 20.0 || f["step_seconds"] == nil || f["planned_bytes"] == nil {
		t.Errorf("%v", m)
	}
	write(t, ".", "short", "too short")
	if r := call(append([]string{"train", "--data", "short", "--dry-run"}, tiny()...)...); r.code != cli.ExitFailure {
		t.Errorf("a text too short: %+v", r)
	}
	if all, err := os.ReadDir("."); err != nil || len(all) != 2 {
		t.Errorf("left behind: %v, %v", all, err)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
