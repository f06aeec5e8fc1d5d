package score

import (
	"maps"
	"slices"
	"strings"
	"unicode"
)

// tokenizers split a segment, without white space at its end, into words.
var tokenizers = map[string]func(string) []string{
	"13a":  tokenize13a,
	"char": tokenizeChar,
	"intl": tokenizeIntl,
	"none": fields,
	"zh":   tokenizeZh,
}

// Tokenizers lists the names that BLEUOptions knows.
func Tokenizers() []string { return slices.Sorted(maps.Keys(tokenizers)) }

// isSpace is Python's str.isspace: unicode.IsSpace and four control characters.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

func fields(s string) []string { return strings.FieldsFunc(s, isSpace) }

func trimRight(s string) string { return strings.TrimRightFunc(s, isSpace) }

// tokenize13a is the tokenizer of NIST's mteval-v13a.
func tokenize13a(s string) []string {
	s = unescape(joinLines(strings.ReplaceAll(s, "<skipped>", ""), "-\n"))
	return fields(splitNumbers(splitPunctuation(" " + s + " ")))
}

// joinLines undoes line breaks, and hyphenation at them.
func joinLines(s, hyphenation string) string {
	if !strings.Contains(s, "\n") {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, hyphenation, ""), "\n", " ")
}

// unescape replaces four XML entities, in this order: so the result of &amp; may form
// another: "&amp;lt;" becomes "<".
func unescape(s string) string {
	if !strings.Contains(s, "&") {
		return s
	}
	for _, e := range [...][2]string{{"&quot;", `"`}, {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}} {
		s = strings.ReplaceAll(s, e[0], e[1])
	}
	return s
}

// splitPunctuation puts spaces around ASCII punctuation other than ' , - and the
// full stop.
func splitPunctuation(s string) string {
	b := make([]byte, 0, len(s)+len(s)/4)
	for i := range len(s) {
		if c := s[i]; c >= ' ' && c <= '~' && !isAlphanumeric(c) && strings.IndexByte("',-.", c) < 0 {
			b = append(b, ' ', c, ' ')
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

// splitNumbers cuts off full stops and commas, but not between digits, and dashes
// after a digit. Each of the three rules goes over the text from left to right
// without overlap. Working on bytes is safe: no space ever lands inside a longer
// character.
func splitNumbers(s string) string {
	s = splitPairs(s, func(a, b byte) bool { return !isDigit(a) && isPoint(b) }, "1 2 ")
	s = splitPairs(s, func(a, b byte) bool { return isPoint(a) && !isDigit(b) }, " 1 2")
	return splitPairs(s, func(a, b byte) bool { return isDigit(a) && b == '-' }, "1 2 ")
}

// splitPairs replaces each matching pair of bytes by form, in which 1 and 2 stand for
// the two bytes.
func splitPairs(s string, match func(a, b byte) bool, form string) string {
	out := make([]byte, 0, len(s)+len(s)/4)
	for i := 0; i < len(s); i++ {
		if i+1 == len(s) || !match(s[i], s[i+1]) {
			out = append(out, s[i])
			continue
		}
		for _, c := range []byte(form) {
			switch c {
			case '1':
				c = s[i]
			case '2':
				c = s[i+1]
			}
			out = append(out, c)
		}
		i++
	}
	return string(out)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isPoint(c byte) bool { return c == '.' || c == ',' }

func isAlphanumeric(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' }

// tokenizeIntl is the tokenizer of mteval-v14: punctuation and symbols of all
// scripts are words, but punctuation next to a digit is not.
func tokenizeIntl(s string) []string {
	r := []rune(s)
	r = splitRunes(r, func(a, b rune) bool { return !unicode.IsNumber(a) && unicode.IsPunct(b) }, false)
	r = splitRunes(r, func(a, b rune) bool { return unicode.IsPunct(a) && !unicode.IsNumber(b) }, true)
	return fields(spaceAround(string(r), unicode.IsSymbol))
}

// splitRunes puts spaces around the first or the second of two characters that match.
func splitRunes(s []rune, match func(a, b rune) bool, first bool) []rune {
	out := make([]rune, 0, len(s)+len(s)/4)
	for i := 0; i < len(s); i++ {
		switch {
		case i+1 == len(s) || !match(s[i], s[i+1]):
			out = append(out, s[i])
		case first:
			out = append(out, ' ', s[i], ' ', s[i+1])
			i++
		default:
			out = append(out, s[i], ' ', s[i+1], ' ')
			i++
		}
	}
	return out
}

// spaceAround puts spaces around the characters that are in.
func spaceAround(s string, in func(rune) bool) string {
	var b strings.Builder
	b.Grow(len(s) + len(s)/2)
	for _, r := range s {
		if in(r) {
			b.WriteByte(' ')
			b.WriteRune(r)
			b.WriteByte(' ')
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func tokenizeChar(s string) []string {
	words := make([]string, 0, len(s))
	for i, r := range s {
		if !isSpace(r) {
			words = append(words, s[i:i+len(string(r))])
		}
	}
	return words
}

// tokenizeZh makes each Chinese character a word and splits the rest like 13a, but
// without entities and without spaces at the ends.
func tokenizeZh(s string) []string {
	s = spaceAround(strings.TrimFunc(s, isSpace), func(r rune) bool { return unicode.Is(chinese, r) })
	return fields(splitNumbers(splitPunctuation(s)))
}

// chinese are the characters that sacreBLEU's zh takes for Chinese. Its first range
// is meant to be U+20000 to U+2A6D6 (extension B), but is written so that it covers
// U+2001 to U+2A6D: general punctuation, arrows and signs. Characters beyond the
// basic plane are not in it.
var chinese = &unicode.RangeTable{R16: []unicode.Range16{
	{0x2001, 0x2a6d, 1},
	{0x2e80, 0x2fdf, 1}, // radicals
	{0x2ff0, 0x303f, 1}, // descriptions of characters, punctuation
	{0x3100, 0x312f, 1}, // bopomofo
	{0x31a0, 0x31bf, 1},
	{0x31c0, 0x31ef, 1}, // strokes
	{0x3200, 0x4db5, 1}, // enclosed and square characters, extension A
	{0x4e00, 0x9fbb, 1}, // unified ideographs
	{0xf900, 0xfa2d, 1}, // compatibility ideographs
	{0xfa30, 0xfa6a, 1},
	{0xfa70, 0xfad9, 1},
	{0xfe10, 0xfe1f, 1}, // vertical and compatibility forms
	{0xfe30, 0xfe4f, 1},
	{0xff00, 0xffef, 1}, // full-width and half-width forms
}}
