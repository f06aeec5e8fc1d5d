package generate

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Notes on lines of text that are not taken as they are. A line without a note is.
const (
	NoteEmpty     = "empty"
	NoteBad       = "not UTF-8 or with unknown characters"
	NoteLong      = "too long"
	NoteTruncated = "truncated"
)

// Notes lists the notes in the order of a report.
func Notes() []string { return []string{NoteEmpty, NoteBad, NoteLong, NoteTruncated} }

// OneLine makes one line of decoded tokens, which may be any bytes: control characters
// become spaces, and bytes that are no UTF-8 the replacement character.
func OneLine(text []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(text), string(utf8.RuneError))))
}
