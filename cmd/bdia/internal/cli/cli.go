// Package cli is what the commands of bdia have in common: help that fits the terminal, groups of flags, errors of
// usage with suggestions, output that is checked, signals, the progress line, and numbers for people.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// Exit codes of the program.
const (
	ExitOK          = 0
	ExitFailure     = 1
	ExitUsage       = 2   // called wrongly
	ExitStopped     = 3   // by a signal, and saved: the run can go on
	ExitInterrupted = 130 // with nothing to save, or by a second Ctrl-C
	exitPipe        = 141 // the reader of the output has gone, as a signal of the system says it
)

// Errors that end a command which a signal has stopped, and which has said so.
var (
	ErrStopped = errors.New("stopped and saved")
	ErrUnsaved = errors.New("stopped with nothing to save") // what was prepared stays
)

// usageError marks an error of how the program was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usage marks err as the caller's mistake: the program ends with ExitUsage. Of nil it returns nil.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// IsUsage reports whether err wraps an error that Usage marked.
func IsUsage(err error) bool { return errors.As(err, new(usageError)) }

// Output is a writer that remembers the first failure of W, so that a command whose result is lost fails, for example
// on a full disk.
type Output struct {
	W   io.Writer
	err error
}

// Write writes b to o.W. It ends the program if o.W is a pipe and its reader has gone.
func (o *Output) Write(b []byte) (int, error) {
	n, err := o.W.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		os.Exit(exitPipe)
	}
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("writing the output: %w", err)
	}
	return n, err
}

// Err returns the first failure, or nil.
func (o *Output) Err() error { return o.err }

// IsTerminal reports whether w is a terminal, or an Output to one.
func IsTerminal(w any) bool {
	f := file(w)
	return f != nil && term.IsTerminal(int(f.Fd()))
}

// file returns the file that w is or writes to, or nil.
func file(w any) *os.File {
	switch o := w.(type) {
	case *Output:
		w = o.W
	case *listened:
		w = o.w
	}
	f, _ := w.(*os.File)
	return f
}

// OneLine returns the text of err on one line. Errors that were joined are parted by semicolons. It leaves out the
// program's name, which is the prefix of the root package too.
func OneLine(err error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.TrimPrefix(strings.Join(lines, "; "), "bdia: ")
}
