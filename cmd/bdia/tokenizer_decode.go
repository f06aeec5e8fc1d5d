package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/tokenizer"
)

func newTokenizerDecode() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "decode TOKENIZER [FILE]",
		Short:   "Print the text of token ids, with spaces or commas between them, of a file or standard input",
		Example: "  echo 15496 995 | bdia tokenizer decode tokenizers/gpt2\n  bdia generate gpt2 --print-ids | bdia tokenizer decode gpt2",
		Args:    cli.Arguments(1, 2, "a tokenizer folder and at most one file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			tok, err := loadTokenizer(args[0])
			if err != nil {
				return err
			}
			in, done, err := openInput(cmd, args[1:])
			if err != nil {
				return err
			}
			defer done()
			in = cli.UntilDone(cmd.Context(), in)
			if asJSON {
				var text bytes.Buffer
				n, err := decode(&text, in, tok)
				if err != nil {
					return err
				}
				return cli.PrintJSON(cmd.OutOrStdout(), map[string]any{"text": text.String(), "tokens": n})
			}
			w := &endedLine{w: bufio.NewWriter(cmd.OutOrStdout())}
			_, err = decode(w, in, tok)
			return cmp.Or(err, w.end())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// endedLine is a text that ends its last line.
type endedLine struct {
	w    *bufio.Writer
	open bool
}

func (e *endedLine) Write(text []byte) (int, error) {
	if len(text) > 0 {
		e.open = text[len(text)-1] != '\n'
	}
	return e.w.Write(text)
}

func (e *endedLine) end() error {
	if e.open {
		e.w.WriteByte('\n')
	}
	return e.w.Flush()
}

// decode writes the text of the token ids that in lists, and counts them.
func decode(w io.Writer, in io.Reader, tok tokenizer.Tokenizer) (n int, err error) {
	words := bufio.NewScanner(spaced{in})
	words.Split(bufio.ScanWords)
	decoder := tokenizer.NewDecoder(tok)
	for n = 1; words.Scan(); n++ {
		id, err := strconv.ParseInt(words.Text(), 10, 32)
		if err != nil {
			return n, fmt.Errorf("%.80q, number %d of the ids, is not a token id", words.Text(), n)
		}
		text, err := decoder.Append(nil, int32(id))
		if err != nil {
			return n, fmt.Errorf("number %d of the ids: %w", n, err)
		}
		if _, err := w.Write(text); err != nil {
			return n, err
		}
	}
	if errors.Is(words.Err(), bufio.ErrTooLong) {
		return n, fmt.Errorf("number %d of the ids has no end in %d characters; put spaces, line breaks or commas between ids", n, bufio.MaxScanTokenSize)
	}
	_, err = w.Write(decoder.Rest(nil))
	return n - 1, cmp.Or(words.Err(), err)
}

// spaced reads commas as spaces.
type spaced struct{ io.Reader }

func (s spaced) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	for i := range b[:n] {
		if b[i] == ',' {
			b[i] = ' '
		}
	}
	return n, err
}
