package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// The word patterns of models after GPT-2 are of one kind. Their alternatives are, in this order: contractions,
// letters, numbers, other characters, white space with line ends, white space. For example Llama 3's is
//
//	(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
//
// A pattern is recognized by its text, alternative by alternative; a text that is not made of those below is refused.

// alternative is a spelling of one alternative, and what it sets.
type alternative struct {
	text string
	set  func(*pattern)
}

// alternatives are the spellings in the order of a pattern, of which it has one each.
var alternatives = [][]alternative{
	{
		{`(?i:'s|'t|'re|'ve|'m|'ll|'d)|`, func(p *pattern) { p.contraction = contraction2 }},
		{`'(?i:[sdmt]|ll|ve|re)|`, func(p *pattern) { p.contraction = contraction2 }},
		{`(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|`, func(p *pattern) { p.contraction = contractionASCII }},
		{`'s|'t|'re|'ve|'m|'ll|'d|`, func(p *pattern) { p.contraction = contraction }},
		{``, func(*pattern) {}},
	},
	{
		{`[^\r\n\p{L}\p{N}]?\p{L}+|`, func(p *pattern) { p.letters = leadLetters }},
		{`[^\r\n\p{L}\p{N}]?+\p{L}+|`, func(p *pattern) { p.letters = leadLetters }},
		{`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|`,
			func(p *pattern) { p.letters = casedLetters }},
		{`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|`,
			func(p *pattern) { p.letters, p.suffix = casedLetters, true }},
		{` ?\p{L}+|`, func(p *pattern) { p.letters = spaceLetters }},
	},
	{
		{`\p{N}|`, func(p *pattern) { p.digits = 1 }},
		{`\p{N}{1,3}|`, func(p *pattern) { p.digits = 3 }},
		{` ?\p{N}+|`, func(*pattern) {}},
	},
	{
		{` ?[^\s\p{L}\p{N}]+[\r\n]*|`, func(p *pattern) { p.tail = "\r\n" }},
		{` ?[^\s\p{L}\p{N}]++[\r\n]*|`, func(p *pattern) { p.tail = "\r\n" }},
		{` ?[^\s\p{L}\p{N}]+[\r\n/]*|`, func(p *pattern) { p.tail = "\r\n/" }},
		{` ?[^\s\p{L}\p{N}]+|`, func(*pattern) {}},
	},
	{
		{`\s*[\r\n]+|`, func(p *pattern) { p.lines = true }},
		{``, func(*pattern) {}},
	},
	{
		{`\s+(?!\S)|\s+`, func(*pattern) {}},
	},
}

// Kinds of the alternative of letters.
const (
	spaceLetters = iota // a space may come before
	leadLetters         // a character that is no letter, number or line end may come before
	casedLetters        // the same, and capital letters begin a word
)

// pattern is a splitter that tries the alternatives in order.
type pattern struct {
	scanner
	contraction func(t []byte) int // the length of a contraction without its apostrophe; nil: none is a word
	letters     int
	suffix      bool   // contractions belong to the word before
	digits      int    // most numbers of a word; 0: any, after a space too
	tail        string // characters that go with others before them
	lines       bool   // white space with line ends is a word up to the last of them
	cases       *[1 << 16]cased
}

// parsePattern returns the splitter of a pattern's text.
func parsePattern(text string) (splitter, error) {
	p := pattern{scanner: newScanner()}
	if slices.Contains(wordPatterns, text) {
		return p.scanner, nil
	}
	rest := text
next:
	for _, list := range alternatives {
		for _, a := range list {
			if !strings.HasPrefix(rest, a.text) {
				continue
			}
			rest = rest[len(a.text):]
			a.set(&p)
			continue next
		}
		return nil, fmt.Errorf("the word pattern %.200q is not known from %.60q on", text, rest)
	}
	if rest != "" {
		return nil, fmt.Errorf("the word pattern %.200q is not known from %.60q on", text, rest)
	}
	if p.letters == casedLetters {
		p.cases = cases()
	}
	return &p, nil
}

// wordEnd is a splitter's.
func (p *pattern) wordEnd(text []byte, at int) (end, seen int) {
	c, n := p.classAt(text, at)
	if c == letter && p.letters != casedLetters {
		end = p.runEnd(text, at+n, letter)
		return end, end
	}
	if text[at] == '\'' && p.contraction != nil {
		if k := p.contraction(text[at+1:]); k > 0 {
			return at + 1 + k, at + 1 + k
		}
	}
	if end, seen = p.letterEnd(text, at, c, n); end > at {
		return end, seen
	}
	from := at // of a run that may have a space before it
	if text[at] == ' ' {
		if k, m := p.classAt(text, at+1); m > 0 && (k == other || k == number && p.digits == 0) {
			from, c, n = at+1, k, m
		}
	}
	switch c {
	case number:
		end = p.numberEnd(text, from+n)
		return end, end
	case other:
		end = p.runEnd(text, from+n, other)
		for end < len(text) && strings.IndexByte(p.tail, text[end]) >= 0 {
			end++
		}
		return end, end
	}
	return p.spaceEnd(text, at)
}

