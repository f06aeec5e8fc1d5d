package tokenizer

import (
	"slices"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// nfc is the normalizer that composes characters: e and U+0301 become é.
type nfc struct{}

func (nfc) stage(_ *cutter, next stage) stage { return &changeStage{changer: nfc{}, next: next} }

func (nfc) change(dst, text []byte, final bool) ([]byte, int) {
	if !final {
		text = text[:lastStart(text)]
	}
	return appendNFC(dst, text), len(text)
}

// lastStart returns the last place in text from which on text is composed apart from what is before, or 0.
func lastStart(text []byte) int {
	for at := len(text) - 1; at > 0; at-- {
		if !utf8.RuneStart(text[at]) {
			continue
		}
		if p := norm.NFC.Properties(text[at:]); p.Size() > 0 && p.BoundaryBefore() {
			return at
		}
	}
	return 0
}

// mostMarks is the number of characters from which on composed writes out by itself: golang.org/x/text breaks more than
// 30 marks by a character of its own.
const mostMarks = 16

// appendNFC appends the composed form of text.
func appendNFC(dst, text []byte) []byte {
	for {
		n := norm.NFC.QuickSpan(text)
		dst = append(dst, text[:n]...)
		if text = text[n:]; len(text) == 0 {
			return dst
		}
		end, chars := 0, 0 // of the first character with all that combines with it
		for ; end < len(text); chars++ {
			p := norm.NFC.Properties(text[end:])
			if chars > 0 && p.BoundaryBefore() {
				break
			}
			end += max(1, p.Size())
		}
		if chars <= mostMarks {
			dst = append(dst, norm.NFC.Bytes(text[:end])...)
		} else {
			dst = appendComposed(dst, text[:end])
		}
		text = text[end:]
	}
}

// appendComposed composes a character with any number of marks, as Unicode says in section 3.11: characters are taken
// apart, marks sorted by their class, and joined with the character before that no mark of the same class parts them
// from.
func appendComposed(dst, text []byte) []byte {
	type char struct {
		r     rune
		class uint8
	}
	var chars []char
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			chars = append(chars, char{r: invalid + rune(text[0])})
			text = text[1:]
			continue
		}
		text = text[n:]
		for _, r := range norm.NFD.String(string(r)) {
			chars = append(chars, char{r, norm.NFD.PropertiesString(string(r)).CCC()})
		}
	}
	for i := 0; i < len(chars); {
		end := i + 1
		for end < len(chars) && chars[end].class > 0 {
			end++
		}
		marks := chars[i:end]
		if marks[0].class == 0 {
			marks = marks[1:]
		}
		slices.SortStableFunc(marks, func(a, b char) int { return int(a.class) - int(b.class) })
		i = end
	}
	out := chars[:0]
	start := -1 // of the character that others join
	for i, c := range chars {
		last := uint8(0) // class of the character before
		if n := len(out); n > 0 && n-1 != start {
			last = out[n-1].class
		}
		blocked := start < 0 || start != len(out)-1 && (last == 0 || last >= c.class)
		if !blocked {
			if one, ok := composed(out[start].r, c.r); ok {
				out[start].r = one
				continue
			}
		}
		if c.class == 0 {
			start = len(out)
		}
		out = append(out, chars[i])
	}
	for _, c := range out {
		if c.r >= invalid {
			dst = append(dst, byte(c.r-invalid))
		} else {
			dst = utf8.AppendRune(dst, c.r)
		}
	}
	return dst
}

// invalid and more are bytes that are not UTF-8.
const invalid = utf8.MaxRune + 1

// composed returns the character that two others make.
func composed(a, b rune) (rune, bool) {
	if a >= invalid || b >= invalid {
		return 0, false
	}
	s := norm.NFC.String(string([]rune{a, b}))
	r, n := utf8.DecodeRuneInString(s)
	return r, n == len(s)
}
