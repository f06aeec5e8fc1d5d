package tokenizer

import (
	"fmt"
	"sync"
	"unicode"
	"unicode/utf8"
)

// GPT-2 splits text into words before it merges bytes, by the pattern
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// wordEnd implements this pattern by hand: Go's regexp has no lookahead, and a
// scanner with a table of classes is two orders of magnitude faster. \s is the
// Unicode property White_Space. A byte that is not part of valid UTF-8 is a
// character of class other, like U+FFFD, by which a decoder would replace it.
// (The reference is defined for valid text only.)

type class uint8

const (
	other class = iota
	letter
	number
	space
)

// classes holds the class of every code point of the basic plane.
var classes = sync.OnceValue(func() *[1 << 16]class {
	t := new([1 << 16]class)
	mark := func(tab *unicode.RangeTable, c class) {
		for _, r := range tab.R16 {
			for x := uint32(r.Lo); x <= uint32(r.Hi); x += uint32(r.Stride) {
				t[x] = c
			}
		}
	}
	mark(unicode.L, letter)
	mark(unicode.N, number)
	mark(unicode.White_Space, space)
	return t
})

// settled is the number of bytes that must follow a word before no later text
// can change it: a white space left for the next word and the character that
// ended the run, each of at most utf8.UTFMax bytes.
const settled = 2 * utf8.UTFMax

// scanner splits text into words.
type scanner struct {
	table *[1 << 16]class
}

func newScanner() scanner { return scanner{classes()} }

// classAt returns the class of the character at text[p] and its length in
// bytes, or length 0 at the end.
func (s scanner) classAt(text []byte, p int) (class, int) {
	if p >= len(text) {
		return other, 0
	}
	if c := text[p]; c < utf8.RuneSelf {
		return s.table[c], 1
	}
	r, n := utf8.DecodeRune(text[p:])
	switch {
	case r < 1<<16:
		return s.table[r], n
	case unicode.Is(unicode.L, r):
		return letter, n
	case unicode.Is(unicode.N, r):
		return number, n
	}
	return other, n
}

// runEnd returns the end of the run of class c that holds text[:p] already.
func (s scanner) runEnd(text []byte, p int, c class) int {
	for p < len(text) {
		b := text[p]
		if b < utf8.RuneSelf {
			if s.table[b] != c {
				return p
			}
			p++
			continue
		}
		k, n := s.classAt(text, p)
		if k != c {
			return p
		}
		p += n
	}
	return p
}

// wordEnd is a splitter's: a word never depends on more than the character after it.
func (s scanner) wordEnd(text []byte, p int) (end, seen int) {
	end = s.gpt2End(text, p)
	return end, end
}

// gpt2End returns the end of the word that begins at text[p], p < len(text).
func (s scanner) gpt2End(text []byte, p int) int {
	c, n := s.classAt(text, p)
	if c != space {
		if text[p] == '\'' {
			if k := contraction(text[p+1:]); k > 0 {
				return p + 1 + k
			}
		}
		return s.runEnd(text, p+n, c)
	}
	if text[p] == ' ' {
		if k, m := s.classAt(text, p+1); m > 0 && k != space {
			return s.runEnd(text, p+1+m, k)
		}
	}
	// The last white space character goes to the next word, unless it is the
	// only one or ends the text.
	last, end := p, p+n
	for {
		k, m := s.classAt(text, end)
		if m == 0 {
			return end
		}
		if k != space {
			break
		}
		last, end = end, end+m
	}
	if last > p {
		return last
	}
	return end
}

// contraction returns the length of the English contraction at the start of t,
// such as 's or 'll, or 0.
func contraction(t []byte) int {
	if len(t) == 0 {
		return 0
	}
	switch t[0] {
	case 's', 't', 'm', 'd':
		return 1
	case 'r', 'v':
		if len(t) > 1 && t[1] == 'e' {
			return 2
		}
	case 'l':
		if len(t) > 1 && t[1] == 'l' {
			return 2
		}
	}
	return 0
}

// A splitter finds the words of a text.
type splitter interface {
	// wordEnd returns the end of the word that begins at text[p], p < len(text). To know it, the splitter has looked at
	// the text up to seen and at most settled bytes more.
	wordEnd(text []byte, p int) (end, seen int)
}

// words calls each with the words of text in order and returns the number of
// bytes they cover. Unless final, it stops before a word that later text could
// change. A word of more than MaxWord bytes is an error that wraps ErrLongWord.
func words(s splitter, text []byte, final bool, each func(word []byte) error) (int, error) {
	p := 0
	for p < len(text) {
		end, seen := s.wordEnd(text, p)
		if !final && seen > len(text)-settled {
			if seen-p > MaxWord+settled {
				return p, longWord(text[p:])
			}
			break
		}
		if end-p > MaxWord {
			return p, longWord(text[p:])
		}
		if err := each(text[p:end]); err != nil {
			return p, err
		}
		p = end
	}
	return p, nil
}

func longWord(text []byte) error {
	return fmt.Errorf("tokenizer: %w: more than %d MiB from %q on; break it with spaces or newlines", ErrLongWord, MaxWord>>20, text[:min(16, len(text))])
}
