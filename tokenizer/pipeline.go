package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/internal/jsonfile"
)

// A tokenizer.json describes a pipeline: normalizer, pre-tokenizer, model, post-processor, decoder. Each is a part, or
// a sequence of parts, that is known by its name. A file with a part that is not known here is refused: its ids would
// differ from the original's.

// pipeline is what a text goes through, except for added tokens and the model.
type pipeline struct {
	gpt2   bool   // it is GPT-2's, which Save writes by itself
	normal []step // before normalized added tokens are matched
	words  []step // after that
	frame         // of a text
	decoder
}

// gpt2Pipeline returns GPT-2's.
func gpt2Pipeline() pipeline {
	return pipeline{gpt2: true, words: []step{splitStep{newScanner(), wordPatterns[0]}}}
}

// normalForm returns a text as the normalizer leaves it.
func (p *pipeline) normalForm(text string) string {
	var out collector
	var s stage = &out
	for i := len(p.normal) - 1; i >= 0; i-- {
		s = p.normal[i].stage(nil, s)
	}
	_, _ = s.take([]byte(text), true) // a collector takes all
	return string(out)
}

// collector is a stage that keeps text.
type collector []byte

func (c *collector) take(text []byte, _ bool) (int, error) {
	*c = append(*c, text...)
	return len(text), nil
}

