package convert

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// familyModels are models of every family, and of what a family's may have. Their vocabularies are set by the tests.
var familyModels = []struct {
	name string
	c    model.GPTConfig
}{
	{"llama", model.GPTConfig{Family: model.Llama, Context: 144, Layers: 3, Heads: 4, KVHeads: 2, Width: 64, MLP: 96, Rope: model.Rope{Theta: 1e4}}},
	{"llama, as Llama 3.2", model.GPTConfig{Family: model.Llama, Context: 144, Layers: 2, Heads: 8, KVHeads: 2, Width: 64, MLP: 96, HeadWidth: 16, Eps: 1e-6,
		Rope: model.Rope{Theta: 5e5, Kind: model.RopeLlama3, Factor: 8, LowFreq: 1, HighFreq: 4, OriginalContext: 64}}},
	{"llama, with biases, linear", model.GPTConfig{Family: model.Llama, Context: 144, Layers: 2, Heads: 4, Width: 64, MLP: 96, Untied: true, AttentionBias: true, MLPBias: true,
		Rope: model.Rope{Theta: 1e4, Kind: model.RopeLinear, Factor: 4}}},
	{"mistral", model.GPTConfig{Family: model.Mistral, Context: 144, Layers: 2, Heads: 4, KVHeads: 2, HeadWidth: 32, Width: 64, MLP: 96, Untied: true, Rope: model.Rope{Theta: 1e6}}},
	{"qwen2", model.GPTConfig{Family: model.Qwen2, Context: 144, Layers: 2, Heads: 4, KVHeads: 1, Width: 64, MLP: 96, Eps: 1e-6, Rope: model.Rope{Theta: 1e6}}},
	{"qwen2, by yarn", model.GPTConfig{Family: model.Qwen2, Context: 144, Layers: 2, Heads: 4, KVHeads: 2, Width: 64, MLP: 96, Untied: true, Eps: 1e-6,
		Rope: model.Rope{Theta: 1e6, Kind: model.RopeYarn, Factor: 4, OriginalContext: 36, BetaFast: 32, BetaSlow: 1}}},
	{"qwen3", model.GPTConfig{Family: model.Qwen3, Context: 144, Layers: 2, Heads: 4, KVHeads: 2, HeadWidth: 32, Width: 64, MLP: 96, Eps: 1e-6, Rope: model.Rope{Theta: 1e6}}},
	{"qwen3, by yarn of its own", model.GPTConfig{Family: model.Qwen3, Context: 144, Layers: 2, Heads: 4, KVHeads: 2, HeadWidth: 32, Width: 64, MLP: 96, Eps: 1e-6,
		Rope: model.Rope{Theta: 1e4, Kind: model.RopeYarn, Factor: 2, OriginalContext: 72, BetaFast: 32, BetaSlow: 1, AttentionFactor: 1.5}}},
}

