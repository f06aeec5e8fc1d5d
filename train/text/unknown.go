package text

import (
	"context"
	"fmt"
	"strings"

	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// Values of DataConfig.OnUnknown: what becomes of characters that the tokenizer lacks. ExtendUnknown gives each a new
// token; SkipUnknown leaves them out of the text; FatalUnknown is an UnknownError. Empty is ExtendUnknown in a run that
// goes on with a model and trains all its weights, otherwise FatalUnknown.
const (
	ExtendUnknown = "extend"
	SkipUnknown   = "skip"
	FatalUnknown  = "fatal"
)

// UnknownError is the error of a text with characters that the tokenizer lacks. It wraps tokenizer.ErrUnknown.
type UnknownError struct {
	Characters []data.Character
	Tokenizer  string // its folder
	Vocab      int    // its characters
	Fixed      bool   // it cannot be extended: not all weights learn
}

// Error names the characters, and the place of the first.
func (e *UnknownError) Error() string {
	text := fmt.Sprintf("train: %v: %s of the text %s not among the %d of %s: %s",
		tokenizer.ErrUnknown, kinds(len(e.Characters)), are(len(e.Characters)), e.Vocab, e.Tokenizer, characters(e.Characters))
	if e.Fixed {
		text += "; frozen blocks and adapters cannot learn new ones"
	}
	return text
}

// Unwrap returns tokenizer.ErrUnknown.
func (e *UnknownError) Unwrap() error { return tokenizer.ErrUnknown }

func kinds(n int) string {
	if n == 1 {
		return "1 character"
	}
	return fmt.Sprintf("%d different characters", n)
}

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// characters lists the first of some characters: 'é' (U+00E9, 40 times, first in a.txt, line 3), '…' (3), ..
func characters(list []data.Character) string {
	var parts []string
	for i, c := range list {
		switch {
		case i == 0:
			parts = append(parts, fmt.Sprintf("%q (U+%04X, %d times, first in %s)", c.Rune, c.Rune, c.Count, c.Place))
		case i < 10:
			parts = append(parts, fmt.Sprintf("%q (%d)", c.Rune, c.Count))
		case i == 10:
			parts = append(parts, "..")
		}
	}
	return strings.Join(parts, ", ")
}

// meet looks in the text of src for characters that tok, which has not learned them from it, lacks. It returns the
// tokenizer of the run.
func (t *texts) meet(ctx context.Context, c *Config, src *data.Source, tok tokenizer.Tokenizer, progress train.Progress) (tokenizer.Tokenizer, error) {
	chars, ok := tok.(*tokenizer.Char)
	if !ok || c.Data.Tokenizer == tokenizer.KindChar {
		return tok, nil
	}
	var err error
	t.unknown, err = src.Unknown(ctx, chars.Has, func(n int64) { progress("looking for new characters", n, src.Bytes()) })
	if err != nil || len(t.unknown) == 0 || c.Data.OnUnknown == SkipUnknown {
		return tok, err
	}
	learns := c.Tune.LearnsTokens()
	if !learns || c.Data.OnUnknown == FatalUnknown || c.Data.OnUnknown == "" && c.Tune.From == "" {
		return nil, &UnknownError{t.unknown, c.Data.Tokenizer, chars.VocabSize(), !learns}
	}
	more := make([]rune, len(t.unknown))
	for i, u := range t.unknown {
		more[i] = u.Rune
	}
	return chars.Extend(more), nil
}

// grow gives the model that the run starts from the tokens that tok has more than its own tokenizer.
func (c *Config) grow(tok tokenizer.Tokenizer, more int) {
	c.Model.Vocab, c.Tune.Grown = c.Model.Vocab-c.Tune.Grown, 0
	if c.Data.OnUnknown == SkipUnknown || tok.VocabSize()-more > c.Model.Vocab { // Belongs says it
		return
	}
	if n := tok.VocabSize() - c.Model.Vocab; more > 0 && n > 0 {
		c.Model.Vocab, c.Tune.Grown = c.Model.Vocab+n, n
	}
}

// newcomers describes the characters that tok had lacked.
func (t *texts) newcomers(c Config, p *train.Picture) {
	if len(t.unknown) == 0 {
		return
	}
	if c.Data.OnUnknown == SkipUnknown {
		var n int64
		for _, u := range t.unknown {
			n += u.Count
		}
		p.LeftOut.Count(n, "characters", "that the tokenizer lacks", fmt.Sprintf("%s: %q; %s in all", t.unknown[0].Place, t.unknown[0].Rune, kinds(len(t.unknown))), false)
		return
	}
	p.Notes = append(p.Notes, fmt.Sprintf("New to the tokenizer: %s, %s.", kinds(len(t.unknown)), characters(t.unknown)))
}
