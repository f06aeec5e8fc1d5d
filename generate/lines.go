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
	}, strings.ToValidUTF8(string(text), string(utf8.RuneError))))
}