// split is the JSON of a pre-tokenizer that cuts by a regular expression.
func split(regex string) string {
	text, err := json.Marshal(regex)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{"type":"Split","pattern":{"Regex":%s},"behavior":"Isolated","invert":false}`, text)
}

const noRegex = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`

// pipelines are the parts of tokenizer.json by which the families' byte-level tokenizers differ from GPT-2's, by
// llama.cpp's names.
var pipelines = map[string]map[string]string{
	"gpt-2":     {},
	"llama-bpe": {"pre_tokenizer": sequence(split(llamaWords), noRegex), "ignore_merges": "true", "post_processor": begin("<|endoftext|>", "END")},
	"smaug-bpe": {"pre_tokenizer": sequence(split(llamaWords), noRegex)},
	"qwen2":     {"pre_tokenizer": sequence(split(qwenWords), noRegex), "normalizer": `{"type":"NFC"}`},
	"smollm": {"pre_tokenizer": sequence(`{"type":"Digits","individual_digits":true}`,
		`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`)},
	"tekken": {"pre_tokenizer": sequence(split(mixedWords), noRegex), "ignore_merges": "true"},
}

func sequence(parts ...string) string {
	return `{"type":"Sequence","pretokenizers":[` + strings.Join(parts, ",") + `]}`
}

// begin is the JSON of a post-processor that puts a token before texts.
func begin(token, id string) string {
	return fmt.Sprintf(`{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":%q,"type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{%[1]q:{"id":%[1]q,"ids":[%s],"tokens":[%[1]q]}}}`, token, id)
}

// pipelined returns the tokens and merges of a BPE in another pipeline.
func pipelined(t testing.TB, of *tokenizer.BPE, parts map[string]string) *tokenizer.BPE {
	t.Helper()
	dir := t.TempDir()
	testkit.OK(t, of.Save(dir))
	path := filepath.Join(dir, "tokenizer.json")
	text, err := os.ReadFile(path)
	var file, m map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err == nil {
		err = json.Unmarshal(file["model"], &m)
	}
	testkit.OK(t, err)
	end, _ := of.EndOfText()
	for key, value := range parts {
		if value = strings.ReplaceAll(value, "END", fmt.Sprint(end)); key == "ignore_merges" {
			m[key] = json.RawMessage(value)
		} else {
			file[key] = json.RawMessage(value)
		}
	}
	file["model"], err = json.Marshal(m)
	testkit.OK(t, err)
	text, err = json.Marshal(file)
	testkit.OK(t, err)
	testkit.OK(t, os.WriteFile(path, text, 0o666))
	return load(t, dir)
}

func load(t testing.TB, dir string) *tokenizer.BPE {
	t.Helper()
	tok, err := tokenizer.Load(dir)
	testkit.OK(t, err)
	return tok.(*tokenizer.BPE)
}

// pieces returns a tokenizer after SentencePiece with the given tokens, best first, and the merges that make them as
// Hugging Face's converter lists them. Its normalizer is Llama 2's, or its pre-tokenizer a later one's.
func pieces(t testing.TB, metaspace string, tokens ...string) *tokenizer.BPE {
	t.Helper()
	vocab := map[string]int{"<unk>": 0, "<s>": 1, "</s>": 2}
	for c := range 256 {
		vocab[fmt.Sprintf("<0x%02X>", c)] = 3 + c
	}
	for _, token := range tokens {
		vocab[token] = len(vocab)
	}
	for _, r := range "▁" + strings.Join(tokens, "") {
		if _, ok := vocab[string(r)]; !ok {
			vocab[string(r)] = len(vocab)
		}
	}
	merges := []string{}
	for _, token := range tokens {
		for at := range token {
			_, left := vocab[token[:at]]
			_, right := vocab[token[at:]]
			if left && right {
				merges = append(merges, token[:at]+" "+token[at:])
			}
		}
	}
	normalizer, before := `{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}`, "null"
	if metaspace != "" {
		normalizer, before = "null", fmt.Sprintf(`{"type":"Metaspace","replacement":"▁","prepend_scheme":%q,"split":false}`, metaspace)
	}
	var added []map[string]any
	for id, content := range []string{"<unk>", "<s>", "</s>"} {
		added = append(added, map[string]any{"id": id, "content": content, "special": true})
	}
	text, err := json.Marshal(map[string]any{"added_tokens": added, "normalizer": json.RawMessage(normalizer), "pre_tokenizer": json.RawMessage(before),
		"post_processor": json.RawMessage(begin("<s>", "1")),
		"decoder":        json.RawMessage(`{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}`),
		"model":          map[string]any{"type": "BPE", "vocab": vocab, "merges": merges, "byte_fallback": true, "fuse_unk": true, "unk_token": "<unk>"}})
	testkit.OK(t, err)
	dir := testkit.Folder(t, map[string][]byte{"tokenizer.json": text,
		"tokenizer_config.json": []byte(`{"bos_token":"<s>","eos_token":"</s>","unk_token":"<unk>","pad_token":null}`)})
	return load(t, dir)
}

// someTokens are tokens of English.
func someTokens() (list []string) {
	for _, word := range strings.Fields("▁t he in er ▁a on re ▁the ▁w at en ▁m ▁mo od el ▁model is ▁is ▁model▁ nd ▁and ▁▁ ▁▁▁▁ or es ed ing ▁b ▁f ou ▁of") {
		if !slices.Contains(list, word) {
			list = append(list, word)
		}
	}
	return list
}
