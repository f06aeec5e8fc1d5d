package score

import (
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/bdia-go/bdia/internal/textfile"
)

// Errors of parallel files, for errors.Is.
var (
	ErrText           = errors.New("score: not a file of text lines")
	ErrLineCount      = errors.New("score: files of different length")
	ErrEmptyReference = errors.New("score: empty reference")
)

// Stream is a file of one segment a line, plain or compressed by gzip.
type Stream struct {
	Name string // for messages
	Text io.Reader
}

// Lines calls each with the segments of parallel files, in order: a hypothesis and its
// references, without white space at the end. The slice is reused. Lines end with \n. It
// stops when each returns an error.
//
// Errors wrap ErrLineCount for files of different length, ErrText for lines that are too
// long or not UTF-8, and ErrEmptyReference for empty lines of references, unless
// allowEmpty. After such an error the files are still read to the end, without calls, so
// that the message has the total count.
func Lines(hypotheses Stream, references []Stream, allowEmpty bool, each func(hypothesis string, references []string) error) error {
	files := make([]*lineReader, 0, len(references)+1)
	for i, s := range append(references[:len(references):len(references)], hypotheses) {
		files = append(files, newLineReader(s, i < len(references) && !allowEmpty))
	}
	segment := make([]string, len(files))
	for good := true; ; {
		ended := 0
		for i, f := range files {
			var err error
			segment[i], err = f.next()
			if errors.Is(err, io.EOF) {
				ended++
			} else if err != nil {
				return err
			}
			good = good && f.good()
		}
		if ended == len(files) {
			return verdict(files)
		}
		if good = good && ended == 0; good {
			last := len(references)
			if err := each(segment[last], segment[:last:last]); err != nil {
				return err
			}
		}
	}
}

// verdict returns the first problem of the files after they have been read to the end; the
// hypotheses come last.
func verdict(files []*lineReader) error {
	for _, f := range files {
		if f.invalid.count > 0 {
			return fmt.Errorf("%w: %s: %s not UTF-8; convert it, for example with iconv", ErrText, f.name, f.invalid.of(f.lines))
		}
	}
	hypotheses := files[len(files)-1]
	for _, f := range files {
		if f.lines != hypotheses.lines {
			return fmt.Errorf("%w: %s has %s, %s has %s; each hypothesis needs a line of every file", ErrLineCount,
				hypotheses.name, plural(hypotheses.lines, "line"), f.name, plural(f.lines, "line"))
		}
	}
	if hypotheses.lines == 0 {
		return fmt.Errorf("%w: %s has no lines", ErrText, hypotheses.name)
	}
	for _, f := range files {
		if f.refuseEmpty && f.empty.count > 0 {
			return fmt.Errorf("%w: %s: %s empty; fill them in", ErrEmptyReference, f.name, f.empty.of(f.lines))
		}
	}
	return nil
}

// lineReader reads the lines of one file.
type lineReader struct {
	name           string
	text           *textfile.Reader
	refuseEmpty    bool
	lines, bytes   int
	empty, invalid tally
}

// tally counts lines of a kind.
type tally struct{ count, first int }

func (t *tally) add(line int) {
	if t.count == 0 {
		t.first = line
	}
	t.count++
}

func (t tally) of(lines int) string {
	if t.count == 1 {
		return fmt.Sprintf("1 of %s (line %d) is", plural(lines, "line"), t.first)
	}
	return fmt.Sprintf("%d of %s (the first is line %d) are", t.count, plural(lines, "line"), t.first)
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func newLineReader(s Stream, refuseEmpty bool) *lineReader {
	return &lineReader{name: s.Name, text: textfile.New(s.Text, textfile.Options{KeepMark: true}), refuseEmpty: refuseEmpty}
}

// good reports whether the file has had no problem so far.
func (f *lineReader) good() bool {
	return f.invalid.count == 0 && (!f.refuseEmpty || f.empty.count == 0)
}

// next returns the next line, without white space at its end, or io.EOF.
func (f *lineReader) next() (string, error) {
	line, err := f.text.Line()
	switch {
	case err == io.EOF:
		return "", err
	case err == textfile.ErrTooLong:
		return "", fmt.Errorf("%w: %s: line %d is longer than 1 MiB; put one segment on a line", ErrText, f.name, f.lines+1)
	case err != nil:
		return "", fmt.Errorf("score: %s: line %d: %w", f.name, f.lines+1, err)
	}
	f.lines++
	f.bytes += len(line)
	if !utf8.Valid(line) {
		f.invalid.add(f.lines)
	}
	s := trimRight(string(line))
	if s == "" {
		f.empty.add(f.lines)
	}
	return s, nil
}
