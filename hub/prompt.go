package hub

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/bdia-go/bdia/tokenizer"
)

// Prompts encodes prompts with a separator after them, as a run that learns prompts and
// completions does. In a prompt the spelling of a special token is ordinary text, in the
// separator it is that token: a separator with one is encoded apart, any other together
// with the prompt. The tokens that begin a text of the tokenizer come first.
type Prompts struct {
	tok  tokenizer.Tokenizer
	text string  // the separator, or
	ids  []int32 // its tokens
}

// TextPrompts returns the encoder of texts to continue, without a separator: in them the
// spelling of a special token is that token.
func TextPrompts(tok tokenizer.Tokenizer) *Prompts { return &Prompts{tok: tok} }

// NewPrompts returns the encoder of prompts for a tokenizer and a separator, which may be
// empty. It fails for a separator that the tokenizer cannot encode.
func NewPrompts(tok tokenizer.Tokenizer, separator string) (*Prompts, error) {
	p := &Prompts{tok: tokenizer.Raw(tok), text: separator}
	ids, err := tok.Encode([]byte(separator))
	if err != nil {
		return nil, fmt.Errorf("the separator %s: %w", strconv.Quote(separator), err)
	}
	if plain, err := p.tok.Encode([]byte(separator)); err != nil || !slices.Equal(ids, plain) {
		p.text, p.ids = "", ids
	}
	return p, nil
}

// Encode returns the tokens of a prompt and of the separator.
func (p *Prompts) Encode(text []byte) ([]int32, error) {
	ids, err := tokenizer.EncodePrompt(p.tok, append(slices.Clip(text), p.text...))
	return append(ids, p.ids...), err
}

// Encoder turns prompts into tokens.
type Encoder interface {
	Encode(text []byte) ([]int32, error)
}

// Prompts returns the encoder of prompts for the folder's language model. In a run that learned prompts and completions
// it writes them as the run did: by the chat template, or with the separator behind. Else it takes the text as it is.
func (f *Folder) Prompts() (Encoder, error) {
	switch {
	case f.Tokenizer == nil:
		return nil, fmt.Errorf("%s: %w", f.Dir, tokenizer.ErrNotFound)
	case f.Chat != nil:
		return f.Chat, nil
	case f.Separator == nil:
		return TextPrompts(f.Tokenizer), nil
	}
	p, err := NewPrompts(f.Tokenizer, *f.Separator)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Dir, err)
	}
	return p, nil
}

// Encode returns the tokens of a prompt for a language model (see Prompts).
func (f *Folder) Encode(prompt string) ([]int32, error) {
	p, err := f.Prompts()
	if err != nil {
		return nil, err
	}
	return p.Encode([]byte(prompt))
}