// letterEnd returns the end of the word of letters at text[at], where a character of class c and n bytes is, or at.
func (p *pattern) letterEnd(text []byte, at int, c class, n int) (end, seen int) {
	if c == letter || c == number || text[at] == '\r' || text[at] == '\n' || p.letters == spaceLetters && text[at] != ' ' {
		n = 0 // nothing comes before the letters
	}
	if p.letters == casedLetters {
		end = p.casedEnd(text, at, n)
		return end, p.caseEnd(text, end, upper|lower)
	}
	if k, m := p.classAt(text, at+n); n > 0 && m > 0 && k == letter {
		at = p.runEnd(text, at+n+m, letter)
	}
	return at, at
}

// numberEnd returns the end of a word of numbers that holds text[:at] already.
func (p *pattern) numberEnd(text []byte, at int) int {
	if p.digits == 0 {
		return p.runEnd(text, at, number)
	}
	for range p.digits - 1 {
		c, n := p.classAt(text, at)
		if n == 0 || c != number {
			break
		}
		at += n
	}
	return at
}

// spaceEnd returns the end of the word of white space at text[at], and the end of all white space there.
func (p *pattern) spaceEnd(text []byte, at int) (end, seen int) {
	last, line := at, at // the last character, the end of the last line
	for seen = at; ; {
		c, n := p.classAt(text, seen)
		if n == 0 || c != space {
			break
		}
		last = seen
		seen += n
		if b := text[last]; b == '\r' || b == '\n' {
			line = seen
		}
	}
	switch {
	case p.lines && line > at:
		return line, seen
	case seen == len(text) || last == at:
		return seen, seen
	}
	return last, seen // the last one goes to the next word
}

// contractionASCII is contraction for letters in any case.
func contractionASCII(t []byte) int {
	var low [2]byte
	for i := range low[:copy(low[:], t)] {
		if low[i] = t[i]; 'A' <= low[i] && low[i] <= 'Z' {
			low[i] += 'a' - 'A'
		}
	}
	return contraction(low[:min(len(t), 2)])
}

// contraction2 is contractionASCII with all letters that Unicode folds to these: ſ is an s.
func contraction2(t []byte) int {
	if r, n := utf8.DecodeRune(t); r == 'ſ' {
		return n
	}
	return contractionASCII(t)
}

// cased are the classes of letters and marks in words that capital letters begin.
type cased uint8

const (
	upper cased = 1 << iota // Lu, Lt, Lm, Lo, M
	lower                   // Ll, Lm, Lo, M
)

// casesOf returns the classes of a character.
func casesOf(r rune) (c cased) {
	if unicode.In(r, unicode.Lm, unicode.Lo, unicode.M) {
		return upper | lower
	}
	if unicode.In(r, unicode.Lu, unicode.Lt) {
		return upper
	}
	if unicode.Is(unicode.Ll, r) {
		return lower
	}
	return 0
}

// cases holds the classes of every code point of the basic plane.
var cases = sync.OnceValue(func() *[1 << 16]cased {
	t := new([1 << 16]cased)
	for r := range rune(len(t)) {
		t[r] = casesOf(r)
	}
	return t
})

// caseAt returns the classes of the character at text[at] and its length.
func (p *pattern) caseAt(text []byte, at int) (cased, int) {
	if at >= len(text) {
		return 0, 0
	}
	r, n := rune(text[at]), 1
	if r >= utf8.RuneSelf {
		r, n = utf8.DecodeRune(text[at:])
	}
	if r < 1<<16 {
		return p.cases[r], n
	}
	return casesOf(r), n
}

// casedEnd returns the end of the word of letters and marks at text[at], or at. A character of lead bytes may come
// before them; a mark may be this character, or one of them.
func (p *pattern) casedEnd(text []byte, at, lead int) int {
	for _, match := range []func([]byte, int) int{p.lowerEnd, p.upperEnd} {
		if end := match(text, at+lead); end > at+lead {
			return p.suffixEnd(text, end)
		}
		if end := match(text, at); end > at {
			return p.suffixEnd(text, end)
		}
	}
	return at
}

// lowerEnd matches capital letters, then at least one small one; letters without case are both.
func (p *pattern) lowerEnd(text []byte, from int) int {
	end, both := from, from // both: behind the last character that is small too
	for {
		c, n := p.caseAt(text, end)
		if c&upper == 0 {
			break
		}
		end += n
		if c&lower != 0 {
			both = end
		}
	}
	if small := p.caseEnd(text, end, lower); small > end {
		return small
	}
	return both
}

// upperEnd matches at least one capital letter, then small ones.
func (p *pattern) upperEnd(text []byte, from int) int {
	end := p.caseEnd(text, from, upper)
	if end == from {
		return from
	}
	return p.caseEnd(text, end, lower)
}

// caseEnd returns the end of the characters of these classes from text[at] on.
func (p *pattern) caseEnd(text []byte, at int, of cased) int {
	for {
		c, n := p.caseAt(text, at)
		if c&of == 0 {
			return at
		}
		at += n
	}
}

// suffixEnd returns the end of the contraction at text[at], or at.
func (p *pattern) suffixEnd(text []byte, at int) int {
	if p.suffix && at < len(text) && text[at] == '\'' {
		if k := contraction2(text[at+1:]); k > 0 {
			return at + 1 + k
		}
	}
	return at
}
