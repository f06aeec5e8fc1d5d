package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/internal/disk"
)

// note counts lines of a kind.
type note struct{ count, first int }

// lineWriter writes a line for each line of an input, and counts those that are not
// what they should be.
type lineWriter struct {
	out    *bufio.Writer
	file   *lateFile // nil for standard output
	nBest  int
	asJSON bool
	lines  int
	notes  map[string]note
	ended  bool // nothing follows
}

// lateFile is a file that keeps what it held until something else is written.
type lateFile struct {
	*disk.File
	begun bool
}

func (f *lateFile) Write(b []byte) (int, error) {
	if err := f.begin(); err != nil {
		return 0, err
	}
	return f.File.Write(b)
}

// begin empties the file, the first time.
func (f *lateFile) begin() error {
	if f.begun {
		return nil
	}
	f.begun = true
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() { // a pipe has nothing to empty
		return err
	}
	return f.Truncate(0)
}

func newLineWriter(nBest int, asJSON bool) *lineWriter {
	return &lineWriter{nBest: nBest, asJSON: asJSON, notes: map[string]note{}}
}

// open writes to the file at path, which must not be the input in, or to standard
// output.
func (w *lineWriter) open(cmd *cobra.Command, in *lineInput, path string) (err error) {
	w.out = bufio.NewWriter(cmd.OutOrStdout())
	if path == "" || path == "-" {
		return nil
	}
	if in != nil && in.is(path) {
		return cli.Usage(fmt.Errorf("%s is the input; write to another file", path))
	}
	f, err := disk.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	w.file = &lateFile{File: f}
	w.out.Reset(w.file)
	return nil
}

// close closes the file, if there is one, after work that came to err. Of what fails it
// returns the first: a write that failed fails again when the rest is flushed.
func (w *lineWriter) close(err error) error {
	if w.file == nil {
		return err
	}
	flushed := w.out.Flush()
	var begun error
	if w.ended {
		begun = w.file.begin()
	}
	return cmp.Or(err, flushed, begun, w.file.Close())
}

// add writes what was made of the next line: texts with their scores, best first,
// or for machines whole.
func (w *lineWriter) add(kind string, texts []string, scores []float64, whole any) error {
	w.lines++
	if n := w.notes[kind]; n.count == 0 {
		w.notes[kind] = note{1, w.lines}
	} else {
		w.notes[kind] = note{n.count + 1, n.first}
	}
	switch {
	case w.asJSON:
		encoder := json.NewEncoder(w.out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(whole)
	case len(texts) == 0 && w.nBest == 1:
		fmt.Fprintln(w.out)
	case len(texts) == 0:
		fmt.Fprintf(w.out, "%d\t\t\n", w.lines)
	case w.nBest == 1:
		fmt.Fprintln(w.out, texts[0])
	default:
		for i, text := range texts {
			fmt.Fprintf(w.out, "%d\t%.4f\t%s\n", w.lines, scores[i], text)
		}
	}
	return nil
}

// report says, after the last line, which were not done as they are, if any.
func (w *lineWriter) report(to io.Writer) {
	w.ended = true
	var kinds []string
	for _, kind := range generate.Notes() {
		if n := w.notes[kind]; n.count > 0 {
			kinds = append(kinds, fmt.Sprintf("%d %s (first in line %d)", n.count, kind, n.first))
		}
	}
	if len(kinds) > 0 {
		fmt.Fprintf(to, "Of %d lines: %s\n", w.lines, strings.Join(kinds, ", "))
	}
}
