//go:build clients

package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/internal/testkit"
)

// TestClientLlamaRun: what bdia generate writes with a run that knows its text by
// heart, llama.cpp writes with its GGUF files; not always with that of Q8_0, where
// it rounds the states to 8 bits too.
func TestClientLlamaRun(t *testing.T) {
	testkit.Clients(t)
	type question struct {
		File   string  `json:"file"`
		Prompt string  `json:"prompt"`
		Tokens int     `json:"tokens"`
		Forced []int32 `json:"forced"`
	}
	const prompt, tokens = "The house", 200
	dir := t.TempDir()
	text := write(t, dir, "text", strings.Repeat(prose(4), 200))
	var questions []question
	var want [][]int32
	for kind, vocab := range map[string]string{"char": autoWord, "bpe": "320"} {
		run := filepath.Join(dir, kind)
		mustCall(t, "train", "--data", text, "--out", run, "--tokenizer", kind, "--bpe-vocab", vocab, "--layers", "2", "--heads", "2", "--width", "64",
			"--context", "256", "--batch", "4", "--steps", "200", "--lr", "5e-3", "--eval-every", "0", "--threads", "2")
		var m generate.Prompt
		out := mustCall(t, "generate", run, "--prompt", prompt, "--greedy", "--ignore-eos", "--max-tokens", "200", "--grid", "none", "--json").out
		if err := json.Unmarshal([]byte(out), &m); err != nil {
			t.Fatal(err)
		}
		for _, dtype := range []string{"f32", "f16", "bf16", "q8_0"} {
			file := filepath.Join(dir, kind+"-"+dtype+".gguf")
			mustCall(t, "export", "--from", run, "--format", "gguf", "--dtype", dtype, "--out", file)
			questions = append(questions, question{file, prompt, tokens, m.PromptIDs})
			want = append(want, m.Continuations[0].IDs)
		}
	}
	var got []struct {
		Generated  []int32
		Completion string
	}
	testkit.Node(t, filepath.Join("..", "..", "convert", "testdata", "llama.mjs"), map[string]any{"texts": []string{}, "models": questions}, &got)
	if len(got) != len(want) {
		t.Fatalf("%d answers to %d questions", len(got), len(want))
	}
	for i, q := range questions {
		same := 0
		for same < min(len(want[i]), len(got[i].Generated)) && want[i][same] == got[i].Generated[same] {
			same++
		}
		t.Logf("%s: %d of %d tokens the same", filepath.Base(q.File), same, len(want[i]))
		if !strings.HasSuffix(q.File, "q8_0.gguf") && !slices.Equal(got[i].Generated, want[i]) {
			t.Errorf("%s: %v,\nwant %v; text %q", filepath.Base(q.File), got[i].Generated, want[i], got[i].Completion)
		}
	}
}
