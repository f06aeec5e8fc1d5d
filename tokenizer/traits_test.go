package tokenizer

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// TestKeptFiles: every file from which another program makes the same tokenizer comes back byte for byte.
func TestKeptFiles(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	b, err := TrainBPE(t.Context(), strings.NewReader("the cat sat on the mat"), TrainOptions{VocabSize: 262})
	testkit.OK(t, err)
	testkit.OK(t, b.Save(from))
	end, _ := b.EndOfText()
	testkit.Repipe(t, from, end, testkit.Pipelines["llama-bpe"])
	for name, text := range map[string]string{templateFile: "{{ messages }}\n", specialFile: `{"eos_token":  "<|endoftext|>"}`, addedFile: `{"<|endoftext|>": 261}`, modelFile: "\x00\xff"} {
		testkit.OK(t, os.WriteFile(filepath.Join(from, name), []byte(text), 0o666))
	}
	tok, err := Load(from)
	testkit.OK(t, err)
	testkit.OK(t, tok.Save(to))
	entries, err := os.ReadDir(from)
	testkit.OK(t, err)
	if len(entries) != 8 {
		t.Fatalf("%d files: %v", len(entries), entries)
	}
	for _, e := range entries {
		want, err := os.ReadFile(filepath.Join(from, e.Name()))
		testkit.OK(t, err)
		if got, err := os.ReadFile(filepath.Join(to, e.Name())); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, %.40q, want %.40q", e.Name(), err, got, want)
		}
	}
}

// TestCuts: ways to cut words are the same in each of their spellings, and only then.
func TestCuts(t *testing.T) {
	t.Parallel()
	of := func(words ...step) *BPE { return &BPE{pipe: pipeline{words: words}} }
	split := func(regex string) step {
		s, err := parsePattern(regex)
		testkit.OK(t, err)
		return splitStep{s, regex}
	}
	possessive := strings.Replace(strings.Replace(testkit.LlamaWords, `]?\p{L}+|`, `]?+\p{L}+|`, 1), `(?i:'s|'t|'re|'ve|'m|'ll|'d)|`, `'(?i:[sdmt]|ll|ve|re)|`, 1)
	for _, tc := range []struct {
		of    *BPE
		words []string
		want  bool
	}{
		{of(split(testkit.LlamaWords)), []string{testkit.LlamaWords}, true},
		{of(split(testkit.LlamaWords)), []string{possessive}, true},
		{of(split(testkit.LlamaWords)), []string{testkit.QwenWords}, false},
		{of(split(testkit.MixedWords)), []string{testkit.QwenWords}, false},
		{of(split(wordPatterns[0])), []string{wordPatterns[1]}, true},
		{of(split(testkit.QwenWords)), []string{wordPatterns[0]}, false},
		{of(digits{true}, split(wordPatterns[0])), []string{`\p{N}`, wordPatterns[0]}, true},
		{of(digits{false}, split(wordPatterns[0])), []string{`\p{N}`, wordPatterns[0]}, false},
		{of(digits{true}, split(wordPatterns[0])), []string{wordPatterns[0]}, false},
		{of(metaspace{mark: mark}), []string{wordPatterns[0]}, false},
	} {
		if got := tc.of.Cuts(tc.words...); got != tc.want {
			t.Errorf("%v cuts like %q: %v", tc.of.Words(), tc.words, got)
		}
	}
}
