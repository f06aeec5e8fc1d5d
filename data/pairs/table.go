package pairs

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// table are the rows of a file with columns.
type table struct {
	in      *input
	quotes  bool     // fields may be in quotation marks; otherwise the file is TSV
	fields  fields   // of the row at hand
	queue   []string // lines that were read ahead
	err     error    // the one after them
	line    int      // lines taken from the queue
	ahead   []record // rows that were read ahead
	columns columns
	header  []string // nil: there is none
}

// record is a row of a table in fields.
type record struct {
	line   int // of its beginning, from 1
	fields []string
	open   bool // a quotation mark in it has no end
}

// What is read of a table to recognise its delimiter and its header.
const (
	sampleLines = 100
	sampleBytes = MaxLine
)

// newTable reads the beginning of a table and finds its columns.
func newTable(f Files, format Format, in *input) (*table, error) {
	t := &table{in: in, quotes: format == CSV, fields: fields{comma: '\t'}}
	for size := 0; t.err == nil && len(t.queue) < sampleLines && size < sampleBytes; {
		var line string
		if line, t.err = in.line(); t.err == nil {
			t.queue, size = append(t.queue, line), size+len(line)
		}
	}
	if len(t.queue) == 0 && t.err != io.EOF {
		return nil, t.err
	}
	var notes []string
	if !t.quotes && quotedTabs(t.queue) {
		t.quotes, notes = true, []string{"fields are in quotation marks"}
	} else if t.quotes && len(t.queue) > 0 && len(t.queue[0]) == 5 && strings.HasPrefix(t.queue[0], "sep=") { // of Excel
		t.fields.comma = t.queue[0][4]
		t.queue, t.line = t.queue[1:], 1
		notes = []string{"fields are separated as its first line says, by " + nameOf(t.fields.comma) + "s"}
	} else if t.quotes {
		if t.fields.comma = f.Delimiter.comma(); t.fields.comma == 0 {
			t.fields.comma = delimiterOf(t.queue)
			if t.fields.comma != ',' {
				notes = []string{"fields are separated by " + nameOf(t.fields.comma) + "s"}
			}
		}
	}
	var sample []record
	for len(t.queue) > 0 {
		r, err := t.read()
		if err != nil {
			break // it comes again
		}
		sample = append(sample, r)
	}
	var header bool
	var err error
	if t.columns, header, err = findColumns(f, format, sample); err != nil {
		return nil, err
	}
	t.columns.notes = append(t.columns.notes, notes...)
	if header {
		t.header, sample = slices.Clone(sample[0].fields), sample[1:]
	}
	t.ahead = sample
	return t, nil
}

// said returns the notes.
func (t *table) said() []string { return t.columns.notes }

// take returns the next line, or io.EOF.
func (t *table) take() (line string, err error) {
	switch {
	case len(t.queue) > 0:
		line, t.queue = t.queue[0], t.queue[1:]
	case t.err != nil:
		return "", t.err
	default:
		if line, t.err = t.in.line(); t.err != nil {
			return "", t.err
		}
	}
	t.line++
	return line, nil
}

// read returns the next row, or io.EOF. Empty lines between the rows of a CSV file are none.
func (t *table) read() (record, error) {
	line, err := t.take()
	for err == nil && t.quotes && line == "" {
		line, err = t.take()
	}
	if err != nil {
		return record{}, err
	}
	r := record{line: t.line}
	if !t.quotes {
		r.fields = strings.Split(line, "\t")
		return r, nil
	}
	t.fields.begin()
	state, size := t.fields.add(line), len(line)
	var more []string
	for state == unfinished && size <= MaxLine {
		line, err := t.take()
		if err == io.EOF {
			break
		}
		if err != nil {
			return record{}, err
		}
		more, size = append(more, line), size+len(line)+1
		state = t.fields.add(line)
	}
	if state == complete {
		r.fields = t.fields.row
		return r, nil
	}
	// The lines after the first are rows of their own.
	t.queue, t.line, r.open = append(more, t.queue...), t.line-len(more), true
	return r, nil
}

func (t *table) next() (row, error) {
	var w record
	var err error
	if len(t.ahead) > 0 {
		w, t.ahead = t.ahead[0], t.ahead[1:]
	} else if w, err = t.read(); err != nil {
		return row{}, err
	}
	r := row{line: w.line}
	switch {
	case w.open:
		r.missing, r.reason = "double a mark that is part of the text, or close its field", OpenQuote
	case t.header != nil && slices.Equal(w.fields, t.header):
		r.missing, r.reason = "files were joined", Repeated
	case t.header != nil && len(w.fields) > len(t.header) && strings.Join(w.fields[len(t.header):], "") != "":
		r.missing = fmt.Sprintf("it has %d fields, the header %d; put text with the delimiter in it in quotation marks", len(w.fields), len(t.header))
		r.reason = MoreFields
	default:
		t.columns.pick(&r, w.fields)
	}
	return r, nil
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
