//go:build clients

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// TestClientStory: a real trained Llama, fine-tuned and exported, writes in llama.cpp what bdia generate writes; before
// that, its published text.
func TestClientStory(t *testing.T) {
	testkit.Clients(t)
	const prompt = "Once upon a time"
	from := testkit.SharedPath(t, "llm", "stories260K", "hf")
	dir := t.TempDir()
	tuned := filepath.Join(dir, "tuned")
	text := write(t, dir, "house.txt", strings.Repeat(prose(3), 40))
	mustCall(t, "finetune", "--from", from, "--data", text, "--out", tuned, "--steps", "20", "--window", "64", "--batch", "4", "--lr", "1e-3", "--eval-every", "0", "--threads", "2")
	type question struct {
		File   string  `json:"file"`
		Prompt string  `json:"prompt"`
		Tokens int     `json:"tokens"`
		Forced []int32 `json:"forced"`
	}
	var questions []question
	var want []string
	for _, folder := range []string{from, tuned} {
		file := filepath.Join(dir, filepath.Base(folder)+".gguf")
		mustCall(t, "export", folder, "--format", "gguf", "--out", file, "--threads", "1")
		questions = append(questions, question{file, prompt, 100, []int32{1}})
		want = append(want, strings.TrimPrefix(mustCall(t, "generate", folder, "--prompt", prompt, "--greedy", "--max-tokens", "100", "--grid", "none", "--threads", "1").out, prompt))
	}
	const published = ", there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. " +
		"She wanted to play with it, but it was too high.\nLily's mom said, \"Lily, let's go to the park.\" Lily was sad"
	if !strings.HasPrefix(want[0], published) || want[1] == want[0] {
		t.Fatalf("bdia writes %q, want %q; after fine-tuning %q", want[0], published, want[1])
	}
	var got []struct{ Completion string }
	testkit.Node(t, filepath.Join("..", "..", "convert", "testdata", "llama.mjs"), map[string]any{"texts": []string{}, "models": questions}, &got)
	for i := range got {
		if strings.TrimSpace(got[i].Completion) != strings.TrimSpace(want[i]) {
			t.Errorf("%s: llama.cpp writes\n%q\nwant\n%q", filepath.Base(questions[i].File), got[i].Completion, want[i])
		}
	}
}
