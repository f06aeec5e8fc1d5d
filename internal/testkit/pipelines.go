package testkit

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Regular expressions of words in published tokenizers.
const (
	LlamaWords = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	QwenWords  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	MixedWords = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// Split is the JSON of a pre-tokenizer that cuts by a regular expression.
func Split(regex string) string {
	text, err := json.Marshal(regex)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`{"type":"Split","pattern":{"Regex":%s},"behavior":"Isolated","invert":false}`, text)
}

// NoRegex is the JSON of a ByteLevel that cuts no words.
const NoRegex = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`

// Pipelines are the parts of tokenizer.json by which the families' byte-level tokenizers differ from GPT-2's, by
// llama.cpp's names.
var Pipelines = map[string]map[string]string{
	"gpt-2":     {},
	"llama-bpe": {"pre_tokenizer": Sequence(Split(LlamaWords), NoRegex), "ignore_merges": "true", "post_processor": Begin("<|endoftext|>", "END")},
	"smaug-bpe": {"pre_tokenizer": Sequence(Split(LlamaWords), NoRegex)},
	"qwen2":     {"pre_tokenizer": Sequence(Split(QwenWords), NoRegex), "normalizer": `{"type":"NFC"}`},
	"smollm": {"pre_tokenizer": Sequence(`{"type":"Digits","individual_digits":true}`,
		`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`)},
	"tekken": {"pre_tokenizer": Sequence(Split(MixedWords), NoRegex), "ignore_merges": "true"},
}

// Sequence is the JSON of pre-tokenizers, one after the other.
func Sequence(parts ...string) string {
	return `{"type":"Sequence","pretokenizers":[` + strings.Join(parts, ",") + `]}`
}

// Begin is the JSON of a post-processor that puts a token before texts.
func Begin(token, id string) string {
	return fmt.Sprintf(`{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":%q,"type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{%[1]q:{"id":%[1]q,"ids":[%s],"tokens":[%[1]q]}}}`, token, id)
}

// Repipe gives the byte-level tokenizer in dir other parts of its tokenizer.json: of Pipelines, for example. END in
// them is the id end.
func Repipe(t testing.TB, dir string, end int32, parts map[string]string) {
	t.Helper()
	path := filepath.Join(dir, "tokenizer.json")
	text, err := os.ReadFile(path)
	var file, m map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err == nil {
		err = json.Unmarshal(file["model"], &m)
	}
	OK(t, err)
	for key, value := range parts {
		if value = strings.ReplaceAll(value, "END", fmt.Sprint(end)); key == "ignore_merges" {
			m[key] = json.RawMessage(value)
		} else {
			file[key] = json.RawMessage(value)
		}
	}
	file["model"], err = json.Marshal(m)
	OK(t, err)
	text, err = json.Marshal(file)
	OK(t, err)
	OK(t, os.WriteFile(path, text, 0o666))
}

// Pieces writes a tokenizer after SentencePiece with the given tokens, best first, and the merges that make them as
// Hugging Face's converter lists them. Its normalizer is Llama 2's, or its pre-tokenizer a Metaspace with that scheme.
func Pieces(t testing.TB, metaspace string, tokens ...string) (dir string) {
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
		"post_processor": json.RawMessage(Begin("<s>", "1")),
		"decoder":        json.RawMessage(`{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}`),
		"model":          map[string]any{"type": "BPE", "vocab": vocab, "merges": merges, "byte_fallback": true, "fuse_unk": true, "unk_token": "<unk>"}})
	OK(t, err)
	return Folder(t, map[string][]byte{"tokenizer.json": text,
		"tokenizer_config.json": []byte(`{"bos_token":"<s>","eos_token":"</s>","unk_token":"<unk>","pad_token":null}`)})
}

// SomeTokens are tokens of English.
func SomeTokens() (list []string) {
	for _, word := range strings.Fields("▁t he in er ▁a on re ▁the ▁w at en ▁m ▁mo od el ▁model is ▁is ▁model▁ nd ▁and ▁▁ ▁▁▁▁ or es ed ing ▁b ▁f ou ▁of") {
		if !slices.Contains(list, word) {
			list = append(list, word)
		}
	}
	return list
}
