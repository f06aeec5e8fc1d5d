package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// vocabulary is a JSON object from tokens to ids. Unlike a map it refuses a key
// that occurs twice.
type vocabulary map[string]int32

func (v *vocabulary) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("the vocabulary is not an object of tokens and ids")
	}
	*v = vocabulary{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		value, err := d.Token()
		if err != nil {
			return err
		}
		number, _ := value.(json.Number)
		id, err := strconv.ParseInt(string(number), 10, 32)
		if err != nil {
			return fmt.Errorf("the id of token %q is not an integer", key)
		}
		if _, ok := (*v)[key.(string)]; ok {
			return fmt.Errorf("token %q occurs twice in the vocabulary", key)
		}
		if len(*v) == maxVocab {
			return fmt.Errorf("the vocabulary has more than %d tokens", maxVocab)
		}
		(*v)[key.(string)] = int32(id)
	}
	return nil
}

// mergePair is a merge as tokenizer.json spells it: "a b" or ["a", "b"].
type mergePair [2]string

func (m *mergePair) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		return m.parse(s)
	}
	var list []string
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	if len(list) != 2 {
		return fmt.Errorf("a merge names %d tokens instead of 2", len(list))
	}
	*m = mergePair(list)
	return nil
}

func (m *mergePair) parse(s string) error {
	left, right, ok := strings.Cut(s, " ")
	if !ok || left == "" || right == "" || strings.Contains(right, " ") {
		return fmt.Errorf("merge %q is not two tokens with a space between", s)
	}
	*m = mergePair{left, right}
	return nil
}

// byteLevel is the pre-tokenizer, decoder or post-processor of that name.
type byteLevel struct {
	Type           string `json:"type"`
	AddPrefixSpace *bool  `json:"add_prefix_space"`
	TrimOffsets    bool   `json:"trim_offsets"`
	UseRegex       *bool  `json:"use_regex"`
}

type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	Lstrip     bool   `json:"lstrip"`
	Rstrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// tokenizerJSON is the part of Hugging Face's tokenizer.json that concerns a
