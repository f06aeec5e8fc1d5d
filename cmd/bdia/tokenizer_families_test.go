package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// TestTokenizersOfFamilies: encode gives the ids of Hugging Face's library with the token that begins a text, decode
// gives the text back, and info says what the tokenizer is.
func TestTokenizersOfFamilies(t *testing.T) {
	t.Parallel()
	dir := testkit.SharedPath(t, "llm", "tokenizers_mini")
	stories, smol := filepath.Join(dir, "stories260K"), filepath.Join(dir, "smollm_mini")
	text := "Once upon a time, ½ 日"
	ids := callWith(t.Context(), text, "tokenizer", "encode", stories)
	bare := callWith(t.Context(), text, "tokenizer", "encode", stories, "--bare")
	if ids.out != "1\n"+bare.out || bare.out == "" {
		t.Errorf("%q with the begin, %q without", ids.out, bare.out)
	}
	if back := callWith(t.Context(), bare.out, "tokenizer", "decode", stories); strings.TrimSuffix(back.out, "\n") != text {
		t.Errorf("%q came back as %q %s", text, back.out, back.err)
	}
	for folder, want := range map[string][]string{
		stories: {"BPE of characters of 512 tokens, 3 of them added\n", "Before a text  <s>\n", "End of a text  </s>\n"},
		smol:    {"byte-level BPE of 938 tokens, 3 of them added\n", "Words          \\p{N}\nWords          's|", "Without token  21 bytes: 04 06 13 "},
	} {
		out := mustCall(t, "tokenizer", "info", folder).out
		for _, part := range want {
			if !strings.Contains(out, part) {
				t.Errorf("%s: %q lacks %q", folder, out, part)
			}
		}
	}
}