// component is a part of the pipeline, of any type, with the fields that matter.
type component struct {
	Type           string          `json:"type"`
	AddPrefixSpace *bool           `json:"add_prefix_space,omitempty"`
	TrimOffsets    *bool           `json:"trim_offsets,omitempty"`
	UseRegex       *bool           `json:"use_regex,omitempty"`
	Pattern        json.RawMessage `json:"pattern,omitempty"`  // of Split, Replace
	Behavior       string          `json:"behavior,omitempty"` // of Split
	Invert         bool            `json:"invert,omitempty"`   // of Split

	Content     string          `json:"content,omitempty"`           // of Replace, Strip
	Prepend     string          `json:"prepend,omitempty"`           // of Prepend
	Start       int             `json:"start,omitempty"`             // of Strip
	Stop        int             `json:"stop,omitempty"`              // of Strip
	Individual  bool            `json:"individual_digits,omitempty"` // of Digits
	Replacement *string         `json:"replacement,omitempty"`       // of Metaspace
	Scheme      *string         `json:"prepend_scheme,omitempty"`    // of Metaspace
	Split       *bool           `json:"split,omitempty"`             // of Metaspace
	Single      json.RawMessage `json:"single,omitempty"`            // of TemplateProcessing
	Special     json.RawMessage `json:"special_tokens,omitempty"`    // of TemplateProcessing

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

// text returns the text or the regular expression that c looks for.
func (c *component) text() (text, regex string, err error) {
	var pattern struct {
		String *string `json:"String"`
		Regex  *string `json:"Regex"`
	}
	if err := jsonfile.Unmarshal(c.Pattern, &pattern); err != nil {
		return "", "", fmt.Errorf("the pattern of %s: %w", c.Type, err)
	}
	switch {
	case pattern.String != nil && *pattern.String != "":
		return *pattern.String, "", nil
	case pattern.Regex != nil && *pattern.Regex != "":
		return "", *pattern.Regex, nil
	}
	return "", "", fmt.Errorf("%s has no pattern", c.Type)
}

// pipeline returns the steps that the file describes. level reports a byte-level vocabulary.
func (j *tokenizerJSON) pipeline() (p pipeline, level bool, err error) {
	if err = p.readNormalizer(j.Normalizer.parts()); err != nil {
		return p, false, err
	}
	if level, err = p.readPreTokenizer(j.PreTokenizer.parts()); err != nil {
		return p, false, err
	}
	if p.frame, err = readFrame(j.PostProcessor.parts()); err != nil {
		return p, false, err
	}
	if p.decoder, err = readDecoder(j.Decoder.parts(), level); err != nil {
		return p, false, err
	}
	p.gpt2 = level && p.isGPT2() && !j.Model.IgnoreMerges
	return p, level, j.Model.check(level)
}

// isGPT2 reports GPT-2's words and nothing else.
func (p *pipeline) isGPT2() bool {
	if len(p.normal) > 0 || len(p.words) != 1 || !p.frame.empty() {
		return false
	}
	s, _ := p.words[0].(splitStep)
	_, ok := s.splitter.(scanner)
	return ok
}

// readNormalizer reads the normalizer.
func (p *pipeline) readNormalizer(parts []component) error {
	for _, c := range parts {
		switch c.Type {
		case "NFC":
			p.normal = append(p.normal, nfc{})
		case "Prepend":
			p.normal = append(p.normal, prepend{c.Prepend})
		case "Replace":
			from, regex, err := c.text()
			if err != nil {
				return err
			}
			if regex != "" {
				return fmt.Errorf("a normalizer that replaces the regular expression %.80q is not supported", regex)
			}
			p.normal = append(p.normal, replace{from, c.Content})
		default:
			return fmt.Errorf("a normalizer (%.80s) is not supported", c.Type)
		}
	}
	return nil
}

// replaced reports whether the normalizer leaves no text with s.
func (p *pipeline) replaced(s string) bool {
	for _, n := range p.normal {
		if r, ok := n.(replace); ok && r.from == s && !strings.Contains(r.to, s) {
			return true
		}
	}
	return false
}

// readPreTokenizer reads the pre-tokenizer.
func (p *pipeline) readPreTokenizer(parts []component) (level bool, err error) {
	for _, c := range parts {
		if level {
			return false, fmt.Errorf("a pre-tokenizer %.80s together with ByteLevel is not supported", c.Type)
		}
		var s step
		switch c.Type {
		case "ByteLevel":
			level = true
			if c.AddPrefixSpace == nil || *c.AddPrefixSpace {
				return false, errors.New("a pre-tokenizer with add_prefix_space is not supported")
			}
			if c.UseRegex == nil || *c.UseRegex {
				s = splitStep{newScanner(), wordPatterns[0]}
			}
		case "Digits":
			s = digits{c.Individual}
		case "Split":
			s, err = p.readSplit(&c)
		case "Metaspace":
			err = p.readMetaspace(&c)
		default:
			err = fmt.Errorf("the pre-tokenizer %.80s is not supported", c.Type)
		}
		if err != nil {
			return false, err
		}
		if s != nil {
			p.words = append(p.words, s)
		}
	}
	return level, nil
}

// readSplit reads a Split; nil: it never cuts.
func (p *pipeline) readSplit(c *component) (step, error) {
	text, regex, err := c.text()
	switch {
	case err != nil:
		return nil, err
	case regex == "" && p.replaced(text):
		return nil, nil
	case regex == "":
		return nil, fmt.Errorf("a pre-tokenizer that splits at the text %.80q is not supported", text)
	}
	// A known pattern matches all of a text, so there is nothing between matches for an inverted Removed to remove.
	if c.Behavior != "Isolated" && !(c.Behavior == "Removed" && c.Invert) {
		return nil, fmt.Errorf("a pre-tokenizer Split with the behavior %.80s is not supported", c.Behavior)
	}
	s, err := parsePattern(regex)
	if err != nil {
		return nil, err
	}
	return splitStep{s, regex}, nil
}

// readMetaspace reads a Metaspace.
func (p *pipeline) readMetaspace(c *component) error {
	m := metaspace{mark: mark, before: always}
	if c.Replacement != nil && *c.Replacement != mark {
		return fmt.Errorf("a Metaspace of %.80q is not supported, only of %q", *c.Replacement, mark)
	}
	if c.AddPrefixSpace != nil && !*c.AddPrefixSpace {
		m.before = never
	}
	if c.Scheme != nil {
		if m.before = slices.Index(schemes[:], *c.Scheme); m.before < 0 {
			return fmt.Errorf("the prepend_scheme %.80q of Metaspace is not known", *c.Scheme)
		}
	}
	p.words = append(p.words, m)
	if c.Split == nil || *c.Split {
		p.words = append(p.words, splitStep{markWords{}, ""})
	}
	return nil
}

// check returns an error for a model that is used in a way that is not known here.
func (m *modelJSON) check(level bool) error {
	set := func(s *string) bool { return s != nil && *s != "" }
	for _, c := range []struct {
		bad  bool
		what string
	}{
		{m.Dropout != nil && *m.Dropout != 0, "dropout"},
		{set(m.Prefix), "continuing_subword_prefix"},
		{set(m.Suffix), "end_of_word_suffix"},
		{m.ByteFallback && level, "byte_fallback beside ByteLevel"},
	} {
		if c.bad {
			return fmt.Errorf("%s of the model is not supported", c.what)
		}
	}
	return nil
}
