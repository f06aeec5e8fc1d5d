package delimited

import (
	"io"
	"strings"
)

// Reader reads the rows of a table. A quotation mark without an end costs its own row only: the lines after it are
// rows of their own.
type Reader struct {
	Comma byte // between fields
	Bare  bool // quotation marks are ordinary characters, and a line is a row

	next   func() (string, error)
	limit  int
	fields fields   // of the row at hand
	queue  []string // lines that were read ahead
	err    error    // the one after them
	line   int      // lines taken from the queue
}

// Record is a row of a table in fields.
type Record struct {
	Line   int // of its beginning, from 1
	Fields []string
	Open   bool // a quotation mark in it has no end; there are no fields
}

// Exceeds reports whether r has more than n fields and text in those after them: a text with the delimiter in it,
// without quotation marks around it, probably.
func (r Record) Exceeds(n int) bool {
	return len(r.Fields) > n && strings.Join(r.Fields[n:], "") != ""
}

// NewReader returns a Reader of the lines that next returns without their ends, up to its error, io.EOF usually. A row
// of several lines has at most limit bytes.
func NewReader(next func() (string, error), limit int) *Reader {
	return &Reader{Comma: ',', next: next, limit: limit}
}

// Peek returns the first lines, at most n, or as many as have the given number of bytes. Call it before Read. The
// error is one of reading, after these lines; the end is none.
func (r *Reader) Peek(n, bytes int) ([]string, error) {
	size := 0
	for _, line := range r.queue {
		size += len(line)
	}
	for r.err == nil && len(r.queue) < n && size < bytes {
		var line string
		if line, r.err = r.next(); r.err == nil {
			r.queue, size = append(r.queue, line), size+len(line)
		}
	}
	if r.err == io.EOF {
		return r.queue, nil
	}
	return r.queue, r.err
}

// Declared takes the first line if it names the delimiter, as in files of Excel: sep=; for example.
func (r *Reader) Declared() bool {
	lines, _ := r.Peek(1, 1)
	if len(lines) == 0 || len(lines[0]) != 5 || !strings.HasPrefix(lines[0], "sep=") {
		return false
	}
	r.Comma = lines[0][4]
	r.queue, r.line = r.queue[1:], 1
	return true
}

// Ahead reads the rows of the lines that Peek has read.
func (r *Reader) Ahead() (rows []Record) {
	for len(r.queue) > 0 {
		row, err := r.Read()
		if err != nil {
			break // it comes again
		}
		rows = append(rows, row)
	}
	return rows
}

// take returns the next line, or io.EOF.
func (r *Reader) take() (line string, err error) {
	if len(r.queue) == 0 {
		if r.err != nil {
			return "", r.err
		}
		if line, r.err = r.next(); r.err != nil {
			return "", r.err
		}
		r.line++
		return line, nil
	}
	line, r.queue = r.queue[0], r.queue[1:]
	r.line++
	return line, nil
}

// Read returns the next row, or io.EOF. Empty lines between rows are none, unless the table is Bare.
func (r *Reader) Read() (Record, error) {
	line, err := r.take()
	for err == nil && !r.Bare && line == "" {
		line, err = r.take()
	}
	if err != nil {
		return Record{}, err
	}
	row := Record{Line: r.line}
	if r.Bare {
		row.Fields = strings.Split(line, string(r.Comma))
		return row, nil
	}
	r.fields.comma = r.Comma
	r.fields.begin()
	state, size := r.fields.add(line), len(line)
	var more []string
	for state == unfinished && size <= r.limit {
		line, err := r.take()
		if err == io.EOF {
			break
		}
		if err != nil {
			return Record{}, err
		}
		more, size = append(more, line), size+len(line)+1
		state = r.fields.add(line)
	}
	if state == complete {
		row.Fields = r.fields.row
		return row, nil
	}
	// The lines after the first are rows of their own.
	r.queue, r.line, row.Open = append(more, r.queue...), r.line-len(more), true
	return row, nil
}
