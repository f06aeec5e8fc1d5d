package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"

	"golang.org/x/term"
)

// ErrInterrupt is the error of an Editor's line that Ctrl-C has ended.
var ErrInterrupt = errors.New("interrupted")

// Editor reads lines that are typed on a terminal, with keys for editing and for the lines before.
type Editor struct {
	in, out *os.File
	typed   io.Reader // from in
	prompt  string
	keys    *heard
	t       *term.Terminal
}

// NewEditor returns an editor of lines behind prompt; nil: in and out are no terminals, or none that moves its cursor.
// Windows edits lines by itself. It waits for no keys past the end of ctx.
func NewEditor(ctx context.Context, in, out any, prompt string) *Editor {
	i, o := file(in), file(out)
	kind, set := os.LookupEnv("TERM")
	if runtime.GOOS == "windows" || !IsTerminal(i) || !animated(IsTerminal(o), kind, set) {
		return nil
	}
	e := &Editor{in: i, typed: UntilDone(ctx, i), out: o, prompt: prompt}
	e.renew(nil)
	return e
}

// renew forgets what has been typed of a line.
func (e *Editor) renew(history term.History) {
	e.keys = &heard{r: e.typed}
	e.t = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{e.keys, e.out}, e.prompt)
	if history != nil {
		e.t.History = history
	}
}

// Line returns the next line. Lines that are pasted together are one. Ctrl-D is io.EOF, and Ctrl-C ErrInterrupt.
func (e *Editor) Line() (line string, err error) {
	state, err := term.MakeRaw(int(e.in.Fd()))
	if err != nil {
		return "", err
	}
	defer func() {
		if failed := term.Restore(int(e.in.Fd()), state); failed != nil {
			err = failed
		}
	}()
	if width, height, err := term.GetSize(int(e.out.Fd())); err == nil && width > 0 {
		_ = e.t.SetSize(width, height) // it fails when writing does
	}
	e.t.SetBracketedPasteMode(true)
	defer func() { e.t.SetBracketedPasteMode(false) }()
	for {
		part, err := e.t.ReadLine()
		line += part
		switch {
		case err == term.ErrPasteIndicator:
			line += "\n"
			continue
		case err == io.EOF && e.keys.interrupt:
			e.renew(e.t.History)
			_, err = io.WriteString(e.out, "\r\n")
			return "", errors.Join(ErrInterrupt, err)
		case err == io.EOF:
			_, _ = io.WriteString(e.out, "\r\n")
		}
		return line, err
	}
}

// heard notes whether the last keys had a Ctrl-C among them.
type heard struct {
	r         io.Reader
	interrupt bool
}

func (h *heard) Read(b []byte) (int, error) {
	n, err := h.r.Read(b)
	h.interrupt = false
	for _, c := range b[:n] {
		h.interrupt = h.interrupt || c == 3
	}
	return n, err
}
