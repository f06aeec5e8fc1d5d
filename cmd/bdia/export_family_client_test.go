//go:build clients

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// familyFolder makes a folder of a family's model with initial weights and its kind of tokenizer.
func familyFolder(t *testing.T, dir string, f model.Family) {
	t.Helper()
	testkit.OK(t, os.MkdirAll(dir, 0o777))
	end := "<|endoftext|>"
	if f == model.Mistral {
		end = "</s>"
		testkit.OK(t, os.CopyFS(dir, os.DirFS(testkit.Pieces(t, "", testkit.SomeTokens()...))))
	} else {
		tok, err := tokenizer.TrainBPE(t.Context(), strings.NewReader(prose(4)), tokenizer.TrainOptions{VocabSize: 320})
		testkit.OK(t, err)
		testkit.OK(t, tok.Save(dir))
		id, _ := tok.EndOfText()
		testkit.Repipe(t, dir, id, testkit.Pipelines[map[model.Family]string{model.Llama: "llama-bpe", model.Qwen2: "qwen2", model.Qwen3: "smollm", model.Granite: "smollm", model.OLMo2: "llama-bpe"}[f]])
		testkit.OK(t, os.Remove(filepath.Join(dir, "vocab.json")))
	}
	tok, err := tokenizer.Load(dir)
	testkit.OK(t, err)
	id, ok := tokenizer.EndOfText(tok)
	if !ok {
		t.Fatalf("%s: no %s", f, end)
	}
	c := model.GPTConfig{Family: f, Vocab: tok.VocabSize() + 3, Context: 256, Layers: 2, Heads: 4, KVHeads: 2, Width: 64, MLP: 96, Untied: f == model.Mistral, Eps: 1e-6, Rope: model.Rope{Theta: 1e4}}
	switch f {
	case model.Qwen3:
		c.HeadWidth = 32
	case model.Granite:
		c.EmbeddingScale, c.AttentionScale, c.BranchScale, c.LogitsDivisor = 3, 0.2, 0.4, 0.5
	}
	var m *model.GPT
	be, err := backend.Fit(backend.Options{Threads: 1}, func(be backend.Backend) (err error) {
		m, err = model.NewGPT(be, c, bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid})
		return err
	}, nil)
	testkit.OK(t, err)
	defer be.Close()
	m.Init(1)
	var config, weights bytes.Buffer
	testkit.OK(t, convert.WriteGPTInfo(&config, convert.GPTInfo{Config: c, End: &id}))
	testkit.OK(t, convert.WriteGPT(&weights, be, m))
	testkit.OK(t, os.WriteFile(filepath.Join(dir, "config.json"), config.Bytes(), 0o666))
	testkit.OK(t, os.WriteFile(filepath.Join(dir, "model.safetensors"), weights.Bytes(), 0o666))
}

// TestClientFamilies: models of every family, fine-tuned a little and exported, read prompts in llama.cpp and in
// transformers.js as we do, and write what bdia generate writes.
func TestClientFamilies(t *testing.T) {
	testkit.Clients(t)
	dir := t.TempDir()
	text := write(t, dir, "text", strings.Repeat(prose(4), 100))
	prompts := []string{"The house", "a 12 b's", "Zeilen\n\n  of ½ things I'll"}
	type question struct {
		File   string  `json:"file"`
		Prompt string  `json:"prompt"`
		Tokens int     `json:"tokens"`
		Forced []int32 `json:"forced"`
	}
	var folders []string
	var questions []question
	var want [][]generate.Prompt
	for _, f := range model.Families() {
		from, run := filepath.Join(dir, string(f)), filepath.Join(dir, string(f)+"-tuned")
		familyFolder(t, from, f)
		mustCall(t, "finetune", "--from", from, "--data", text, "--out", run, "--steps", "40", "--window", "64", "--batch", "4", "--lr", "5e-3", "--eval-every", "0", "--threads", "2")
		folder, file := filepath.Join(dir, "models", string(f)), filepath.Join(dir, string(f)+".gguf")
		mustCall(t, "export", run, "--format", "onnx", "--out", folder, "--threads", "2")
		mustCall(t, "export", run, "--format", "gguf", "--out", file, "--threads", "2")
		folders = append(folders, folder)
		var ours []generate.Prompt
		for _, prompt := range prompts {
			var p generate.Prompt
			out := mustCall(t, "generate", run, "--prompt", prompt, "--greedy", "--ignore-eos", "--max-tokens", "60", "--grid", "none", "--json", "--threads", "1").out
			testkit.OK(t, json.Unmarshal([]byte(out), &p))
			ours = append(ours, p)
			questions = append(questions, question{file, prompt, 60, []int32{1}})
		}
		want = append(want, ours)
	}
	var js [][]struct{ IDs, Generated []int32 }
	testkit.Node(t, filepath.Join("testdata", "transformers.mjs"), map[string]any{"folders": folders, "prompts": prompts, "tokens": 60}, &js)
	var llama []struct{ Generated []int32 }
	testkit.Node(t, filepath.Join("..", "..", "convert", "testdata", "llama.mjs"), map[string]any{"texts": []string{}, "models": questions}, &llama)
	for i, f := range model.Families() {
		for k, prompt := range prompts {
			p, got := want[i][k], js[i][k]
			ids := p.Continuations[0].IDs
			if !slices.Equal(got.IDs, p.PromptIDs) || !slices.Equal(got.Generated, ids) {
				t.Errorf("%s in transformers.js: %q is %v, want %v; it is continued by %v,\nwant %v", f, prompt, got.IDs, p.PromptIDs, got.Generated, ids)
			}
			if got := llama[i*len(prompts)+k].Generated; !slices.Equal(got, ids) {
				t.Errorf("%s in llama.cpp: %q is continued by %v,\nwant %v", f, prompt, got, ids)
			}
		}
	}
}

// TestClientStory: a real trained Llama, fine-tuned and exported, writes in llama.cpp what bdia generate writes; before
// that, its published text. It learns its text well: of two tokens that are nearly as likely llama.cpp may take the
// other.
func TestClientStory(t *testing.T) {
	testkit.Clients(t)
	const prompt = "Once upon a time"
	from := testkit.SharedPath(t, "llm", "stories260K", "hf")
	dir := t.TempDir()
	tuned := filepath.Join(dir, "tuned")
	text := write(t, dir, "house.txt", strings.Repeat(prose(3), 40))
	mustCall(t, "finetune", "--from", from, "--data", text, "--out", tuned, "--steps", "300", "--window", "64", "--batch", "4", "--lr", "3e-3", "--eval-every", "0", "--threads", "2")
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
