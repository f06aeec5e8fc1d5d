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

// batch is the number of rows that are read at a time.
const batch = 16

// reader gives rows as lines of JSON.
type reader struct {
	rows   *parquet.GenericReader[any]
	total  int64
	read   int64
	values []any  // of a batch
	left   []any  // rows of it that are no lines yet
	line   []byte // what is not read of the latest one
	err    error  // after the batch
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
	return &reader{rows: parquet.NewGenericReader[any](f), total: f.NumRows(), values: make([]any, batch)}, nil
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
		switch {
		case len(r.left) > 0:
			line, err := json.Marshal(plain(r.left[0]))
			if r.read++; err != nil {
				return 0, fmt.Errorf("row %d: %w", r.read, err)
			}
			r.line, r.left = append(line, '\n'), r.left[1:]
		case r.err != nil:
			return 0, r.err
		default:
			r.err = r.more()
		}
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

// more reads a batch of rows.
func (r *reader) more() (err error) {
	defer damaged(&err)
	clear(r.values)
	n, err := r.rows.Read(r.values)
	r.left = r.values[:n]
	switch rows := r.read + int64(n); {
	case err == io.EOF && rows < r.total:
		return fmt.Errorf("it is damaged: it ends after %d of %d rows", rows, r.total)
	case err != nil && err != io.EOF:
		return fmt.Errorf("after %d rows: %w", rows, err)
	case err == nil && n == 0:
		return io.ErrNoProgress
	}
	return err
}

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
