package tokenizer

import (
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"
)

// Text is split at added tokens before it is split into words. For example
// "a<|endoftext|>b" becomes the ids of "a", the id of <|endoftext|> and the ids
// of "b". The rules are exactly those in Hugging Face's tokenizers
// (AddedVocabulary). There are two passes: first for the tokens that are not
// normalized, then, in the remaining text, for the normalized ones. A pass takes
// matches from the left, the longest at each place. A refused match (not a
// single word, or special in raw text) still hides the matches that overlap it.

// AddedToken is a token matched in text by its spelling, before any merges. The
// JSON names are the ones in tokenizer.json.
type AddedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`     // the spelling
	SingleWord bool   `json:"single_word"` // no match next to a letter, digit or mark
	Lstrip     bool   `json:"lstrip"`      // the match includes white space before it
	Rstrip     bool   `json:"rstrip"`      // and white space after it
	Normalized bool   `json:"normalized"`  // matched in the second pass
	Special    bool   `json:"special"`     // a control, not text: see Raw
}

// maxAdded limits the length of an added token, in bytes.
const maxAdded = 512

// checkAdded checks the added tokens of a vocabulary.
func checkAdded(vocab map[string]int32, added []AddedToken) error {
	seen := map[string]bool{}
	for _, t := range added {
		id, ok := vocab[t.Content]
		switch {
		case t.Content == "" || seen[t.Content]:
			return fmt.Errorf("%w: the added token %.80q is empty or occurs twice", ErrFormat, t.Content)
		case len(t.Content) > maxAdded:
			return fmt.Errorf("%w: the added token %.20q... has %d bytes, at most %d are supported", ErrFormat, t.Content, len(t.Content), maxAdded)
		case ok && id != t.ID:
			return fmt.Errorf("%w: the added token %.80q has id %d, but %d in the vocabulary", ErrFormat, t.Content, t.ID, id)
		}
		seen[t.Content] = true
	}
	return nil
}

// pass holds the added tokens of one pass.
type pass struct {
	tokens  map[string]AddedToken
	lengths [256][]int // by first byte: lengths of its tokens, longest first
	longest int
	lstrip  bool // some token has Lstrip
}

func newPass(tokens []AddedToken, normalized bool) pass {
	p := pass{tokens: map[string]AddedToken{}}
	for _, t := range tokens {
		if t.Normalized != normalized {
			continue
		}
		p.tokens[t.Content] = t
		l, n := &p.lengths[t.Content[0]], len(t.Content)
		if !slices.Contains(*l, n) {
			*l = append(*l, n)
		}
		p.longest = max(p.longest, n)
		p.lstrip = p.lstrip || t.Lstrip
	}
	for i := range p.lengths {
		slices.SortFunc(p.lengths[i], func(a, b int) int { return b - a })
	}
	return p
}

// find returns the first match in text at or after byte from.
func (p *pass) find(text []byte, from int) (start int, t AddedToken, ok bool) {
	for start := from; start < len(text); start++ {
		for _, n := range p.lengths[text[start]] {
			if n > len(text)-start {
				continue
			}
			if t, ok := p.tokens[string(text[start:start+n])]; ok {
				return start, t, true
			}
		}
	}
	return len(text), AddedToken{}, false
}

// place is the state of one pass over a text that comes in parts.
type place struct {
	word bool // the character before the part belongs to a word
	skip int  // a refused match hides others before this offset
}

// cutter encodes a text that comes in parts. It may leave the end of a part,
// which must come again at the start of the next.
type cutter struct {
	b      *BPE
	s      *scratch
	ids    []int32
	places [2]place
}

// cut appends the ids of text and returns the number of bytes they cover. Text
// is the whole text, or a stretch between the matches of the passes before
// level. Unless final, cut leaves bytes at the end that later text could still
// change.
func (c *cutter) cut(level int, text []byte, final bool) (int, error) {
	if level == len(c.places) {
		return c.b.scan.words(text, final, func(word []byte) { c.ids = c.b.appendWord(c.ids, word, c.s) })
	}
	p, at := &c.b.passes[level], &c.places[level]
	if p.longest == 0 {
		return c.cut(level+1, text, final)
	}
	done := 0          // bytes of text already encoded
	limit := len(text) // where the next match may start
	for {
		start, t, ok := p.find(text, at.skip)
		if !final && (!ok || len(text)-start < p.longest+utf8.UTFMax) { // a longer match, or one before, may appear
			limit = max(at.skip, min(start, len(text)-p.longest+1))
			break
		}
		if !ok {
			break
		}
		stop := start + len(t.Content)
		before := at.word
		if start > 0 {
			before = endsWord(text[:start])
		}
		if t.Special && c.b.raw || t.SingleWord && (before || startsWord(text[stop:])) {
			at.skip = stop
			continue
		}
		if t.Lstrip {
			start = max(done, trimRight(text, start))
		}
		if t.Rstrip {
			if stop = trimLeft(text, stop); !final && len(text)-stop < utf8.UTFMax {
				limit = start
				break
			}
		}
		if start > done {
			if _, err := c.cut(level+1, text[done:start], true); err != nil {
				return done, err
			}
		}
		if int(t.ID) >= len(c.b.ends) {
			return done, &BeyondError{Token: t.Content, ID: t.ID, Vocab: len(c.b.ends)}
		}
		c.ids = append(c.ids, t.ID)
		done, at.skip = stop, stop
		for i := level + 1; i < len(c.places); i++ {
			c.places[i] = place{}
		}
	}
	if p.lstrip && !final {
		limit = max(done, trimRight(text, limit))
	}
	if limit > done {
		n, err := c.cut(level+1, text[done:limit], final)
		if err != nil {
			return done, err
		}
		done += n
	}
	if done > 0 {
		at.word = endsWord(text[:done])
	}
	at.skip = max(0, at.skip-done)
	return done, nil
}

// trimRight returns the start of the white space that ends at text[end]. An end
// inside a character first moves back to the character's start.
func trimRight(text []byte, end int) int {
	for end < len(text) && end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	for end > 0 {
		r, n := utf8.DecodeLastRune(text[:end])
		if !unicode.Is(unicode.White_Space, r) {
			break
		}
		end -= n
	}
	return end
}

// trimLeft returns the end of the white space that begins at text[start].
func trimLeft(text []byte, start int) int {
	for {
		r, n := utf8.DecodeRune(text[start:])
		if !unicode.Is(unicode.White_Space, r) {
			return start
		}
		start += n
	}
}

// endsWord reports whether the last character of text belongs to a word.
func endsWord(text []byte) bool {
	r, n := utf8.DecodeLastRune(text)
	return n > 0 && isWord(r)
}

// startsWord reports whether the first character of text belongs to a word.
func startsWord(text []byte) bool {
	r, n := utf8.DecodeRune(text)
	return n > 0 && isWord(r)
}

// isWord is \w of Unicode's regular expressions (UTS 18, annex C).
func isWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Other_Alphabetic, unicode.Pc, unicode.Join_Control)
}
