package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bdia-go/bdia/internal/jsonfile"
)

// vocabulary is a JSON object from tokens to ids. Unlike a map it rejects
// duplicate keys.
type vocabulary map[string]int32

func (v *vocabulary) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("the vocabulary is not an object of tokens and ids")
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
			return fmt.Errorf("the id of token %.80q is not an integer", key)
		}
		if _, ok := (*v)[key.(string)]; ok {
			return fmt.Errorf("token %.80q occurs twice in the vocabulary", key)
		}
		if len(*v) == maxVocab {
			return fmt.Errorf("the vocabulary has more than %d tokens", maxVocab)
		}
		(*v)[key.(string)] = int32(id)
	}
	return nil
}

// mergePair is a merge in tokenizer.json: "a b" or ["a", "b"].
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
	if err := jsonfile.Unmarshal(b, &list); err != nil {
		return fmt.Errorf("a merge: %w", err)
	}
	if len(list) != 2 {
		return fmt.Errorf("a merge names %d tokens instead of 2", len(list))
	}
	*m = mergePair(list)
	return nil
}

// mergeList is a list of at most 2 maxVocab merges.
type mergeList []mergePair

func (l *mergeList) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return errors.New("the merges are not a list")
	}
	for d.More() {
		if len(*l) == 2*maxVocab {
			return fmt.Errorf("there are more than %d merges", 2*maxVocab)
		}
		var m mergePair
		if err := d.Decode(&m); err != nil {
			return err
		}
		*l = append(*l, m)
	}
	return nil
}

func (m *mergePair) parse(s string) error {
	left, right, ok := strings.Cut(s, " ")
	if !ok || left == "" || right == "" || strings.Contains(right, " ") {
		return fmt.Errorf("merge %.80q is not two tokens with a space between", s)
	}
	*m = mergePair{left, right}
	return nil
}

// addedTokens is a list of at most maxVocab added tokens.
type addedTokens []AddedToken

func (a *addedTokens) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return fmt.Errorf("the added tokens are not a list")
	}
	for d.More() {
		if len(*a) == maxVocab {
			return fmt.Errorf("there are more than %d added tokens", maxVocab)
		}
		var one json.RawMessage
		if err := d.Decode(&one); err != nil {
			return err
		}
		var t AddedToken
		if err := jsonfile.Unmarshal(one, &t); err != nil {
			return fmt.Errorf("added token %d: %w", len(*a)+1, err)
		}
		*a = append(*a, t)
	}
	return nil
}

