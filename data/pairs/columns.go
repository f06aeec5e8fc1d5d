package pairs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bdia-go/bdia/internal/delimited"
)

// Header says whether the first line of a table names its columns.
type Header string

// The values of Header. HeaderAuto takes it for a header if it has a known name, or nothing like a sentence while most
// other lines have.
const (
	HeaderAuto Header = ""
	HeaderYes  Header = "yes"
	HeaderNone Header = "none"
	headerOld  Header = "no" // of older settings: a CSV file has one, a TSV file has none
)

// yamlHeader is what settings say. Older ones say true and false.
var yamlHeader = map[Header]string{HeaderAuto: "auto", HeaderYes: "true", HeaderNone: "none", headerOld: "false"}

// MarshalYAML writes auto, true, none, or the false of older settings.
func (h Header) MarshalYAML() ([]byte, error) { return []byte(yamlHeader[h]), nil }

// UnmarshalYAML reads what MarshalYAML writes.
func (h *Header) UnmarshalYAML(b []byte) error {
	for value, text := range yamlHeader {
		if text == strings.Trim(strings.TrimSpace(string(b)), `"'`) {
			*h = value
			return nil
		}
	}
	return fmt.Errorf("%.40q is no header; use auto, true or none", b)
}

// Set sets h to a word: auto, yes or none.
func (h *Header) Set(word string) error {
	switch word {
	case "auto":
		*h = HeaderAuto
	case "yes", "true":
		*h = HeaderYes
	case "none", "no", "false":
		*h = HeaderNone
	default:
		return fmt.Errorf("%q; use auto, yes or none", word)
	}
	return nil
}

// String is the word for h.
func (h Header) String() string {
	switch h {
	case HeaderAuto:
		return "auto"
	case headerOld:
		return string(HeaderNone)
	}
	return string(h)
}

// Type names the value in a help.
func (h *Header) Type() string { return "word" }

// byPlace says how columns were found: no name told.
const byPlace = "by place"

// columns are the places of both sides in a row.
type columns struct {
	choice
	notes []string
}

// pick sets the sides of r to the columns of a row.
func (c columns) pick(r *row, fields []string) {
	if most := max(c.source, c.target); most >= len(fields) {
		r.missing = fmt.Sprintf("it has %d of the columns %d and %d", len(fields), c.source+1, c.target+1)
		return
	}
	r.sides = [2]string{fields[c.source], fields[c.target]}
	if c.more >= 0 && c.more < len(fields) {
		r.sides[0] = joined(r.sides[0], fields[c.more])
	}
}

// joined is a source and a text that follows it, if that is not empty.
func joined(source, more string) string {
	if strings.TrimSpace(more) == "" {
		return source
	}
	return source + "\n\n" + more
}

// findColumns says where the sides are in the rows of a table, of which it gets the first ones, and whether the first
// whole one is a header.
func findColumns(f Files, format Format, sample []delimited.Record) (c columns, header bool, err error) {
	sample = slices.DeleteFunc(slices.Clone(sample), func(r delimited.Record) bool { return !whole(r) })
	if len(sample) == 0 {
		return columns{choice: choice{0, 1, -1}}, false, nil // there is nothing to read
	}
	first, rest := sample[0].Fields, sample[1:]
	h := f.Header
	if h == headerOld {
		h = map[Format]Header{CSV: HeaderYes, TSV: HeaderNone}[format]
	}
	asked := [2]string{f.SourceColumn, f.TargetColumn}
	header = h == HeaderYes || h == HeaderAuto && (isHeader(first, rest) || slices.ContainsFunc(asked[:], func(a string) bool { return isNameOf(first, a) }))
	t := finder{file: f.Source, rows: rest, first: first}
	if header {
		t.names = first
	} else {
		t.rows = sample
	}
	c.choice, c.notes, err = t.find(asked)
	switch {
	case err != nil || h != HeaderAuto:
	case !header:
		c.notes = append(c.notes, "the first line is a pair, not a header")
	case strings.HasSuffix(c.notes[0], byPlace):
		c.notes = append(c.notes, "the first line is a header, not a pair")
	}
	return c, header, err
}

