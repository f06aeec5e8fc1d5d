package cli

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"
)

// Widths of help texts.
const (
	defaultColumns = 80  // of a file or a pipe
	leastColumns   = 40  // below it, lines are not cut shorter
	mostColumns    = 120 // longer lines are hard to read
)

// Columns returns how wide help for w may be: the environment's COLUMNS, else the width of the terminal, else 80; from
// 40 to 120.
func Columns(w any) int {
	n, err := strconv.Atoi(os.Getenv("COLUMNS"))
	if err != nil || n <= 0 {
		n = terminalColumns(w)
	}
	return min(max(n, leastColumns), mostColumns)
}

// terminalColumns returns the width of the terminal w, or 80.
func terminalColumns(w any) int {
	if f := file(w); f != nil {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	return defaultColumns
}

// Wrap fills the paragraphs of text into lines of at most columns. Paragraphs are parted by empty lines. Lines that
// begin with spaces, as of a list, stay lines of their own; what is too long of them goes on further to the right.
func Wrap(text string, columns int) string {
	var out, words []string
	flush := func() {
		out = append(out, fill(words, "", "", columns)...)
		words = nil
	}
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		own := strings.Fields(line)
		switch {
		case len(own) == 0:
			flush()
			out = append(out, "")
		case strings.HasPrefix(line, " "):
			flush()
			if len(line) <= columns {
				out = append(out, line)
				continue
			}
			margin := line[:len(line)-len(strings.TrimLeft(line, " "))]
			out = append(out, fill(own, margin, margin+"    ", columns)...)
		default:
			words = append(words, own...)
		}
	}
	flush()
	return strings.Join(out, "\n")
}

// WrapCommands wraps command lines, one a line, with a backslash at each break, as a shell continues lines. It breaks
// before flags, and puts the comment at the end of a long line above it.
func WrapCommands(text string, columns int) string {
	var out []string
	for _, line := range strings.Split(text, "\n") {
		if len(line) <= columns {
			out = append(out, line)
			continue
		}
		command, comment, commented := strings.Cut(line, "  #")
		if commented {
			out = append(out, "  #"+comment)
		}
		parts := fill(units(command), "  ", "      ", columns-len(` \`))
		for i := range parts[:len(parts)-1] {
			parts[i] += ` \`
		}
		out = append(out, parts...)
	}
	return strings.Join(out, "\n")
}

// units parts a command line before each flag: "bdia train", "--layers 4".
func units(line string) (list []string) {
	for _, word := range strings.Fields(line) {
		if n := len(list); n > 0 && !strings.HasPrefix(word, "-") {
			list[n-1] += " " + word
			continue
		}
		list = append(list, word)
	}
	return list
}

// fill joins words into lines of at most columns, where a word allows it. The first line begins with first, the others
// with rest.
func fill(words []string, first, rest string, columns int) (lines []string) {
	line := first
	for i, word := range words {
		switch {
		case i == 0:
			line += word
		case len(line)+1+len(word) > columns:
			lines = append(lines, line)
			line = rest + word
		default:
			line += " " + word
		}
	}
	if len(words) > 0 {
		lines = append(lines, line)
	}
	return lines
}
