// Package textfile reads text files of users: plain or gzip, in UTF-8 or UTF-16, with
// or without a byte order mark, with lines that end in LF or CR LF.
//
// Errors name neither package nor file: callers know both.
package textfile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// MaxLine is the largest length of a line in bytes, without its end. It limits the
// memory for a file without line breaks.
const MaxLine = 1 << 20

// Errors for errors.Is.
var (
	// ErrTooLong is the error for a line of more than MaxLine bytes.
	ErrTooLong = errors.New("the line is longer than 1 MiB")
	// ErrDamaged is wrapped by errors about text that begins like gzip and cannot
	// be unpacked.
	ErrDamaged = errors.New("its compressed data are damaged")
)

const (
	gzipMagic     = "\x1f\x8b"
	byteOrderMark = "\ufeff"
)

// Options are the options of New. The zero value is right for most texts.
type Options struct {
	// KeepMark keeps UTF-8's byte order mark as part of the text. Otherwise it is
	// skipped, as UTF-16's always is.
	KeepMark bool
	// AsItComes is for a text that is typed: the reader does not wait for more than
	// one byte to look at the beginning, and so knows UTF-16 by its mark only.
	AsItComes bool
	// Buffer is the size of the read buffer in bytes; 0 means 64 KiB.
	Buffer int
}

// Reader reads a text by bytes, by lines, or both. It reads only when called and
// never waits for more input than it needs, so a text may come from a terminal. It
// is for one goroutine. After an error other than ErrTooLong it must not be used.
type Reader struct {
	o      Options
	source source
	text   *bufio.Reader
	begun  bool
	packed bool
	utf16  bool
	err    error // of the beginning
	long   []byte
	over   bool // the line before was too long
	rest   bool // and what is next is the rest of it
	lines  int
}

// source remembers an error of the underlying reader, so that it is not lost, nor
// taken for damaged text.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// New returns a Reader of the text in r.
func New(r io.Reader, o Options) *Reader {
	if o.Buffer == 0 {
		o.Buffer = 64 << 10
	}
	t := &Reader{o: o, source: source{r: r}}
	t.text = bufio.NewReaderSize(&t.source, o.Buffer)
	return t
}

// Packed reports whether the text is compressed.
func (r *Reader) Packed() (bool, error) {
	err := r.begin()
	return r.packed, err
}

// UTF16 reports whether the text is UTF-16, which is read as UTF-8. Half a pair of
// surrogates is read as U+FFFD.
func (r *Reader) UTF16() (bool, error) {
	err := r.begin()
	return r.utf16, err
}

// Read reads the text.
func (r *Reader) Read(p []byte) (int, error) {
	if err := r.begin(); err != nil {
		return 0, err
	}
	n, err := r.text.Read(p)
	return n, r.wrong(err)
}

// Line returns the next line with its end, until the next call, or io.EOF. The last
// line may lack its end. Trim drops it. After ErrTooLong it goes on with the line after
// the one that is too long.
func (r *Reader) Line() ([]byte, error) {
	if err := r.begin(); err != nil {
		return nil, err
	}
	if err := r.pass(); err != nil {
		return nil, err
	}
	line, err := r.text.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		r.long = append(r.long[:0], line...)
		for err == bufio.ErrBufferFull && len(Trim(r.long)) <= MaxLine {
			line, err = r.text.ReadSlice('\n')
			r.long = append(r.long, line...)
		}
		line = r.long
	}
	switch {
	case len(Trim(line)) > MaxLine:
		r.over, r.rest = true, err == bufio.ErrBufferFull
		return nil, ErrTooLong
	case err != nil && err != io.EOF:
		return nil, r.wrong(err)
	case len(line) == 0:
		return nil, io.EOF
	}
	r.lines++
	return line, nil
}

// pass goes behind a line that was too long.
func (r *Reader) pass() error {
	for r.rest {
		_, err := r.text.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull && err != io.EOF { // the end comes again
			return r.wrong(err)
		}
		r.rest = err == bufio.ErrBufferFull
	}
	if r.over {
		r.over = false
		r.lines++
	}
	return nil
}

// Trim drops the end of a line: LF, CR LF, or a CR at the end of the text.
func Trim(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// Lines returns how many lines Line has returned, and left behind since they are too long.
func (r *Reader) Lines() int { return r.lines }

// More reports whether a whole line has arrived, so that Line will not wait.
func (r *Reader) More() bool {
	here, _ := r.text.Peek(r.text.Buffered())
	return bytes.IndexByte(here, '\n') >= 0
}

// begin prepares to unpack gzip and to decode UTF-16, and skips a byte order mark. It
// waits for one byte only if Options.AsItComes, unless that byte starts either.
func (r *Reader) begin() error {
	if !r.begun {
		r.begun = true
		r.err = r.wrong(r.open())
	}
	return r.err
}

func (r *Reader) open() (err error) {
	if r.packed, err = r.starts(gzipMagic); err != nil {
		return err
	}
	if r.packed {
		z, err := gzip.NewReader(r.text)
		if err != nil {
			return err
		}
		r.text = bufio.NewReaderSize(z, r.o.Buffer)
	}
	if r.utf16, err = r.decode(); err != nil || r.utf16 || r.o.KeepMark {
		return err
	}
	marked, err := r.starts(byteOrderMark)
	if marked {
		r.text.Discard(len(byteOrderMark))
	}
	return err
}

// starts reports whether the text starts with prefix.
func (r *Reader) starts(prefix string) (bool, error) {
	head, err := r.text.Peek(1)
	if string(head) == prefix[:1] {
		head, err = r.text.Peek(len(prefix))
	}
	if err == io.EOF {
		err = nil
	}
	return string(head) == prefix, err
}

// wrong marks err as damage if unpacking caused it.
func (r *Reader) wrong(err error) error {
	if err == nil || err == io.EOF || !r.packed || r.source.err != nil {
		return err
	}
	return fmt.Errorf("%w (%w); make or download it again", ErrDamaged, err)
}
