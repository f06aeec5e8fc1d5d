package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// lineInput gives the lines of a text, as many at a time as have arrived.
type lineInput struct {
	name  string
	text  *bufio.Reader
	file  *os.File // nil where the text comes from elsewhere
	begun bool
	read  int // lines
	total int // lines; 0: not known
}

// maxLineBytes is the longest line, and the most text that is taken at a time.
const maxLineBytes = 1 << 20

// openLines opens the given sentences, one a line, the file at path, or standard
// input.
func openLines(cmd *cobra.Command, sentences []string, path string) (*lineInput, error) {
	if len(sentences) > 0 {
		text := new(strings.Builder)
		for _, s := range sentences {
			fmt.Fprintln(text, strings.NewReplacer("\n", " ", "\r", " ").Replace(s))
		}
		return newLines("sentences", strings.NewReader(text.String())), nil
	}
	if path == "" || path == "-" {
		stdin := cmd.InOrStdin()
		if f, ok := stdin.(*os.File); ok && cli.IsTerminal(f) && cli.IsTerminal(cmd.ErrOrStderr()) {
			fmt.Fprintln(cmd.ErrOrStderr(), "Write a sentence a line; Ctrl-D ends.")
		}
		return newLines("standard input", untilDone{cmd.Context(), stdin}), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	in := newLines(path, f)
	in.file = f
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return in, err
	}
	for err == nil { // so that progress knows the end
		_, err = in.next()
	}
	total := in.read
	if err == io.EOF {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	in = newLines(path, f)
	in.file, in.total = f, total
	return in, nil
}

func newLines(name string, r io.Reader) *lineInput {
	return &lineInput{name: name, text: bufio.NewReaderSize(r, maxLineBytes)}
}

// is reports whether path names the file that is read.
func (in *lineInput) is(path string) bool {
	if in.file == nil {
		return false
	}
	there, err := os.Stat(path)
	if err != nil {
		return false
	}
	here, err := in.file.Stat()
	return err == nil && os.SameFile(here, there)
}

// next waits for a line, and returns it with those that came together with it. The
// end is io.EOF.
func (in *lineInput) next() ([]string, error) {
	if err := in.begin(); err != nil {
		return nil, in.wrong(err)
	}
	var lines []string
	for {
		line, err := in.text.ReadSlice('\n')
		switch {
		case err == io.EOF && len(line) == 0:
			return nil, io.EOF
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, in.wrong(errors.New("it is longer than 1 MiB; put a sentence on a line"))
		case err != nil && err != io.EOF:
			return nil, in.wrong(err)
		}
		in.read++
		lines = append(lines, string(line))
		if here, _ := in.text.Peek(in.text.Buffered()); bytes.IndexByte(here, '\n') < 0 {
			return lines, nil
		}
	}
}

// rest reads all lines that follow.
func (in *lineInput) rest() (all []string, err error) {
	for {
		lines, err := in.next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, lines...)
	}
}

// begin unpacks gzip and passes over a byte order mark. It waits for no more than a
// byte, unless that is the first of either.
func (in *lineInput) begin() error {
	if in.begun {
		return nil
	}
	in.begun = true
	if in.starts("\x1f\x8b") {
		z, err := gzip.NewReader(in.text)
		if err != nil {
			return err
		}
		in.text = bufio.NewReaderSize(z, maxLineBytes)
	}
	if in.starts("\ufeff") {
		_, err := in.text.Discard(len("\ufeff"))
		return err
	}
	return nil
}

// starts reports whether the text starts with prefix.
func (in *lineInput) starts(prefix string) bool {
	if head, _ := in.text.Peek(1); string(head) != prefix[:1] {
		return false
	}
	head, _ := in.text.Peek(len(prefix))
	return string(head) == prefix
}

// wrong says where reading failed.
func (in *lineInput) wrong(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if errors.As(err, new(flate.CorruptInputError)) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("its compressed data are damaged (%w); make or download it again", err)
	}
	return fmt.Errorf("%s: line %d: %w", in.name, in.read+1, err)
}

// untilDone is a reader that does not wait past the end of ctx.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(b []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	own, done := make([]byte, len(b)), make(chan result, 1) // b is the caller's again when ctx ends
	go func() {
		n, err := u.r.Read(own)
		done <- result{n, err}
	}()
	select {
	case <-u.ctx.Done():
		return 0, u.ctx.Err()
	case r := <-done:
		return copy(b, own[:r.n]), r.err
	}
}
