package delimited

import (
	"errors"
	"io"
	"slices"
	"strings"
)

// ErrTooLong is what the lines of a Reader may give in place of one that is too long. It is a row of its own, and
// reading goes on.
var ErrTooLong = errors.New("a line is too long")

// Reader reads the rows of a table. A quotation mark without an end costs its own row only: the lines after it are
// rows of their own.
type Reader struct {
	Comma byte // between fields
	Bare  bool // quotation marks are ordinary characters, and a line is a row

	next   func() (string, error)
	limit  int    // of the bytes of a row
	ahead  int    // bytes beyond it in which its end is looked for
	fields fields // of the row at hand
	queue  []line // lines that were read ahead
	err    error  // the one after them
	line   int    // lines taken from the queue
}

// line is a line of a table, without its end.
type line struct {
	text string
	long bool // it is too long, and not here
}

// Record is a row of a table in fields.
type Record struct {
	Line   int // of its beginning, from 1
	Fields []string
	Open   bool // a quotation mark in it has no end, or with Long none that is near; there are no fields
	Long   bool // it is too long; there are no fields
}

// Advice says how to mend a row that is Open.
func (r Record) Advice() string {
	if r.Long {
		return "double a mark that is part of the text, close its field, or cut a row that is too long"
	}
	return "double a mark that is part of the text, or close its field"
}

// Exceeds reports whether r has more than n fields and text in those after them: a text with the delimiter in it,
// without quotation marks around it, probably.
func (r Record) Exceeds(n int) bool {
	return len(r.Fields) > n && strings.Join(r.Fields[n:], "") != ""
}

// NewReader returns a Reader of the lines that next returns without their ends, up to its error, io.EOF usually. A row
// of several lines has at most limit bytes; one that has more is Long if it ends within 16 MiB, and else Open. After an
// ErrTooLong the next line follows.
func NewReader(next func() (string, error), limit int) *Reader {
	return &Reader{Comma: ',', next: next, limit: limit, ahead: 16 << 20}
}

// Peek returns the first lines, at most n, or as many as have the given number of bytes, without any that are too long.
// Call it before Read. The error is one of reading, after these lines; the end is none.
func (r *Reader) Peek(n, bytes int) ([]string, error) {
	size := 0
	for _, l := range r.queue {
		size += len(l.text)
	}
	for r.err == nil && len(r.queue) < n && size < bytes {
		var l line
		if l, r.err = r.following(); r.err == nil {
			r.queue, size = append(r.queue, l), size+len(l.text)
		}
	}
	var texts []string
	for _, l := range r.queue {
		if !l.long {
			texts = append(texts, l.text)
		}
	}
	if r.err == io.EOF {
		return texts, nil
	}
	return texts, r.err
}

// following returns the line after the ones that were read.
func (r *Reader) following() (line, error) {
	text, err := r.next()
	if err == ErrTooLong {
		return line{long: true}, nil
	}
	return line{text: text}, err
}

// Declared takes the first line if it names the delimiter, as in files of Excel: sep=; for example.
func (r *Reader) Declared() bool {
	lines, _ := r.Peek(1, 1)
	if len(lines) == 0 || r.queue[0].long || len(lines[0]) != 5 || !strings.HasPrefix(lines[0], "sep=") {
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
func (r *Reader) take() (l line, err error) {
	if len(r.queue) == 0 {
		if r.err != nil {
			return line{}, r.err
		}
		if l, r.err = r.following(); r.err != nil {
			return line{}, r.err
		}
		r.line++
		return l, nil
	}
	l, r.queue = r.queue[0], r.queue[1:]
	r.line++
	return l, nil
}

// Read returns the next row, or io.EOF. Empty lines between rows are none, unless the table is Bare.
func (r *Reader) Read() (Record, error) {
	l, err := r.take()
	for err == nil && !r.Bare && l == (line{}) {
		l, err = r.take()
	}
	if err != nil {
		return Record{}, err
	}
	row := Record{Line: r.line, Long: l.long}
	if l.long {
		return row, nil
	}
	if r.Bare {
		row.Fields = strings.Split(l.text, string(r.Comma))
		return row, nil
	}
	r.fields.comma = r.Comma
	r.fields.begin()
	state, size := r.fields.add(l.text), len(l.text)
	var more []line
	for state == unfinished && size <= r.limit+r.ahead {
		l, err := r.take()
		if err == io.EOF {
			break
		}
		if err != nil {
			return Record{}, err
		}
		if more = append(more, l); l.long {
			break
		}
		size += len(l.text) + 1
		state = r.fields.add(l.text)
	}
	if state == complete {
		if row.Long = size > r.limit; !row.Long {
			row.Fields = r.fields.row
		}
		return row, nil
	}
	// The lines after the first are rows of their own.
	r.queue, r.line = slices.Concat(more, r.queue), r.line-len(more)
	row.Open, row.Long = true, state == unfinished && size > r.limit
	return row, nil
}
