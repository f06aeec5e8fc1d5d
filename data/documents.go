package data

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/bdia-go/bdia/data/tally"
	"github.com/bdia-go/bdia/internal/textfile"
)

// document is a text of a file.
type document struct {
	place string
	text  io.Reader
	row   bool // one of many in its file
}

// documents are the texts of one file in order. It counts what it leaves out or changes.
type documents struct {
	file    *File
	raw     io.Closer
	clean   *cleaner // of a file that is the text; otherwise what rows are read from, or nil
	rows    rows
	left    int64 // bytes to take; below 0: all
	skipBad bool
	read    int64 // rows
	taken   int64 // bytes
	seen    tally.List
	done    bool
}

// headBytes are read of a file to see what it is.
const headBytes = 8 << 10

// begin reads the first bytes of a file, unpacked.
func begin(r io.Reader) (text *bufio.Reader, head []byte, utf16 bool, err error) {
	t := textfile.New(r, textfile.Options{})
	text = bufio.NewReaderSize(t, 64<<10)
	head, err = text.Peek(headBytes)
	if err == io.EOF {
		err = nil
	}
	utf16, _ = t.UTF16()
	return text, head, utf16, err
}

// openDocuments opens the documents of f, a file that Open has looked at.
func openDocuments(o *opener, f *File, skipBad bool) (*documents, error) {
	raw, err := o.open(f)
	if err != nil {
		return nil, fmt.Errorf("data: read text: %w", err)
	}
	d := &documents{file: f, raw: raw, left: f.Size, skipBad: skipBad}
	text, head, _, err := begin(raw)
	if err == nil {
		err = d.form(text, head)
	}
	if err != nil {
		raw.Close()
		return nil, d.wrong(err)
	}
	return d, nil
}

// form prepares to read the documents of text.
func (d *documents) form(text *bufio.Reader, head []byte) (err error) {
	f := d.file
	if f.form == jsonLines {
		d.rows = &lineRows{texts: texts{key: f.key}, lines: lines{path: f.Path, r: text}}
		return nil
	}
	d.clean = newCleaner(f.Path, text)
	switch f.form {
	case jsonList:
		d.rows = newListRows(texts{key: f.key}, f.Path, d.clean)
	case table:
		d.rows, err = newTableRows(f.Path, f.key, head, d.clean)
	}
	return err
}

// next returns the next document, or io.EOF.
func (d *documents) next() (document, error) {
	if d.rows == nil {
		if d.done {
			return document{}, io.EOF
		}
		d.done = true
		return document{place: d.file.Path, text: d}, nil
	}
	for d.left != 0 {
		r, err := d.rows.next()
		var encoding *EncodingError
		if errors.As(err, &encoding) && d.skipBad && d.file.form == jsonLines {
			d.read++
			d.seen.Count(1, "rows", reasonNotUTF8, encoding.place(), false)
			continue
		}
		if err != nil {
			return document{}, d.wrong(err)
		}
		d.read++
		text, place := d.tidy(r.text), r.place(d.file.Path)
		if r.bad == "" && text == "" {
			r.bad = noText
		}
		if r.bad != "" {
			if r.detail != "" {
				place += ": " + r.detail
			}
			d.seen.Count(1, "rows", r.bad, place, false)
			continue
		}
		if r.detail != "" {
			d.seen.Count(1, "rows", r.detail, place, true)
		}
		if d.left > 0 && int64(len(text)) > d.left {
			text = text[:d.left-cut([]byte(text), d.left)]
			d.left = 0
		} else if d.left > 0 {
			d.left -= int64(len(text))
		}
		if text == "" {
			break
		}
		d.taken += int64(len(text))
		return document{place: place, text: strings.NewReader(text), row: true}, nil
	}
	return document{}, io.EOF
}

// tidy drops zero bytes and the CR of CR LF from the text of a row, and counts them.
func (d *documents) tidy(text string) string {
	if !strings.ContainsAny(text, "\r\x00") {
		return text
	}
	var c cleaner
	text = string(c.tidy([]byte(text)))
	d.count(&c)
	return text
}

// Read reads the text of a file that is one document.
func (d *documents) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	if d.left > 0 {
		p = p[:min(int64(len(p)), d.left)]
	}
	n, err := d.clean.Read(p)
	d.taken += int64(n)
	if d.left > 0 {
		d.left -= int64(n)
	}
	return n, d.wrong(err)
}

// What is changed in a text.
const (
	lineEnds  = "of Windows (CR LF), read as LF"
	zeroBytes = "left out of texts"
)

// count adds what c has changed.
func (d *documents) count(c *cleaner) {
	d.seen.Count(c.ends, "line ends", lineEnds, d.file.Path, true)
	d.seen.Count(c.zeros, "zero bytes", zeroBytes, d.file.Path, true)
	c.ends, c.zeros = 0, 0
}

// close closes the file.
func (d *documents) close() error {
	if d.clean != nil {
		d.count(d.clean)
	}
	return d.raw.Close()
}

// wrong adds the file's name to the errors of internal/textfile.
func (d *documents) wrong(err error) error {
	if errors.Is(err, textfile.ErrDamaged) || errors.Is(err, textfile.ErrUTF32) {
		return fmt.Errorf("%s: %w", d.file.Path, err)
	}
	return err
}

// cut returns how many of the first n bytes of text are the beginning of a character that goes on.
func cut(text []byte, n int64) int64 {
	var back int64
	for back < n && n < int64(len(text)) && back < utf8.UTFMax-1 && !utf8.RuneStart(text[n-back]) {
		back++
	}
	return back
}
