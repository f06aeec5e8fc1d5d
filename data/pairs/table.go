package pairs

import (
	"fmt"
	"slices"

	"github.com/bdia-go/bdia/internal/delimited"
)

// table are the rows of a file with columns.
type table struct {
	rows    *delimited.Reader
	ahead   []delimited.Record // rows that were read ahead
	columns columns
	header  []string // nil: there is none
}

// What is read of a table to recognise its delimiter and its header.
const (
	sampleLines = 100
	sampleBytes = MaxLine
)

// newTable reads the beginning of a table and finds its columns.
func newTable(f Files, format Format, in *input) (*table, error) {
	t := &table{rows: delimited.NewReader(in.line, MaxLine)}
	lines, err := t.rows.Peek(sampleLines, sampleBytes)
	if len(lines) == 0 && err != nil {
		return nil, err
	}
	var notes []string
	if format != CSV {
		t.rows.Comma, t.rows.Bare = '\t', !delimited.QuotedTabs(lines)
		if !t.rows.Bare {
			notes = []string{"fields are in quotation marks"}
		}
	} else if t.rows.Declared() {
		notes = []string{"fields are separated as its first line says, by " + nameOf(t.rows.Comma) + "s"}
	} else if t.rows.Comma = f.Delimiter.comma(); t.rows.Comma == 0 {
		t.rows.Comma = delimiterOf(lines)
		if t.rows.Comma != ',' {
			notes = []string{"fields are separated by " + nameOf(t.rows.Comma) + "s"}
		}
	}
	sample := t.rows.Ahead()
	var header bool
	if t.columns, header, err = findColumns(f, format, sample); err != nil {
		return nil, err
	}
	t.columns.notes = append(t.columns.notes, notes...)
	if header {
		i := slices.IndexFunc(sample, whole)
		t.header, sample = slices.Clone(sample[i].Fields), slices.Delete(sample, i, i+1)
	}
	t.ahead = sample
	return t, nil
}

// said returns the notes.
func (t *table) said() []string { return t.columns.notes }

func (t *table) next() (row, error) {
	var w delimited.Record
	var err error
	if len(t.ahead) > 0 {
		w, t.ahead = t.ahead[0], t.ahead[1:]
	} else if w, err = t.rows.Read(); err != nil {
		return row{}, err
	}
	r := row{line: w.Line}
	switch {
	case w.Open:
		r.missing, r.reason = w.Advice(), OpenQuote
	case w.Long:
		return tooLong(w.Line), nil
	case t.header != nil && slices.Equal(w.Fields, t.header):
		r.missing, r.reason = "files were joined", Repeated
	case t.header != nil && w.Exceeds(len(t.header)):
		r.missing = fmt.Sprintf("it has %d fields, the header %d; put text with the delimiter in it in quotation marks", len(w.Fields), len(t.header))
		r.reason = MoreFields
	default:
		t.columns.pick(&r, w.Fields)
	}
	return r, nil
}
