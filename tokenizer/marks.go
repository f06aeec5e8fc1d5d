package tokenizer

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// Tokenizers after SentencePiece merge a whole piece of text at a time, with ▁ in place of spaces. No token has, say,
// an e and a ▁ behind it, so nothing is ever merged across the two, and the piece may be cut there: its words are
// merged one by one, with the same tokens.

// mark is SentencePiece's space.
const mark = "▁"

// markWords is the splitter before marks. It does not cut after a character that stands before a mark in some token.
type markWords struct {
	joins map[rune]bool
}

// newMarkWords returns the splitter of b, or false if merges may reach across all marks.
func newMarkWords(b *BPE) (step, bool) {
	m := markWords{joins: map[rune]bool{}}
	if _, ok := b.character([]byte(mark)); !ok || b.ignoreMerges {
		return nil, false
	}
	if b.unknown < 0 && (b.spare == nil || slices.Contains(b.spare[:], -1)) {
		return nil, false // what is left out makes neighbours of the characters around it
	}
	for _, m := range b.merges {
		if b.stands(m.left) || b.stands(m.right) {
			return nil, false
		}
	}
	for id := range b.ends {
		text := b.token(int32(id))
		for at := 1; at < len(text); at++ {
			i := bytes.Index(text[at:], []byte(mark))
			if i < 0 {
				break
			}
			at += i
			r, _ := utf8.DecodeLastRune(text[:at])
			m.joins[r] = true
		}
	}
	return splitStep{m, ""}, true
}

// wordEnd is a splitter's.
func (m markWords) wordEnd(text []byte, at int) (end, seen int) {
	for end = at + 1; end < len(text); end++ {
		i := bytes.Index(text[end:], []byte(mark))
		if i < 0 {
			break
		}
		end += i
		if r, _ := utf8.DecodeLastRune(text[at:end]); !m.joins[r] {
			return end, end
		}
	}
	return len(text), len(text)
}

// splitStep makes a stage of a splitter.
type splitStep struct {
	splitter
	regex string // that it matches; empty: none
}

func (s splitStep) stage(_ *cutter, next stage) stage { return newWordStage(s.splitter, next) }
