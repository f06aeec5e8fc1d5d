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

// spelt is an added token as it is matched: a normalized one in its normal form.
type spelt struct {
	AddedToken
	Spelt string
}

// pass holds the added tokens of one pass.
type pass struct {
	tokens  map[string]spelt
	lengths [256][]int // by first byte: lengths of its tokens, longest first
	longest int
	lstrip  bool // some token has Lstrip
}

// newPass returns the first pass or, of normalized tokens, the second; normal makes the normal form of their spelling.
func newPass(tokens []AddedToken, normalized bool, normal func(string) string) pass {
	p := pass{tokens: map[string]spelt{}}
	for _, t := range tokens {
		if t.Normalized != normalized {
			continue
		}
		text := t.Content
		if normalized {
			text = normal(text)
		}
		if text == "" {
			continue // no text has it
		}
		p.tokens[text] = spelt{t, text}
		l, n := &p.lengths[text[0]], len(text)
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
func (p *pass) find(text []byte, from int) (start int, t spelt, ok bool) {
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
	return len(text), spelt{}, false
}

// passStage cuts the added tokens of one pass out of a text.
type passStage struct {
	c     *cutter
	level int
	next  stage
	word  bool // the character before the part belongs to a word
	skip  int  // a refused match hides others before this offset
	open  bool // the next stage has the beginning of a piece
}

// take leaves bytes at the end that later text could still make part of a match.
func (p *passStage) take(text []byte, final bool) (int, error) {
	b := p.c.b
	pass := &b.passes[p.level]
	done := 0          // bytes of text already encoded
	limit := len(text) // where the next match may start
	for {
		start, t, ok := pass.find(text, p.skip)
		if !final && (!ok || len(text)-start < pass.longest+utf8.UTFMax) { // a longer match, or one before, may appear
			limit = max(p.skip, min(start, len(text)-pass.longest+1))
			break
		}
		if !ok {
			break
		}
		stop := start + len(t.Spelt)
		before := p.word
		if start > 0 {
			before = endsWord(text[:start])
		}
		if t.Special && b.raw || t.SingleWord && (before || startsWord(text[stop:])) {
			p.skip = stop
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
		if _, err := p.hand(text[done:start], true); err != nil {
			return done, err
		}
		if int(t.ID) >= len(b.ends) {
			return done, &BeyondError{Token: t.Content, ID: t.ID, Vocab: len(b.ends)}
		}
		p.c.ids = append(p.c.ids, t.ID)
		p.c.begun = true
		done, p.skip = stop, stop
	}
	if pass.lstrip && !final {
		limit = max(done, trimRight(text, limit))
	}
	n, err := p.hand(text[done:max(done, limit)], final)
	if err != nil {
		return done, err
	}
	if done += n; done > 0 {
		p.word = endsWord(text[:done])
	}
	p.skip = max(0, p.skip-done)
	if final {
		p.word, p.skip = false, 0
	}
	return done, nil
}

// hand hands a part of a piece on, unless nothing is new about it.
func (p *passStage) hand(text []byte, final bool) (int, error) {
	if len(text) == 0 && !(final && p.open) {
		return 0, nil
	}
	p.open = !final
	return p.next.take(text, final)
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
