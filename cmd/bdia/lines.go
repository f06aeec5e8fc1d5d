package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/internal/textfile"
)

// lineInput gives the lines of a text, as many at a time as have arrived.
type lineInput struct {
	name  string
	text  *textfile.Reader
	file  *os.File // nil where the text comes from elsewhere
	total int      // lines; 0: not known
}

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
		return newLines("standard input", cli.UntilDone(cmd.Context(), stdin)), nil
	}
	f, err := disk.OpenStream(path)
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
	total := in.text.Lines()
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
	return &lineInput{name: name, text: textfile.New(r, textfile.Options{Buffer: textfile.MaxLine, AsItComes: true})}
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
	var lines []string
	for len(lines) == 0 || in.text.More() {
		line, err := in.text.Line()
		if err != nil {
			return nil, in.wrong(err)
		}
		lines = append(lines, string(line))
	}
	return lines, nil
}

// chunks calls do with the lines as they arrive, up to n at a time, until the end.
func (in *lineInput) chunks(n int, do func(lines []string) error) error {
	for {
		lines, err := in.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for some := range slices.Chunk(lines, n) {
			if err := do(some); err != nil {
				return err
			}
		}
	}
}

// rest reads all lines that follow.
func (in *lineInput) rest() (all []string, err error) {
	err = in.chunks(textfile.MaxLine, func(lines []string) error {
		all = append(all, lines...)
		return nil
	})
	return all, err
}

// wrong says where reading failed. The end is no failure.
func (in *lineInput) wrong(err error) error {
	switch {
	case err == io.EOF, errors.Is(err, context.Canceled):
		return err
	case err == textfile.ErrTooLong:
		err = errors.New("it is longer than 1 MiB; shorten it, or put it on several lines")
	}
	return fmt.Errorf("%s: line %d: %w", in.name, in.text.Lines()+1, err)
}
