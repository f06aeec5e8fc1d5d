package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// labelColumns is the width of the labels of rows.
const labelColumns = 11

// Row prints text behind a label, in lines of at most columns. Further lines begin where the first text does. An empty
// label goes on with the row above.
func Row(w io.Writer, columns int, label, text string) {
	margin := strings.Repeat(" ", labelColumns)
	lines := fill(strings.Fields(Harmless(text)), margin, margin, columns)
	if len(lines) > 0 {
		lines[0] = fmt.Sprintf("%-*s%s", labelColumns, label, lines[0][labelColumns:])
	}
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
}

// Harmless returns text without what would move the cursor or change the terminal: that becomes U+FFFD. Line breaks and
// tabs stay.
func Harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
}

// wide are the scripts with letters of two columns.
var wide = []*unicode.RangeTable{unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana}

// runeColumns is about how many columns of a terminal r takes.
func runeColumns(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.In(r, wide...) || r >= 0xff01 && r <= 0xff60 || r >= 0x1f300 && r <= 0x1faff:
		return 2
	}
	return 1
}

// chop cuts one line into lines of at most columns, between any letters: it is shown as it is.
func chop(line string, columns int) (lines []string) {
	n, from := 0, 0
	for i, r := range line {
		c := runeColumns(r)
		if n+c > columns && i > from {
			lines = append(lines, line[from:i])
			n, from = 0, i
		}
		n += c
	}
	return append(lines, line[from:])
}