// byte-level BPE. Fields that do not change Encode and Decode are passed over.
type tokenizerJSON struct {
	Version       string          `json:"version"`
	Truncation    any             `json:"truncation"`
	Padding       any             `json:"padding"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  *byteLevel      `json:"pre_tokenizer"`
	PostProcessor any             `json:"post_processor"`
	Decoder       *byteLevel      `json:"decoder"`
	Model         modelJSON       `json:"model"`
}

type modelJSON struct {
	Type         string      `json:"type"`
	Dropout      *float64    `json:"dropout"`
	UnkToken     *string     `json:"unk_token"`
	Prefix       *string     `json:"continuing_subword_prefix"`
	Suffix       *string     `json:"end_of_word_suffix"`
	FuseUnk      bool        `json:"fuse_unk"`
	ByteFallback bool        `json:"byte_fallback"`
	IgnoreMerges bool        `json:"ignore_merges"`
	Vocab        vocabulary  `json:"vocab"`
	Merges       []mergePair `json:"merges"`
}

func loadTokenizerJSON(path string) (*BPE, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	b, err := parseTokenizerJSON(text)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	return b, nil
}

// parseTokenizerJSON reads tokenizer.json; its errors wrap ErrFormat.
func parseTokenizerJSON(text []byte) (*BPE, error) {
	// What kind it is comes first: a file of another kind need not have a
	// vocabulary that the types above can hold.
	var kind struct {
		PreTokenizer *struct {
			Type string `json:"type"`
		} `json:"pre_tokenizer"`
		Model struct {
			Type string `json:"type"`
		} `json:"model"`
	}
	if err := json.Unmarshal(text, &kind); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if k := kind.Model.Type; k != "BPE" && k != "" {
		return nil, fmt.Errorf("%w: the model is of type %q; only byte-level BPE as in GPT-2 is supported", ErrFormat, k)
	}
	if kind.PreTokenizer == nil || kind.PreTokenizer.Type != "ByteLevel" {
		return nil, fmt.Errorf("%w: the pre-tokenizer is not ByteLevel; only GPT-2's word boundaries are supported", ErrFormat)
	}
	var j tokenizerJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	set := func(s *string) bool { return s != nil && *s != "" }
	pre, m := j.PreTokenizer, &j.Model
	for _, c := range []struct {
		bad  bool
		what string
	}{
		{len(j.Normalizer) > 0 && string(j.Normalizer) != "null", "a normalizer"},
		{pre.AddPrefixSpace == nil || *pre.AddPrefixSpace, "a pre-tokenizer with add_prefix_space"},
		{pre.UseRegex != nil && !*pre.UseRegex, "a pre-tokenizer without use_regex"},
		{j.Decoder != nil && j.Decoder.Type != "ByteLevel", "a decoder other than ByteLevel"},
		{m.Dropout != nil && *m.Dropout != 0, "dropout"},
		{set(m.Prefix), "continuing_subword_prefix"},
		{set(m.Suffix), "end_of_word_suffix"},
		{m.ByteFallback, "byte_fallback"},
		{m.IgnoreMerges, "ignore_merges"},
	} {
		if c.bad {
			return nil, fmt.Errorf("%w: %s is not supported: the ids would not be those of the original", ErrFormat, c.what)
		}
	}
	special := map[string]int32{}
	for _, a := range j.AddedTokens {
		if !a.Special {
			return nil, fmt.Errorf("%w: the added token %q is not special: splitting text at added tokens is not supported", ErrFormat, a.Content)
		}
		if id, ok := m.Vocab[a.Content]; ok && id != a.ID {
			return nil, fmt.Errorf("%w: the added token %q has id %d, but %d in the vocabulary", ErrFormat, a.Content, a.ID, id)
		}
		if _, ok := special[a.Content]; ok || a.Content == "" {
			return nil, fmt.Errorf("%w: the added token %q is empty or occurs twice", ErrFormat, a.Content)
		}
		delete(m.Vocab, a.Content)
		special[a.Content] = a.ID
	}
	return newFromPairs(m.Vocab, special, m.Merges)
}

func newFromPairs(vocab, special map[string]int32, merges []mergePair) (*BPE, error) {
	list := make([][2]string, len(merges))
	for i, m := range merges {
		list[i] = m
	}
	return newBPE(vocab, special, list)
}

func loadPair(vocabPath, mergesPath string) (*BPE, error) {
	vocab, err := readFile(vocabPath)
	if err != nil {
		return nil, err
	}
	merges, err := readFile(mergesPath)
	if err != nil {
		return nil, err
	}
	b, err := parsePair(vocab, merges)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s with %s: %w", vocabPath, mergesPath, err)
	}
	return b, nil
}

// parsePair reads vocab.json and merges.txt; its errors wrap ErrFormat.
func parsePair(vocabText, mergesText []byte) (*BPE, error) {
	var vocab vocabulary
	if err := json.Unmarshal(vocabText, &vocab); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	special := map[string]int32{}
	if id, ok := vocab[EndOfTextToken]; ok {
		delete(vocab, EndOfTextToken)
		special[EndOfTextToken] = id
	}
	var merges []mergePair
	n := 0
	for line := range strings.Lines(string(mergesText)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || strings.HasPrefix(line, "#version") {
			continue
		}
		var m mergePair
		if err := m.parse(line); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrFormat, n, err)
		}
		merges = append(merges, m)
	}
	return newFromPairs(vocab, special, merges)
}

// Save writes vocab.json and merges.txt as GPT-2 has them, and tokenizer.json
// and tokenizer_config.json, so that Hugging Face's libraries can read the
// folder too.
func (b *BPE) Save(dir string) error {
	yes, no, empty := true, false, ""
	j := tokenizerJSON{
		Version:      "1.0",
		AddedTokens:  []addedToken{},
		PreTokenizer: &byteLevel{"ByteLevel", &no, true, &yes},
		Decoder:      &byteLevel{"ByteLevel", &yes, true, &yes},
		Model:        modelJSON{Type: "BPE", Prefix: &empty, Suffix: &empty, Vocab: vocabulary{}, Merges: []mergePair{}},
	}
	for id := range int32(b.VocabSize()) {
		name, special := b.Spelling(id)
		if special {
			j.AddedTokens = append(j.AddedTokens, addedToken{ID: id, Content: name, Special: true})
		}
		j.Model.Vocab[name] = id
	}
	merges := []byte("#version: 0.2\n")
	for left, right := range b.Merges() {
		j.Model.Merges = append(j.Model.Merges, mergePair{left, right})
		merges = fmt.Appendf(merges, "%s %s\n", left, right)
	}
	config := map[string]any{
		"tokenizer_class":              "PreTrainedTokenizerFast",
		"add_prefix_space":             false,
		"clean_up_tokenization_spaces": false,
	}
	if b.eot >= 0 {
		config["tokenizer_class"] = "GPT2Tokenizer"
		for _, k := range []string{"bos_token", "eos_token", "unk_token"} {
			config[k] = EndOfTextToken
		}
	}
	// tokenizer.json goes last: it is the one that Load reads, so that a folder
	// with it is complete.
	for _, f := range []struct {
		name  string
		value any
	}{{vocabFile, j.Model.Vocab}, {configFile, config}, {tokenizerFile, j}} {
		text, err := marshal(f.value)
		if err != nil {
			return fmt.Errorf("tokenizer: %s: %w", f.name, err)
		}
		if f.name == tokenizerFile {
			if err := writeFile(dir, mergesFile, merges); err != nil {
				return err
			}
		}
		if err := writeFile(dir, f.name, text); err != nil {
			return err
		}
	}
	return nil
}

// MarshalJSON writes the tokens in the order of their ids.
func (v vocabulary) MarshalJSON() ([]byte, error) {
	names := make([]string, len(v))
	for s, id := range v {
		names[id] = s
	}
	var out bytes.Buffer
	for id, s := range names {
		key, err := marshal(s)
		if err != nil {
			return nil, err
		}
		out.WriteByte("{,"[min(id, 1)])
		fmt.Fprintf(&out, "%s:%d", bytes.TrimSpace(key), id)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// MarshalJSON writes a merge as "a b", which every release of Hugging Face's
// library reads.
func (m mergePair) MarshalJSON() ([]byte, error) { return marshal(m[0] + " " + m[1]) }

// marshal is json.Marshal without escapes for HTML, which "<|endoftext|>" would
// be full of.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return out.Bytes(), err
}