// whole reports a row that has fields.
func whole(r delimited.Record) bool { return !r.Open && !r.Long }

// isNameOf reports whether a column that was asked for is named, not numbered.
func isNameOf(header []string, asked string) bool {
	_, err := strconv.Atoi(asked)
	return asked != "" && (err != nil || nameAt(header, asked) >= 0)
}

// finder looks for the columns of a table.
type finder struct {
	file  string
	names []string           // the header; nil: there is none
	first []string           // the first row, the header or not
	rows  []delimited.Record // some rows after the header
}

func (t finder) find(asked [2]string) (c choice, notes []string, err error) {
	at := [2]int{-1, -1}
	for i, name := range asked {
		if name == "" {
			continue
		}
		if at[i], err = t.asked(name); err != nil {
			return c, nil, err
		}
	}
	if at[0] >= 0 && at[0] == at[1] {
		return c, nil, fmt.Errorf("pairs: %s: source and target are both column %d: give two columns", t.file, at[0]+1)
	}
	how := "as asked for"
	if at[0] >= 0 && at[1] >= 0 {
		c = choice{at[0], at[1], -1}
		return c, t.notes(c, how), nil
	}
	texts := t.texts()
	if t.names != nil {
		var ok, ambiguous bool
		if c, ok, ambiguous = choose(t.names, at[0], at[1]); ok && !ambiguous {
			return c, t.notes(c, "by the header"), nil
		} else if ambiguous && len(texts) > 2 {
			return c, nil, t.wrong("more than two of these can be the source and the target")
		}
	}
	// One of them is known, and the other is the only one left, or there are two.
	left := slices.DeleteFunc(slices.Clone(texts), func(i int) bool { return i == at[0] || i == at[1] })
	switch {
	case at[0] < 0 && at[1] < 0 && len(left) == 2:
		c, how = choice{left[0], left[1], -1}, byPlace
		if t.names != nil && isLanguage(t.names[c.source]) && isLanguage(t.names[c.target]) {
			how = "by the header"
		}
	case at[0] >= 0 && len(left) == 1:
		c = choice{at[0], left[0], -1}
	case at[1] >= 0 && len(left) == 1:
		c = choice{left[0], at[1], -1}
	default:
		return c, nil, t.wrong("none of their names is known as a source with its target")
	}
	return c, t.notes(c, how), nil
}

// asked returns the place of a column by its name in the header, or by its number.
func (t finder) asked(name string) (int, error) {
	if at := nameAt(t.names, name); at >= 0 {
		return at, nil
	}
	n, err := strconv.Atoi(name)
	switch {
	case (err != nil || n < 1 || n > MaxLine) && t.names == nil:
		return 0, fmt.Errorf("pairs: %s: %w: column %.80q: without a header, give a number from 1", t.file, ErrColumns, name)
	case err != nil || n < 1 || n > MaxLine:
		return 0, fmt.Errorf("pairs: %s: %w: no column %.80q among %s: give one of them, or a number from 1", t.file, ErrColumns, name, quotedList(t.names))
	case t.names != nil && n > len(t.names):
		return 0, fmt.Errorf("pairs: %s: %w: column %d, and there are %d: %s; give the right columns or format", t.file, ErrColumns, n, len(t.names), quotedList(t.names))
	}
	return n - 1, nil
}

// nameAt returns the place of a name: spelt the same, or else without regard to capitals and space; -1: there is none.
func nameAt(header []string, name string) int {
	at := slices.IndexFunc(header, func(h string) bool { return strings.TrimSpace(h) == name })
	if at < 0 {
		at = slices.IndexFunc(header, func(h string) bool { return plain(h) == plain(name) })
	}
	return at
}

// wrong is the error of a table in which the columns have to be chosen.
func (t finder) wrong(why string) error {
	if len(t.first) == 1 {
		return fmt.Errorf("pairs: %s: %w: it has one column, which begins with %s: give a file with both sides, or the right format or delimiter", t.file, ErrColumns, quotedList(t.first))
	}
	if t.names == nil {
		return fmt.Errorf("pairs: %s: %w: it has %d columns without a header, and its first row is %s: choose two by number", t.file, ErrColumns, len(t.first), quotedList(t.first))
	}
	return fmt.Errorf("pairs: %s: %w: of its columns %s, %s: choose two", t.file, ErrColumns, quotedList(t.names), why)
}

