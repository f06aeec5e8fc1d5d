package tokenizer

import (
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// TestErrorsAreShort: an error quotes little of a file, however long its lines and names are.
func TestErrorsAreShort(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	for name, files := range map[string]map[string]string{
		"merges":         {"vocab.json": `{"a":0}`, "merges.txt": long},
		"two of merges":  {"vocab.json": `{"a":0}`, "merges.txt": "#version: 0.2\n" + long + " " + long + "\n"},
		"vocab":          {"vocab.json": `{"` + long + `":-1}`, "merges.txt": "a b\n"},
		"vocab twice":    {"vocab.json": `{"` + long + `":0,"` + long + `":1}`, "merges.txt": "a b\n"},
		"vocab number":   {"vocab.json": `{"a":` + strings.Repeat("9", 1000) + `}`, "merges.txt": "a b\n"},
		"type":           {"tokenizer.json": `{"model":{"type":"` + long + `"}}`},
		"key":            {"tokenizer.json": `{"model":{"type":"BPE","vocab":{"a":0},"merges":["` + long + `"]}}`},
		"added":          {"tokenizer.json": `{"added_tokens":[{"id":9,"content":"` + long + `"}],"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}`},
		"pre-tokenizer":  {"tokenizer.json": `{"pre_tokenizer":{"type":"` + long + `"},"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}`},
		"regular":        {"tokenizer.json": `{"pre_tokenizer":{"type":"Split","pattern":{"Regex":"` + long + `("}},"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}`},
		"characters":     {"chars.json": `{"characters":"` + long + `"}`},
		"no JSON":        {"tokenizer.json": long},
		"configuration":  {"tokenizer_config.json": `{"tokenizer_class":"` + long + `","eos_token":"` + long + `"}`, "vocab.json": `{"a":0}`, "merges.txt": ""},
		"special tokens": {"special_tokens_map.json": `{"eos_token":"` + long + `"}`, "vocab.json": `{"a":0}`, "merges.txt": ""},
	} {
		texts := map[string][]byte{}
		for file, text := range files {
			texts[file] = []byte(text)
		}
		_, err := Load(testkit.Folder(t, texts))
		if err != nil && len(err.Error()) > 500 {
			t.Log(name)
		}
		testkit.Refused(t, err)
	}
}
