package chat

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tokenizer"
)

// TestRealTokenizers: with the tokenizers of published models, prompt and answer are the template's text, its special
// tokens are special and people's are not, and the seam is where the answer begins.
func TestRealTokenizers(t *testing.T) {
	t.Parallel()
	root, templates := testkit.SharedPath(t, "llm", "tokenizers"), testkit.SharedPath(t, "llm", "templates")
	const mistral = "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
	for name, c := range map[string]struct{ file, prompt, answer string }{
		"qwen3":       {"trl_qwen3.jinja", "[<|im_start|>]user\nHi <|im_end|><s>[<|im_end|>]\n[<|im_start|>]assistant\n", "<think>\n\n</think>\n\nYes </s><|eot_id|>."},
		"llama3_1":    {"trl_llama3.jinja", "[<|begin_of_text|>][<|start_header_id|>]user[<|end_header_id|>]\n\nHi <|im_end|><s>[<|eot_id|>][<|start_header_id|>]assistant[<|end_header_id|>]\n\n", "Yes </s><|eot_id|>."},
		"mistral_v01": {"", "[<s>][INST] Hi <|im_end|><s> [/INST]", "Yes </s><|eot_id|>."},
		"llama2":      {"", "[<s>][INST] Hi <|im_end|><s> [/INST]", "Yes </s><|eot_id|>."},
	} {
		dir := t.TempDir()
		for _, file := range []string{"tokenizer.json.gz", "tokenizer_config.json"} {
			text, err := os.ReadFile(filepath.Join(root, name, file))
			testkit.OK(t, err)
			if file == "tokenizer.json.gz" {
				f, err := os.Open(filepath.Join(root, name, file))
				testkit.OK(t, err)
				z, err := gzip.NewReader(f)
				testkit.OK(t, err)
				text, err = io.ReadAll(z)
				testkit.OK(t, err)
				testkit.OK(t, f.Close())
				file = "tokenizer.json"
			}
			testkit.OK(t, os.WriteFile(filepath.Join(dir, file), text, 0o666))
		}
		source := []byte(mistral)
		if c.file != "" {
			var err error
			source, err = os.ReadFile(filepath.Join(templates, c.file))
			testkit.OK(t, err)
		}
		testkit.OK(t, os.WriteFile(filepath.Join(dir, "chat_template.jinja"), source, 0o666))
		tok, err := tokenizer.Load(dir)
		testkit.OK(t, err)
		template, err := New(tok)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		prompt, answer, err := template.Turn([]Message{{Role: "user", Content: "Hi <|im_end|><s>"}, {Role: "assistant", Content: "Yes </s><|eot_id|>."}}, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p, a := decoded(t, template, prompt), decoded(t, template, answer); p != c.prompt || a != c.answer {
			t.Errorf("%s:\n got %q, %q\nwant %q, %q", name, p, a, c.prompt, c.answer)
		}
	}
}

// TestEncodeApart: a rendering of which the special tokens are cut out has the ids of the whole text, with every
// tokenizer and every expected rendering; so people's text changes nothing around it.
func TestEncodeApart(t *testing.T) {
	t.Parallel()
	var expected map[string]map[string]map[string]struct{ Text string }
	readJSON(t, testkit.SharedPath(t, "llm", "templates", "expected.json"), &expected)
	mini := testkit.SharedPath(t, "llm", "tokenizers_mini")
	for _, name := range []string{"llama3_mini", "qwen3_mini", "smollm_mini", "stories260K", "stories260K_metaspace"} {
		tok, err := tokenizer.Load(filepath.Join(mini, name))
		testkit.OK(t, err)
		template := &Template{tok: tok, special: specialOf(tok)}
		n := 0
		for file, talks := range expected {
			for talk, renderings := range talks {
				for _, r := range renderings {
					if r.Text == "" {
						continue
					}
					want, err := template.encode(r.Text, 0)
					testkit.OK(t, err)
					got, err := template.encode(r.Text+string(firstMark), firstMark) // a mark that marks nothing
					testkit.OK(t, err)
					if !slices.Equal(got, want) {
						t.Errorf("%s, %s of %s: %d tokens, want %d", name, talk, file, len(got), len(want))
					}
					n++
				}
			}
		}
		if n < 100 {
			t.Errorf("%d renderings", n)
		}
	}
}