// quotedList names a few columns.
func quotedList(names []string) string {
	const most, longest = 20, 250 // names, bytes
	list := ""
	for i, name := range names {
		q := quoted(name)
		if i == most || len(list)+len(q) > longest {
			return list + ", ..."
		}
		if i > 0 {
			list += ", "
		}
		list += q
	}
	return list
}

// quoted is the beginning of a text in quotation marks. A byte that is no text takes four.
func quoted(s string) string {
	const longest = 120 // bytes
	s = clip(strings.TrimSpace(s))
	for len(strconv.Quote(s)) > longest {
		s = s[:len(s)*3/4]
	}
	return strconv.Quote(s)
}

// texts are the columns that can be texts: all but the ones that count the rows.
func (t finder) texts() (all []int) {
	for i := range t.first {
		if !t.counts(i) {
			all = append(all, i)
		}
	}
	return all
}

// counts reports whether column i counts the rows, as an index does: by name and content, or without a header by
// content.
func (t finder) counts(i int) bool {
	if t.names != nil {
		switch name := plain(t.names[i]); {
		case name == "", name == "#", name == "no", name == "nr", name == "row", name == "id", name == "idx", name == "index", strings.HasPrefix(name, "unnamed:_"):
		default:
			return false
		}
	} else if i > 0 {
		return false
	}
	start := 0
	for k, r := range t.rows {
		if i >= len(r.Fields) {
			return false
		}
		n, err := strconv.Atoi(strings.TrimSpace(r.Fields[i]))
		if k == 0 {
			start = n
		}
		if err != nil || n != start+k {
			return false
		}
	}
	return len(t.rows) > 1 || len(t.rows) == 1 && t.names != nil
}

// notes say which columns were taken, how they were found, and which were not.
func (t finder) notes(c choice, how string) []string {
	name := func(i int) string {
		if i < len(t.names) {
			return fmt.Sprintf("%s (%d)", quoted(t.names[i]), i+1)
		}
		return strconv.Itoa(i + 1)
	}
	more := ""
	if c.more >= 0 {
		more = ", followed by " + name(c.more) + ","
	}
	notes := []string{fmt.Sprintf("columns %s%s and %s, %s", name(c.source), more, name(c.target), how)}
	var unused []string
	for i := range t.first {
		if i != c.source && i != c.target && i != c.more {
			unused = append(unused, name(i))
		}
	}
	if len(unused) > 0 {
		notes = append(notes, "columns that are not used: "+strings.Join(unused[:min(20, len(unused))], ", "))
	}
	return notes
}

// isHeader reports whether a first row names columns: it has a known name, or is nothing but names while most rows
// after it are not.
func isHeader(first []string, rest []delimited.Record) bool {
	all := len(first) > 1
	for _, cell := range first {
		if isKnown(cell) {
			return true
		}
		all = all && isName(cell)
	}
	if _, ok, _ := choose(first, -1, -1); ok || len(first) == 2 && isLanguage(first[0]) && isLanguage(first[1]) {
		return true
	}
	if !all || len(rest) == 0 {
		return false
	}
	texts := 0
	for _, r := range rest {
		if slices.ContainsFunc(r.Fields, func(cell string) bool { return !isName(cell) }) {
			texts++
		}
	}
	return 4*texts >= 3*len(rest)
}

// isName reports a cell that can be the name of a column: up to three words of letters, digits and a few marks.
func isName(cell string) bool {
	cell = strings.TrimSpace(cell)
	first, _ := utf8.DecodeRuneInString(cell)
	return cell == "" || len(cell) <= 40 && (unicode.IsLetter(first) || first == '_') && len(strings.Fields(cell)) <= 3 &&
		!strings.ContainsFunc(cell, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !strings.ContainsRune(" _-/()", r)
		})
}
