package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train/text"
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

func newTokenizerTrain() *cobra.Command {
	d := text.DataConfig{Tokenizer: "bpe"}
	o := tokenizer.TrainOptions{VocabSize: 4096}
	var out string
	c := &cobra.Command{
		Use:   "train TEXT...",
		Short: "Learn a byte-level BPE vocabulary from files or folders",
		Long: `Learn a byte-level BPE vocabulary with GPT-2's word boundaries and write it in
Hugging Face's layout: vocab.json, merges.txt, tokenizer.json. Files may be
compressed by gzip.`,
		Example: `  bdia tokenizer train corpus/ --extensions .txt --vocab 8192 --out tokenizers/corpus-8k
  bdia tokenizer train train.en.gz train.fr.gz --vocab 6000 --out tokenizers/en-fr`,
		Args: cli.Arguments(1, math.MaxInt, "files or folders of text"),
	}
	cli.Group(c, "Flags", func(f *pflag.FlagSet) {
		f.StringVar(&out, "out", "", "`folder` to write (required)")
		f.IntVar(&o.VocabSize, "vocab", o.VocabSize, "tokens, the 256 bytes and the end-of-text token included")
		f.IntVar(&o.MinFrequency, "min-frequency", 2, "fewest occurrences of a pair that is merged")
		f.Var(&d.Extensions, "extensions", "`endings` to take of a folder, as in .go,.md")
		f.Int64Var(&d.MaxBytes, "max-bytes", 0, "use so many bytes of each file or folder; 0 for all")
	})
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if out == "" {
			return cli.Usage(errors.New("where to? name a folder with --out"))
		}
		if err := o.Validate(); err != nil {
			return cli.Usage(err)
		}
		return trainTokenizer(cmd, args, d, o, out)
	}
	return c
}

// trainTokenizer learns the text of paths, opened as d says.
func trainTokenizer(cmd *cobra.Command, paths []string, d text.DataConfig, o tokenizer.TrainOptions, out string) error {
	dir, err := emptyDir(out)
	if err != nil {
		return err
	}
	var src data.Source
	for _, d.Path = range paths {
		some, err := d.Open()
		if err != nil {
			return err
		}
		src.Files = append(src.Files, some.Files...)
	}
	text := src.Reader()
	defer text.Close()
	p := cli.NewProgress(cmd.ErrOrStderr())
	defer p.Clear()
	o.Progress = func(done, total int) { p.Preparing("learning merges", int64(done), int64(total)) }
	tok, err := tokenizer.TrainBPE(cmd.Context(), text, o)
	if err != nil {
		return err
	}
	if err = os.MkdirAll(out, 0o777); err == nil {
		err = tok.Save(out)
	}
	if err != nil {
		dir.remove()
		return err
	}
	p.Clear()
	fmt.Fprintf(cmd.OutOrStdout(), "%s tokens learned from %s of text, in %s\n", cli.Count(int64(tok.VocabSize())), cli.Bytes(src.Bytes()), out)
	return nil
}

func newTokenizerEncode() *cobra.Command {
	var count, raw bool
	c := &cobra.Command{
		Use:   "encode TOKENIZER [FILE]",
		Short: "Print the token ids of a file, or of standard input, one a line",
		Long: `Print the token ids of a file, or of standard input, one a line. The ids are
those of Hugging Face's tokenizers: a special token spelt in the text stands for
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
