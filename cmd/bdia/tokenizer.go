package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/tokenizer"
)

func newTokenizer() *cobra.Command {
	c := &cobra.Command{
		Use:   "tokenizer",
		Short: "Train a tokenizer, or turn text into token ids and back",
		Args:  cli.KnownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newTokenizerTrain(), newTokenizerEncode(), newTokenizerDecode())
	return c
}

func newTokenizerEncode() *cobra.Command {
	var count, raw bool
	c := &cobra.Command{
		Use:   "encode TOKENIZER [FILE]",
		Short: "Print the token ids of a file, or of standard input, one a line",
		Long: `Print the token ids of a file, or of standard input, one a line, as
Hugging Face's tokenizers give them: a special token spelt in the text stands for
itself. With --raw it is ordinary text, as in training.`,
		Example: "  bdia tokenizer encode tokenizers/gpt2 input.txt --count\n  echo hello | bdia tokenizer encode runs/shakespeare",
		Args:    cli.Arguments(1, 2, "a tokenizer folder and at most one file"),
	}
	c.Flags().BoolVar(&count, "count", false, "print only how many ids there are")
	c.Flags().BoolVar(&raw, "raw", false, "special tokens spelt in the text are ordinary text")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		tok, err := tokenizer.Load(args[0])
		if err != nil {
			return err
		}
		if raw {
			tok = tokenizer.Raw(tok)
		}
		in, done, err := openInput(cmd, args[1:])
		if err != nil {
			return err
		}
		defer done()
		w := bufio.NewWriter(cmd.OutOrStdout())
		var n int64
		var line []byte
		if err := tok.EncodeStream(in, func(ids []int32) error {
			n += int64(len(ids))
			if count {
				return nil
			}
			for _, id := range ids {
				line = append(strconv.AppendInt(line[:0], int64(id), 10), '\n')
				if _, err := w.Write(line); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
		if count {
			fmt.Fprintln(w, n)
		}
		return w.Flush()
	}
	return c
}

func newTokenizerDecode() *cobra.Command {
	return &cobra.Command{
		Use:     "decode TOKENIZER [FILE]",
		Short:   "Print the text of token ids, with spaces or commas between them, of a file or standard input",
		Example: "  echo 15496 995 | bdia tokenizer decode tokenizers/gpt2\n  bdia generate gpt2 --print-ids | bdia tokenizer decode gpt2",
		Args:    cli.Arguments(1, 2, "a tokenizer folder and at most one file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			tok, err := tokenizer.Load(args[0])
			if err != nil {
				return err
			}
			in, done, err := openInput(cmd, args[1:])
			if err != nil {
				return err
			}
			defer done()
			w := bufio.NewWriter(cmd.OutOrStdout())
			return cmp.Or(decode(w, in, tok), w.Flush())
		},
	}
}

// decode writes the text of the token ids that in lists.
func decode(w io.Writer, in io.Reader, tok tokenizer.Tokenizer) error {
	words := bufio.NewScanner(spaced{in})
	words.Split(bufio.ScanWords)
	n := 1
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

// openInput opens the file that args name, or standard input.
func openInput(cmd *cobra.Command, args []string) (io.Reader, func(), error) {
	if len(args) == 0 || args[0] == "-" {
		return cmd.InOrStdin(), func() {}, nil
	}
	f, err := os.Open(args[0])
	if err != nil {
		return nil, nil, err
	}
	return f, func() { f.Close() }, nil
}
