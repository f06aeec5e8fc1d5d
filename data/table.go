package data

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/bdia-go/bdia/internal/delimited"
)

// Reasons for a row of a table to be left out. Rows of pairs have the same ones.
const (
	openQuote  = "with a quotation mark that has no end"
	longRow    = "longer than 64 MiB"
	moreFields = "with more fields than the header"
	headAgain  = "equal to the header"
)

// tableRows are a column of a table.
type tableRows struct {
	path   string
	rows   *delimited.Reader
	header []string
	column int
	name   string
}

// newTableRows reads the header of a table that begins with head, and finds the column.
func newTableRows(path, key string, head []byte, r io.Reader) (*tableRows, error) {
	text := &lines{path: path, r: bufio.NewReaderSize(r, 64<<10)}
	t := &tableRows{path: path, column: -1, rows: delimited.NewReader(func() (string, error) {
		line, err := text.following()
		return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), err
	}, MaxDocument)}
	if !t.rows.Declared() {
		t.rows.Comma = commaOf(path, key, head)
	}
	first, err := t.rows.Read()
	if err != nil && err != io.EOF {
		return nil, t.wrong(err)
	}
	t.header = first.Fields
	name, ok := keyOf(t.header, key)
	if n, err := strconv.Atoi(key); ok {
		t.name, t.column = name, slices.Index(t.header, name)
	} else if err == nil && n >= 1 && n <= len(t.header) {
		t.name, t.column = t.header[n-1], n-1
	}
	return t, nil
}

// commaOf returns what stands between fields, by the name of the file and by its first line.
func commaOf(path, key string, head []byte) byte {
	name := strings.TrimSuffix(strings.ToLower(path), ".gz")
	if strings.HasSuffix(name, ".tsv") || strings.HasSuffix(name, ".tab") {
		return '\t'
	}
	line, _, _ := strings.Cut(string(head), "\n")
	best, most := byte(','), 0
	for _, c := range []byte(",;\t|") {
		names := strings.Split(strings.ReplaceAll(strings.TrimSpace(line), `"`, ""), string(c))
		n := len(names)
		if _, ok := keyOf(names, key); ok {
			n += 1000
		}
		if n > most {
			best, most = c, n
		}
	}
	return best
}

func (t *tableRows) keys() []string { return t.header }

func (t *tableRows) next() (row, error) {
	record, err := t.rows.Read()
	if err != nil {
		return row{}, t.wrong(err)
	}
	r, fields := row{line: int64(record.Line)}, record.Fields
	if len(t.header) == 1 && len(fields) > 1 { // a line is the text, commas and all
		fields = []string{strings.Join(fields, string(t.rows.Comma))}
	}
	switch {
	case record.Open:
		r.bad, r.detail = openQuote, record.Advice()
	case record.Long:
		r.bad, r.detail = longRow, "cut it"
	case t.column < 0:
		r.bad = noText
	case slices.Equal(fields, t.header):
		r.bad, r.detail = headAgain, "files were joined"
	case len(fields) > len(t.header) && record.Exceeds(len(t.header)):
		r.bad = moreFields
		r.detail = fmt.Sprintf("it has %d fields, the header %d; put text with the delimiter in it in quotation marks", len(fields), len(t.header))
	case t.column >= len(fields):
		r.bad, r.detail = noText, fmt.Sprintf("it has %d of the %d columns", len(fields), len(t.header))
	default:
		if r.text = fields[t.column]; r.text == "" {
			r.bad = noText
		}
	}
	return r, nil
}

// wrong adds the file's name to an error of its table.
func (t *tableRows) wrong(err error) error {
	var bad *EncodingError
	if err == io.EOF || errors.As(err, &bad) {
		return err
	}
	return fmt.Errorf("data: %s: %w", t.path, err)
}
