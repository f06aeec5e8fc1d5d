// Package parquet lets packages data and data/pairs read files of Apache Parquet, as data sets are often published.
// Importing it is enough:
//
//	import _ "github.com/bdia-go/bdia/data/parquet"
//
// Each row is read as a line of JSON: an object with a key for each column, lists and structures within. So a column
// "text" holds documents, and a column "messages" conversations, as in files of JSON lines. Bytes that are no text, a
// picture for example, and numbers that are not finite are null. It is a package of its own, since it makes a
// program larger by 12 MB.
package parquet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"github.com/bdia-go/bdia/internal/textfile"
)

func init() {
	textfile.RegisterRows(textfile.Parquet, func(f *os.File, size int64) (textfile.Rows, error) { return open(f, size) })
}

// reader gives rows as lines of JSON, one at a time, since a row may have many megabytes.
type reader struct {
	rows  *parquet.GenericReader[any]
	total int64
	read  int64
	row   [1]any
	text  bytes.Buffer // of the latest row
	line  []byte       // what is not read of it
	err   error        // after it
}

func open(r io.ReaderAt, size int64) (_ *reader, err error) {
	defer damaged(&err)
	if err := checkEnd(r, size); err != nil {
		return nil, err
	}
	f, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, err
	}
	if err := check(f, r, size); err != nil {
		return nil, err
	}
	return &reader{rows: parquet.NewGenericReader[any](f), total: f.NumRows()}, nil
}

// damaged turns a panic into *err: parquet-go trusts some sizes in a file.
func damaged(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("it is damaged: %v", p)
	}
}

// Read reads lines.
func (r *reader) Read(p []byte) (int, error) {
	for len(r.line) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.err = r.next()
	}
	n := copy(p, r.line)
	r.line = r.line[n:]
	return n, nil
}

// Done is the share of rows that was read.
func (r *reader) Done() float64 {
	if r.total <= 0 {
		return 1
	}
	return min(1, float64(r.read)/float64(r.total))
}

// next reads a row and makes its line.
func (r *reader) next() (err error) {
	defer damaged(&err)
	n, err := r.rows.Read(r.row[:])
	switch rows := r.read + int64(n); {
	case err == io.EOF && rows < r.total:
		return fmt.Errorf("it is damaged: it ends after %d of %d rows", rows, r.total)
	case err != nil && err != io.EOF:
		return fmt.Errorf("after %d rows: %w", rows, err)
	case err == nil && n == 0:
		return io.ErrNoProgress
	case n == 0:
		return err
	}
	r.read++
	if r.text.Cap() > mostKept {
		r.text = bytes.Buffer{}
	}
	r.text.Reset()
	if err := json.NewEncoder(&r.text).Encode(plain(r.row[0])); err != nil {
		return fmt.Errorf("row %d: %w", r.read, err)
	}
	r.row[0], r.line = nil, r.text.Bytes()
	return err
}

// mostKept is the largest line of which the memory is used again.
const mostKept = 1 << 20

// plain is v with null for what JSON has no form for.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = plain(value)
		}
	case []any:
		for i, value := range v {
			v[i] = plain(value)
		}
	case string:
		if !utf8.ValidString(v) {
			return nil
		}
	case []byte:
		return plain(string(v))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
	case float32:
		return plain(float64(v))
	}
	return v
}