// tokenizerJSON is the part of Hugging Face's tokenizer.json that concerns a
// byte-level BPE. Fields that do not affect Encode and Decode are skipped.
type tokenizerJSON struct {
	Version       string          `json:"version"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	AddedTokens   addedTokens     `json:"added_tokens"`
	Normalizer    *part           `json:"normalizer"`
	PreTokenizer  *part           `json:"pre_tokenizer"`
	PostProcessor *part           `json:"post_processor"`
	Decoder       *part           `json:"decoder"`
	Model         modelJSON       `json:"model"`
}

type modelJSON struct {
	Type         string     `json:"type"`
	Dropout      *float64   `json:"dropout"`
	UnkToken     *string    `json:"unk_token"`
	Prefix       *string    `json:"continuing_subword_prefix"`
	Suffix       *string    `json:"end_of_word_suffix"`
	FuseUnk      bool       `json:"fuse_unk"`
	ByteFallback bool       `json:"byte_fallback"`
	IgnoreMerges bool       `json:"ignore_merges"`
	Vocab        vocabulary `json:"vocab"`
	Merges       mergeList  `json:"merges"`
}

// parseTokenizerJSON reads tokenizer.json; its errors wrap ErrFormat.
func parseTokenizerJSON(text []byte) (*BPE, error) {
	// Check the kind first: the vocabulary of another kind need not fit the types
	// above.
	var kind struct {
		Model struct {
			Type string `json:"type"`
		} `json:"model"`
	}
	text, err := jsonfile.Clean(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := jsonfile.Unmarshal(text, &kind); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if k := kind.Model.Type; k != "BPE" && k != "" {
		return nil, fmt.Errorf("%w: the model is of type %.80q; only BPE is supported", ErrFormat, k)
	}
	var j tokenizerJSON
	if err := jsonfile.Unmarshal(text, &j); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	pipe, level, err := j.pipeline()
	if err != nil {
		return nil, fmt.Errorf("%w: %w: the ids would differ from the original's", ErrFormat, err)
	}
	s := spec{vocab: j.Model.Vocab, added: j.AddedTokens, merges: j.Model.Merges.pairs(), fallback: j.Model.ByteFallback, pipe: pipe}
	s.chars, s.ignoreMerges, s.fuse = !level, j.Model.IgnoreMerges, j.Model.FuseUnk
	if j.Model.UnkToken != nil {
		s.unknown = *j.Model.UnkToken
	}
	b, err := s.make()
	if err == nil && b.unknown >= 0 && !b.whole {
		b.pipe.gpt2 = false // GPT-2 has no unknown text
	}
	return b, err
}

// pairs returns the merges as pairs of spellings.
func (l mergeList) pairs() [][2]string {
	list := make([][2]string, len(l))
	for i, m := range l {
		list[i] = m
	}
	return list
}

// parsePair reads vocab.json and merges.txt with the settings of the folder's
// other files; its errors wrap ErrFormat.
func parsePair(vocabText, mergesText []byte, s settings) (*BPE, error) {
	var vocab vocabulary
	if !utf8.Valid(mergesText) {
		return nil, fmt.Errorf("%w: the merges are not UTF-8", ErrFormat)
	}
	mergesText = bytes.TrimPrefix(mergesText, []byte("\ufeff"))
	if what := jsonfile.Other(mergesText); what != "" && len(mergesText) > 0 {
		return nil, fmt.Errorf("%w: the merges: %s", ErrFormat, what)
	}
	if err := jsonfile.Decode(vocabText, &vocab); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	added, err := s.tokens(vocab)
	if err != nil {
		return nil, err
	}
	var merges mergeList
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
	return newBPE(vocab, added, merges.pairs())
}

// loadBPE reads a tokenizer.json if merges is empty, else a vocabulary file and a
// file of merges. It also reads the settings files beside them.
func loadBPE(dir, name, merges string) (*BPE, error) {
	s, err := readSettings(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name)
	text, err := readFile(path, maxFile)
	if err != nil {
		return nil, err
	}
	var b *BPE
	if merges == "" {
		b, err = parseTokenizerJSON(text)
	} else {
		var list []byte
		if list, err = readFile(filepath.Join(dir, merges), maxFile); err != nil {
			return nil, err
		}
		path += " with " + merges
		b, err = parsePair(text, list, s)
	}
	if err == nil {
		err = s.check(b)
	}
	if err == nil {
		err = s.assign(b)
	}
	if err == nil {
		err = b.setFrame(&s)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	b.kept = s.kept
	if !b.pipe.gpt2 {
		s.texts[name] = text
		err = b.kept.carry(dir, s.texts)
	}
	return b, cmp.Or(err, b.kept.read(dir, templateFile, maxSettings))
}

// Save writes GPT-2's vocab.json and merges.txt, and for Hugging Face's libraries
// tokenizer.json and tokenizer_config.json. A tokenizer with another pipeline than
// GPT-2's is written as it was read, byte for byte.
func (b *BPE) Save(dir string) error {
	if err := b.kept.write(dir); err != nil || !b.pipe.gpt2 {
		return err
	}
	empty := ""
	j := tokenizerJSON{
		Version:      "1.0",
		AddedTokens:  append(addedTokens{}, b.added...),
		PreTokenizer: byteLevel(false),
		Decoder:      byteLevel(true),
		Model:        modelJSON{Type: "BPE", Prefix: &empty, Suffix: &empty, Vocab: vocabulary{}, Merges: mergeList{}},
	}
	for id := range int32(b.VocabSize()) {
		name, _ := b.Spelling(id)
		j.Model.Vocab[name] = id
	}
	merges := []byte("#version: 0.2\n")
	for left, right := range b.Merges() {
		j.Model.Merges = append(j.Model.Merges, mergePair{left, right})
		merges = fmt.Appendf(merges, "%s %s\n", left, right)
	}
	// tokenizer.json goes last: Load reads it, so a folder with it is complete.
	for _, f := range []struct {
		name  string
		value any
	}{{vocabFile, j.Model.Vocab}, {configFile, b.config()}, {tokenizerFile, j}} {
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

// marshal is json.Marshal without HTML escapes, which would fill "<|endoftext|>".
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return out.Bytes(), err
}
