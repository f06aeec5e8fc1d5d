// Package delimited reads tables in text: rows of fields with a character between them, as in CSV and TSV.
package delimited

import "strings"

// fields takes a row of a CSV file apart, line by line. A field that begins with a quotation mark ends with one; two
// of them inside are one. Elsewhere a mark is an ordinary character: 5" pipe. After the last mark of a field more text
// may follow in its line: "a" b is a b. So other programs read them.
type fields struct {
	comma byte // between fields
	row   []string
	field strings.Builder
	state fieldState
	lines int // of the field so far, after the first
}

type fieldState uint8

const (
	before fieldState = iota // the first character of a field
	unquoted
	quoted
	after // a quotation mark in a quoted field, which may be the last one or the first of two
)

// rowState says whether a row is complete.
type rowState uint8

const (
	complete   rowState = iota
	unfinished          // a quoted field goes on in the next line
	broken              // a quoted field of several lines ends within a word: its first mark was none
)

// begin starts a row.
func (f *fields) begin() {
	f.row = nil
	f.next()
}

func (f *fields) next() {
	f.field.Reset()
	f.state, f.lines = before, 0
}

func (f *fields) end() {
	f.row = append(f.row, f.field.String())
	f.field = strings.Builder{}
	f.next()
}

// add adds a line without its end to the row.
func (f *fields) add(line string) rowState {
	for i := range len(line) {
		c := line[i]
		switch {
		case f.state == quoted && c == '"':
			f.state = after
		case f.state == quoted:
			f.field.WriteByte(c)
		case f.state == after && c == '"':
			f.field.WriteByte(c)
			f.state = quoted
		case c == f.comma:
			f.end()
		case f.state == before && c == '"':
			f.state = quoted
		case c == '"' && f.state == unquoted && strings.TrimSpace(f.field.String()) == "" && closes(line[i+1:], f.comma):
			f.field.Reset() // space before a field in quotation marks
			f.state = quoted
		case f.state == after && f.lines > 0:
			return broken
		default:
			f.field.WriteByte(c)
			f.state = unquoted
		}
	}
	if f.state == quoted {
		f.field.WriteByte('\n')
		f.lines++
		return unfinished
	}
	f.end()
	return complete
}

// closes reports whether a quoted field that began before rest ends in it, right before a comma or the end.
func closes(rest string, comma byte) bool {
	for i := 0; i < len(rest); i++ {
		if rest[i] != '"' {
			continue
		}
		if i+1 == len(rest) || rest[i+1] == comma {
			return true
		}
		if rest[i+1] != '"' {
			return false
		}
		i++
	}
	return false
}

// QuotedTabs reports lines of TSV in which fields are in quotation marks as in CSV: one has doubled marks inside, and
// none begins with a mark without ending with one.
func QuotedTabs(lines []string) bool {
	doubled := false
	for _, line := range lines {
		for field := range strings.SplitSeq(line, "\t") {
			if !strings.HasPrefix(field, `"`) {
				continue
			}
			if len(field) < 2 || !strings.HasSuffix(field, `"`) {
				return false
			}
			inside := field[1 : len(field)-1]
			if strings.Contains(strings.ReplaceAll(inside, `""`, ""), `"`) {
				return false
			}
			doubled = doubled || strings.Contains(inside, `""`)
		}
	}
	return doubled
}

// Rows takes lines apart. A row that is not complete is left out.
func Rows(lines []string, comma byte) (rows [][]string) {
	f := fields{comma: comma}
	state := complete
	for _, line := range lines {
		if state != unfinished {
			if line == "" {
				continue
			}
			f.begin()
		}
		if state = f.add(line); state == complete {
			rows = append(rows, f.row)
		}
	}
	return rows
}
