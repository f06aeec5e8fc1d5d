package generate

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Notes on lines of text that were left out or shortened. A line without a note was
// used as it is.
const (
	NoteEmpty     = "empty"
	NoteBad       = "not UTF-8 or with unknown characters"
	NoteLong      = "too long"
	NoteTruncated = "truncated"
)

// Notes lists the notes in the order for reports.
func Notes() []string { return []string{NoteEmpty, NoteBad, NoteLong, NoteTruncated} }

// OneLine returns text, the bytes of decoded tokens, as one line of UTF-8: control
// characters become spaces, and invalid bytes the replacement character.
func OneLine(text []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, lossy(text)))
}

// lossy returns text with U+FFFD in place of every piece that is not UTF-8. As in other decoders a piece is what could
// have begun a character, or else one byte.
func lossy(text []byte) string {
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			for n < len(text) && !utf8.FullRune(text[:n]) && !utf8.FullRune(text[:n+1]) {
				n++
			}
		}
		b.WriteRune(r)
		text = text[n:]
	}
	return b.String()
}
