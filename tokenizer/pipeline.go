package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/bdia-go/bdia/internal/jsonfile"
)

// A tokenizer.json describes a pipeline: normalizer, pre-tokenizer, model,
// post-processor, decoder. This package implements GPT-2's pipeline and accepts a
// file if its pipeline has the same result.

// component is a part of the pipeline, of any type, with the fields that matter.
type component struct {
	Type           string          `json:"type"`
	AddPrefixSpace *bool           `json:"add_prefix_space,omitempty"`
	TrimOffsets    *bool           `json:"trim_offsets,omitempty"`
	UseRegex       *bool           `json:"use_regex,omitempty"`
	Pattern        json.RawMessage `json:"pattern,omitempty"`  // of Split
	Behavior       string          `json:"behavior,omitempty"` // of Split
	Invert         bool            `json:"invert,omitempty"`   // of Split
	Single         json.RawMessage `json:"single,omitempty"`   // of TemplateProcessing

	// A Sequence has its parts under one of these names.
	PreTokenizers []component `json:"pretokenizers,omitempty"`
	Normalizers   []component `json:"normalizers,omitempty"`
	Processors    []component `json:"processors,omitempty"`
	Decoders      []component `json:"decoders,omitempty"`
}

// part is a component that is a field of tokenizer.json. Its size is limited, so
// that a hostile file does not become gigabytes of components.
type part component

const maxPart = 64 << 10

// UnmarshalJSON rejects more than maxPart bytes.
func (p *part) UnmarshalJSON(b []byte) error {
	if len(b) > maxPart {
		return fmt.Errorf("a part of the pipeline has %d bytes, at most %d are read", len(b), maxPart)
	}
	return jsonfile.Unmarshal(b, (*component)(p))
}

// parts returns the components of a Sequence, or p itself; none for nil.
func (p *part) parts() []component { return (*component)(p).parts() }

// byteLevel returns GPT-2's ByteLevel part.
func byteLevel(prefixSpace bool) *part {
	yes := true
	return &part{Type: "ByteLevel", AddPrefixSpace: &prefixSpace, TrimOffsets: &yes, UseRegex: &yes}
}

// parts returns the components of a Sequence, or c itself; none for nil.
func (c *component) parts() []component {
	if c == nil {
		return nil
	}
	if c.Type != "Sequence" {
		return []component{*c}
	}
	var list []component
	for _, seq := range [][]component{c.PreTokenizers, c.Normalizers, c.Processors, c.Decoders} {
		for i := range seq {
			list = append(list, seq[i].parts()...)
		}
	}
	return list
}

// wordPatterns are the spellings of GPT-2's word pattern in published files.
var wordPatterns = []string{
	`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
	`'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
}

// splitsWords reports whether c is a Split into GPT-2's words.
func (c *component) splitsWords() bool {
	var pattern struct{ Regex string }
	if c.Type != "Split" || json.Unmarshal(c.Pattern, &pattern) != nil {
		return false
	}
	// The pattern matches all of a text, so there is nothing between matches for an
	// inverted Removed to remove.
	if c.Behavior != "Isolated" && !(c.Behavior == "Removed" && c.Invert) {
		return false
	}
	return pattern.Regex == wordPatterns[0] || pattern.Regex == wordPatterns[1]
}

// check returns an error if the pipeline differs from GPT-2's.
func (j *tokenizerJSON) check() error {
	if n := j.Normalizer.parts(); len(n) > 0 {
		return fmt.Errorf("a normalizer (%.80s) is not supported", n[0].Type)
	}
	pre := j.PreTokenizer.parts()
	regex := len(pre) == 2 && pre[0].splitsWords()
	if regex {
		pre = pre[1:]
	}
	switch {
	case len(pre) == 0:
		return errors.New("there is no pre-tokenizer; only ByteLevel, GPT-2's, is supported")
	case pre[0].Type != "ByteLevel":
		return fmt.Errorf("the pre-tokenizer %.80s is not ByteLevel with GPT-2's word boundaries; others are not supported", pre[0].Type)
	case len(pre) > 1:
		return fmt.Errorf("a pre-tokenizer %.80s together with ByteLevel is not supported", pre[1].Type)
	case pre[0].AddPrefixSpace == nil || *pre[0].AddPrefixSpace:
		return errors.New("a pre-tokenizer with add_prefix_space is not supported")
	case (pre[0].UseRegex == nil || *pre[0].UseRegex) == regex:
		return errors.New("a pre-tokenizer with use_regex that splits words differently from GPT-2 is not supported")
	}
	for _, p := range j.PostProcessor.parts() {
		var single []struct{ SpecialToken any }
		adds := p.Type == "TemplateProcessing" && (json.Unmarshal(p.Single, &single) != nil || len(single) != 1 || single[0].SpecialToken != nil)
		if adds || p.Type != "ByteLevel" && p.Type != "TemplateProcessing" {
			return fmt.Errorf("a post-processor that adds tokens (%.80s) is not supported; remove it from the file if the model is to do without them", p.Type)
		}
	}
	for _, d := range j.Decoder.parts() {
		if d.Type != "ByteLevel" {
			return fmt.Errorf("a decoder other than ByteLevel (%.80s) is not supported", d.Type)
		}
	}
	set := func(s *string) bool { return s != nil && *s != "" }
	m := &j.Model
	for _, c := range []struct {
		bad  bool
		what string
	}{
		{m.Dropout != nil && *m.Dropout != 0, "dropout"},
		{set(m.Prefix), "continuing_subword_prefix"},
		{set(m.Suffix), "end_of_word_suffix"},
		{m.ByteFallback, "byte_fallback"},
		{m.IgnoreMerges, "ignore_merges"},
	} {
		if c.bad {
			return fmt.Errorf("%s of the model is not supported", c.what)
		}
	}
	return nil
}
