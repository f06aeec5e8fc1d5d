//go:build clients

package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// TestClientTransformersJS: transformers.js loads the ONNX folder of a run as it is,
// reads prompts as we do, and writes what bdia generate writes.
func TestClientTransformersJS(t *testing.T) {
	testkit.Clients(t)
	const tokens = "150"
	dir := t.TempDir()
	text := write(t, dir, "text", strings.Repeat(prose(4), 200))
	run, folder := filepath.Join(dir, "run"), filepath.Join(dir, "models", "house")
	mustCall(t, "train", "--data", text, "--out", run, "--tokenizer", "bpe", "--bpe-vocab", "320", "--layers", "2", "--heads", "2", "--width", "64",
		"--context", "256", "--batch", "4", "--steps", "100", "--lr", "5e-3", "--eval-every", "0", "--threads", "2")
	mustCall(t, "export", "--from", run, "--format", "onnx", "--out", folder)

	prompts := []string{"The house", "a", "The" + tokenizer.EndOfTextToken + " The river", "Zeilen\n\n  👩‍👩‍👧‍👦\u00a0\tof ½ things I'll"}
	var got [][]struct {
		IDs, Generated []int32
		Text           string
	}
	testkit.Node(t, filepath.Join("testdata", "transformers.mjs"), map[string]any{"folders": []string{folder}, "prompts": prompts, "tokens": 150}, &got)
	if len(got) != 1 || len(got[0]) != len(prompts) {
		t.Fatalf("answers to other questions: %v", got)
	}
	for i, prompt := range prompts {
		var want generate.Prompt
		out := mustCall(t, "generate", run, "--prompt", prompt, "--greedy", "--ignore-eos", "--max-tokens", tokens, "--grid", "none", "--json").out
		if err := json.Unmarshal([]byte(out), &want); err != nil {
			t.Fatal(err)
		}
		js, ours := got[0][i], want.Continuations[0]
		if !slices.Equal(js.IDs, want.PromptIDs) {
			t.Errorf("%q is %v, want %v", prompt, js.IDs, want.PromptIDs)
		}
		if !slices.Equal(js.Generated, ours.IDs) || js.Text != ours.Text {
			t.Errorf("%q is continued by %v, %q,\nwant %v, %q", prompt, js.Generated, js.Text, ours.IDs, ours.Text)
		}
	}
}

// TestClientTransformersJSImages: transformers.js classifies with the ONNX folder of a
// run as it is, and gives our logits and names.
func TestClientTransformersJSImages(t *testing.T) {
	testkit.Clients(t)
	run, folder := imageRun(t), filepath.Join(t.TempDir(), "images")
	mustCall(t, "export", "--from", run, "--format", "onnx", "--out", folder)
	f, err := hub.Open(run, hub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, side := sampleFor(t.Context(), f).Images, f.ViTInfo.Config.Image
	want := make([]float32, b.Size*f.ViTInfo.Config.Classes)
	m, err := f.ViT(backend.Options{Threads: 1}, func(m *model.ViT) error { return m.Logits(want, b, bdia.NoGrid, 0) })
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Logits(want, b, bdia.NoGrid, 0); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Logits []float32
		Labels []string
		Size   int
	}
	testkit.Node(t, filepath.Join("testdata", "classify.mjs"), map[string]any{"folder": folder, "pixels": b.Pixels, "dims": []int{b.Size, 3, side, side}}, &got)
	testkit.Near(t, "logits", got.Logits, want, 1e-4)
	if !slices.Equal(got.Labels, f.ViTInfo.Labels) || got.Size != side {
		t.Errorf("labels %q, size %d; want %q, %d", got.Labels, got.Size, f.ViTInfo.Labels, side)
	}
}
