package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/format/gguf"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/internal/traintest"
)

// TestChatTemplate: a model with a chat template learns by it, generates by it, and an export has it as it was.
func TestChatTemplate(t *testing.T) {
	t.Parallel()
	from, root := traintest.ChatFolder(t), t.TempDir()
	var lines strings.Builder
	for i := range 20 {
		line, err := json.Marshal(map[string]any{"messages": talkMessages(i)})
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(line, '\n'))
	}
	run, data := filepath.Join(root, "run"), write(t, root, "talk.jsonl", lines.String())
	finetunePairs(t, from, data, run)
	if s := string(readFile(t, run, "bdia.yaml")); !strings.Contains(s, "chat_template: true") {
		t.Errorf("the settings do not say so:\n%s", s)
	}
	shown := mustCall(t, "inspect", data, "--from", from, "--samples", "2").out
	if !strings.Contains(shown, "<|im_start|>assistant") || !strings.Contains(shown, "written by the model's chat template") {
		t.Errorf("the samples are not the template's:\n%s", shown)
	}
	ids := mustCall(t, "generate", run, "--prompt", "Hello", "--max-tokens", "1", "--greedy", "--json").out
	if !strings.Contains(ids, "270,") {
		t.Errorf("the prompt is not the template's: %s", ids)
	}
	if ids := mustCall(t, "generate", run, "--prompt", "Hello", "--max-tokens", "1", "--greedy", "--json", "--verbatim").out; strings.Contains(ids, "270,") {
		t.Errorf("the prompt is the template's: %s", ids)
	}
	out := filepath.Join(root, "hf")
	exported(t, "--from", run, "--format", "hf", "--out", out)
	if got := string(readFile(t, out, "chat_template.jinja")); got != traintest.ChatTemplate+"\n" {
		t.Errorf("the export's template is %q", got)
	}
	if card := string(readFile(t, out, "README.md")); !strings.Contains(card, "as its chat template writes them") || !strings.Contains(card, `generate([{"role": "user"`) {
		t.Errorf("the card does not say so:\n%s", card)
	}
	file := filepath.Join(root, "talk.gguf")
	exported(t, "--from", run, "--format", "gguf", "--out", file)
	f, err := gguf.Open(file)
	testkit.OK(t, err)
	defer f.Close()
	for key, want := range map[string]any{"tokenizer.chat_template": traintest.ChatTemplate + "\n", "tokenizer.ggml.eot_token_id": uint32(271)} {
		if got, _ := f.Value(key); got != want {
			t.Errorf("%s of the GGUF file is %v, want %v", key, got, want)
		}
	}
	// A separator of one's own leaves the template aside.
	plain := filepath.Join(root, "plain")
	finetunePairs(t, from, data, plain, "--separator", " ")
	if s := string(readFile(t, plain, "bdia.yaml")); strings.Contains(s, "chat_template") {
		t.Errorf("the template is not left aside:\n%s", s)
	}
}
