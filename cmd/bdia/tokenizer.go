package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/tokenizer"
)

func newTokenizer() *cobra.Command {
	c := &cobra.Command{
		Use:   "tokenizer",
		Short: "Train or describe a tokenizer; text to token ids and back",
		Args:  cli.KnownCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newTokenizerTrain(), newTokenizerEncode(), newTokenizerDecode(), newTokenizerInfo())
	return c
}

func newTokenizerEncode() *cobra.Command {
	var o encoding
	var raw bool
	c := &cobra.Command{
		Use:   "encode TOKENIZER [FILE]",
		Short: "Print the token ids of a file, or of standard input, one a line",
		Long: `Print the token ids of a file, or of standard input, one a line, as
Hugging Face's tokenizers give them: a special token spelt in the text stands for
itself, and tokens that begin or end a text, such as <s>, are there. With --raw a
special token that is spelt is ordinary text, as in training.`,
		Example: "  bdia tokenizer encode tokenizers/gpt2 input.txt --count\n  echo hello | bdia tokenizer encode runs/shakespeare",
		Args:    cli.Arguments(1, 2, "a tokenizer folder and at most one file"),
	}
	c.Flags().BoolVar(&o.count, "count", false, "print only how many ids there are")
	c.Flags().BoolVar(&raw, "raw", false, "special tokens spelt in the text are ordinary text")
	c.Flags().BoolVar(&o.bare, "bare", false, "without the tokens that begin or end a text")
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
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
		in = cli.UntilDone(cmd.Context(), in)
		w := bufio.NewWriter(cmd.OutOrStdout())
		return cmp.Or(encode(cmd.Context(), w, in, tok, o), w.Flush())
	}
	return c
}

// encoding says how token ids are printed.
type encoding struct {
	count bool // only how many there are
	bare  bool // without those that begin or end a text
	json  bool
}

// encode prints the token ids of the text of in, or only how many there are: a line each, or an object.
func encode(ctx context.Context, w io.Writer, in io.Reader, tok tokenizer.Tokenizer, o encoding) error {
	before, between, after := "", "", "\n" // each id
	if o.json {
		before, between, after = `{"ids":[`, ",", ""
	}
	var n int64
	print := func(ids []int32) error {
		for _, id := range ids {
			n++
			if o.count {
				continue
			}
			if _, err := fmt.Fprintf(w, "%s%d%s", before, id, after); err != nil {
				return err
			}
			before = between
		}
		return ctx.Err()
	}
	var first, last []int32
	if !o.bare {
		first, last = tokenizer.Around(tok)
	}
	err := print(first)
	if err == nil {
		err = tok.EncodeStream(in, print)
	}
	if err == nil {
		err = print(last)
	}
	switch {
	case err != nil && o.json && before == between && !o.count: // an error is a line of its own
		_, _ = fmt.Fprintln(w)
		return err
	case err != nil:
		return err
	case o.json && o.count:
		_, err = fmt.Fprintf(w, "{\"tokens\":%d}\n", n)
	case o.json && n == 0:
		_, err = fmt.Fprintln(w, `{"ids":[],"tokens":0}`)
	case o.json:
		_, err = fmt.Fprintf(w, "],\"tokens\":%d}\n", n)
	case o.count:
		_, err = fmt.Fprintln(w, n)
	}
	return err
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
	f, err := disk.OpenStream(args[0])
	if err != nil {
		return nil, nil, err
	}
	return f, func() { f.Close() }, nil
}
