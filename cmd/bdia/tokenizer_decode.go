package main

import (
	"bufio"
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
	return &cobra.Command{
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
			w := bufio.NewWriter(cmd.OutOrStdout())
			return cmp.Or(decode(w, untilDone{cmd.Context(), in}, tok), w.Flush())
		},
	}
}

// decode writes the text of the token ids that in lists. It ends the last line.
func decode(w io.Writer, in io.Reader, tok tokenizer.Tokenizer) error {
	words := bufio.NewScanner(spaced{in})
	words.Split(bufio.ScanWords)
	n, open := 1, false
	for ; words.Scan(); n++ {
		id, err := strconv.ParseInt(words.Text(), 10, 32)
		if err != nil {
			return fmt.Errorf("%q, number %d of the ids, is not a token id", words.Text(), n)
		}
		text, err := tok.Decode([]int32{int32(id)})
		if err != nil {
			return fmt.Errorf("number %d of the ids: %w", n, err)
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
		if len(text) > 0 {
			open = text[len(text)-1] != '\n'
		}
	}
	if open && words.Err() == nil {
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
	}
	if errors.Is(words.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("number %d of the ids has no end in %d characters; put spaces, line breaks or commas between ids", n, bufio.MaxScanTokenSize)
	}
	return words.Err()
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
