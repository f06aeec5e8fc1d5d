package tokenizer

import (
	"fmt"
	"slices"
)

// BeyondError is the error of Encode for text with an added token that the model's table of tokens does not reach: see
// Limit. It wraps ErrID.
type BeyondError struct {
	Token string // its spelling
	ID    int32
	Vocab int // tokens of the model
}

// Error names the token and both numbers.
func (e *BeyondError) Error() string {
	return fmt.Sprintf("tokenizer: %v: the text has the added token %q with id %d, and the model has only the ids 0 to %d; leave it out of the text",
		ErrID, e.Token, e.ID, e.Vocab-1)
}

// Unwrap returns ErrID.
func (e *BeyondError) Unwrap() error { return ErrID }

// Limit returns tok for a model of vocab tokens. A tokenizer may have more: tokens for padding and the like, added
// after the model was trained. They are left out, and Encode of a text that spells one is a BeyondError. A tokenizer
// with other tokens beyond vocab is of another model: ErrFormat.
func Limit(tok Tokenizer, vocab int) (Tokenizer, error) {
	n := tok.VocabSize()
	if n <= vocab {
		return tok, nil
	}
	b, ok := tok.(*BPE)
	if ok {
		for id := vocab; id < n; id++ {
			_, added := b.Spelling(int32(id))
			ok = ok && added
		}
		for _, m := range b.merges {
			ok = ok && int(m.id) < vocab
		}
		for _, id := range b.bytes {
			ok = ok && int(id) < vocab
		}
		ok = ok && int(b.unknown) < vocab
		for _, id := range slices.Concat(b.pipe.before, b.pipe.after) {
			ok = ok && int(id) < vocab
		}
		for c := 0; b.spare != nil && c < len(b.spare); c++ {
			ok = ok && int(b.spare[c]) < vocab
		}
	}
	if !ok {
		return nil, fmt.Errorf("tokenizer: %w: it has %d tokens, and the model %d", ErrFormat, n, vocab)
	}
	limited := *b
	limited.ends = b.ends[:vocab]
	limited.index = b.index.below(b, vocab)
	limited.added = slices.Clone(b.added)
	limited.added = slices.DeleteFunc(limited.added, func(t AddedToken) bool { return int(t.ID) >= vocab })
	for r, id := range limited.roles {
		if int(id) >= vocab {
			limited.roles[r] = -1
		}
	}
	return &limited, nil
}
