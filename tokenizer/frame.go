package tokenizer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/internal/jsonfile"
)

// A post-processor puts tokens around the ids of a text. For example, Llama 3's puts <|begin_of_text|> before it.

// frame holds these tokens.
type frame struct{ before, after []int32 }

// Around returns the tokens that a tokenizer's files put before and after the ids of a text, which Encode leaves out.
// A text for a model begins with the ones before it. A conversation that a template writes has them already.
func Around(tok Tokenizer) (before, after []int32) {
	if b, ok := tok.(*BPE); ok {
		return slices.Clone(b.pipe.before), slices.Clone(b.pipe.after)
	}
	return nil, nil
}

// EncodePrompt returns the ids of a text that a model is to continue: the tokens that Around returns before it, unless
// the text spells them itself, and its own.
func EncodePrompt(tok Tokenizer, text []byte) ([]int32, error) {
	ids, err := tok.Encode(text)
	before, _ := Around(tok)
	if err != nil || len(before) == 0 || len(ids) >= len(before) && slices.Equal(ids[:len(before)], before) {
		return ids, err
	}
	return append(before, ids...), nil
}

// Part is a part of a text: text, in which the spelling of a special token is ordinary text, or a token.
type Part struct {
	Text []byte
	ID   int32 // of the token, if Text is nil
}

// EncodeParts returns the ids of a text that is put together from parts. They are the ids of the whole text, if its
// special tokens are the ones among the parts. For example, Llama 2's ▁ comes before the first piece only, if its
// tokenizer says so.
func EncodeParts(tok Tokenizer, parts []Part) (ids []int32, err error) {
	b, ok := Raw(tok).(*BPE)
	if !ok {
		for _, p := range parts {
			some := []int32{p.ID}
			if p.Text != nil {
				if some, err = tok.Encode(p.Text); err != nil {
					return nil, err
				}
			}
			ids = append(ids, some...)
		}
		return ids, nil
	}
	c := b.cutter()
	defer func() { c.close(err) }()
	for i, p := range parts {
		if p.Text == nil {
			c.ids, c.begun = append(c.ids, p.ID), true
			continue
		}
		text := p.Text
		if i > 0 && parts[i-1].Text == nil {
			if t, _ := b.addedToken(parts[i-1].ID); t.Rstrip {
				text = text[trimLeft(text, 0):]
			}
		}
		if i+1 < len(parts) && parts[i+1].Text == nil {
			if t, _ := b.addedToken(parts[i+1].ID); t.Lstrip {
				text = text[:trimRight(text, len(text))]
			}
		}
		if _, err := c.first.take(text, true); err != nil {
			return nil, err
		}
	}
	return c.ids, nil
}

// Unframed returns ids without the tokens that Around returns before a text, if they begin with these.
func Unframed(tok Tokenizer, ids []int32) []int32 {
	before, _ := Around(tok)
	if len(ids) >= len(before) && slices.Equal(ids[:len(before)], before) {
		return ids[len(before):]
	}
	return ids
}

func (f *frame) empty() bool { return len(f.before)+len(f.after) == 0 }

// readFrame reads the post-processor.
func readFrame(parts []component) (f frame, err error) {
	for _, c := range parts {
		switch c.Type {
		case "ByteLevel": // changes offsets only
		case "TemplateProcessing":
			one, err := c.template()
			if err != nil {
				return f, err
			}
			f = frame{append(one.before, f.before...), append(f.after, one.after...)}
			if len(f.before)+len(f.after) > maxFrame {
				return f, fmt.Errorf("the post-processor puts more than %d tokens around a text", maxFrame)
			}
		default:
			return f, fmt.Errorf("a post-processor that adds tokens (%.80s) is not supported; remove it from the file if the model is to do without them", c.Type)
		}
	}
	return f, nil
}

// maxFrame is the largest number of tokens around a text.
const maxFrame = 64

// template reads a TemplateProcessing for a single text.
func (c *component) template() (f frame, err error) {
	type named struct {
		ID string `json:"id"`
	}
	var single []struct {
		Special *named `json:"SpecialToken"`
		Text    *named `json:"Sequence"`
	}
	var tokens map[string]struct {
		IDs []int32 `json:"ids"`
	}
	for _, field := range []struct {
		text []byte
		to   any
	}{{c.Single, &single}, {c.Special, &tokens}} {
		if len(field.text) == 0 {
			continue
		}
		if err := jsonfile.Unmarshal(field.text, field.to); err != nil {
			return f, fmt.Errorf("TemplateProcessing: %w", err)
		}
	}
	texts := 0
	for _, piece := range single {
		to := &f.before
		if texts > 0 {
			to = &f.after
		}
		switch {
		case piece.Text != nil:
			texts++
		case piece.Special != nil:
			t, ok := tokens[piece.Special.ID]
			if !ok {
				return f, fmt.Errorf("TemplateProcessing has no ids of the token %.80q", piece.Special.ID)
			}
			*to = append(*to, t.IDs...)
		}
	}
	if texts != 1 {
		return f, errors.New("TemplateProcessing has not one text")
	}
	return f, nil
}

// setFrame checks what is around a text, and makes it what the tokenizer's class has there in Hugging Face's library.
func (b *BPE) setFrame(s *settings) error {
	for _, id := range slices.Concat(b.pipe.before, b.pipe.after) {
		if id < 0 || int(id) >= len(b.ends) {
			return fmt.Errorf("%w: the post-processor adds the token %d, and there are %d", ErrFormat, id, len(b.ends))
		}
	}
	names, ok := rebuilt[strings.TrimSuffix(s.class, "Fast")]
	if !ok || b.pipe.gpt2 {
		return nil
	}
	f := frame{}
	for i, side := range []struct {
		of    role
		add   bool
		where *[]int32
	}{{bos, s.addBOS == nil || *s.addBOS, &f.before}, {eos, s.addEOS != nil && *s.addEOS, &f.after}} {
		if !side.add {
			continue
		}
		id := b.roles[side.of]
		if _, given := s.roles[roleKeys[side.of]]; !given {
			id, _ = b.id(names[i])
		}
		if id < 0 {
			return fmt.Errorf("%w: a %.80s puts its %s around a text, and the files name none", ErrFormat, s.class, roleKeys[side.of])
		}
		*side.where = []int32{id}
	}
	b.pipe.frame = f
	return nil
}

// rebuilt are the classes that put their own tokens around a text, whatever tokenizer.json says: as add_bos_token (true
// unless tokenizer_config.json says otherwise) and add_eos_token say. The tokens here are for files without roles.
var rebuilt = map[string][2]string{
	"LlamaTokenizer":     {"<s>", "</s>"},
	"CodeLlamaTokenizer": {"<s>", "</s>"},
	"GemmaTokenizer":     {"<bos>", "<eos>"},
}
