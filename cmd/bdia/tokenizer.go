package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/hub"
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
		tok, err := loadTokenizer(args[0])
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
		in = untilDone{cmd.Context(), in}
		w := bufio.NewWriter(cmd.OutOrStdout())
		var n int64
		var line []byte
		if err := tok.EncodeStream(in, func(ids []int32) error {
			if n += int64(len(ids)); count {
				return cmd.Context().Err()
			}
			for _, id := range ids {
				line = append(strconv.AppendInt(line[:0], int64(id), 10), '\n')
				if _, err := w.Write(line); err != nil {
					return err
				}
			}
			return cmd.Context().Err()
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

// loadTokenizer loads the tokenizer in a folder, which a model folder names too in each way that hub.Find knows.
func loadTokenizer(name string) (tokenizer.Tokenizer, error) {
	tok, err := tokenizer.Load(name)
	if err == nil || !errors.Is(err, tokenizer.ErrNotFound) {
		return tok, err
	}
	dir, other := hub.Find(name)
	switch info, _ := os.Stat(name); {
	case other == nil && dir != name:
		return tokenizer.Load(dir)
	case info == nil:
		return nil, other
	case !info.IsDir():
		return tokenizer.Load(filepath.Dir(name))
	}
	return nil, err
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
