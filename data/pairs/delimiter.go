package pairs

import "github.com/bdia-go/bdia/internal/delimited"

// delimiters are what may stand between fields, the likeliest first.
var delimiters = []struct {
	comma byte
	name  string
}{{',', "comma"}, {';', "semicolon"}, {'\t', "tab"}, {'|', "pipe"}}

// delimiterOf returns the character that stands between the fields of these lines: the one that makes known names of
// the first line, else the one that gives the most rows an equal number of fields.
func delimiterOf(lines []string) byte {
	best, most := delimiters[0].comma, 0.
	for _, d := range delimiters {
		rows := delimited.Rows(lines, d.comma)
		if len(rows) == 0 || len(rows[0]) < 2 {
			continue
		}
		if _, ok, _ := choose(rows[0], -1, -1); ok {
			return d.comma
		}
		equal := 0
		for _, row := range rows {
			if len(row) == len(rows[0]) {
				equal++
			}
		}
		if share := float64(equal) / float64(len(rows)); share > most {
			best, most = d.comma, share
		}
	}
	return best
}

// Delimiter is the character between the fields of a CSV file, or its name: comma, semicolon, tab or pipe. Empty: the
// one that makes even rows of the first lines.
type Delimiter string

// comma returns the character; 0: it has to be found, or is none.
func (d Delimiter) comma() byte {
	for _, known := range delimiters {
		if string(d) == known.name || string(d) == string(known.comma) || string(d) == `\t` && known.comma == '\t' {
			return known.comma
		}
	}
	return 0
}

func nameOf(comma byte) string {
	for _, d := range delimiters {
		if d.comma == comma {
			return d.name
		}
	}
	return string(comma)
}
