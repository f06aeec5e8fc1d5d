package main

import (
	"errors"
	"fmt"
	"math"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/internal/atomicfile"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/text"
)

func newTokenizerTrain() *cobra.Command {
	d := text.DataConfig{Tokenizer: "bpe"}
	o := tokenizer.TrainOptions{VocabSize: 4096}
	var out string
	var asJSON bool
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
		readFlags(f, &d)
		f.BoolVar(&asJSON, "json", false, "print JSON")
		cli.QuietFlag(f)
	})
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if out == "" {
			return cli.Usage(errors.New("where to? name a folder with --out"))
		}
		if err := o.Validate(); err != nil {
			return cli.Usage(err)
		}
		if err := given(cmd.Flags()).refuse([]idle{idleOfFiles("the text", args...), idleOfRows(&d, args...)}); err != nil {
			return err
		}
		learned, err := trainTokenizer(cmd, args, d, o, out)
		if err != nil {
			return err
		}
		if asJSON {
			return cli.PrintJSON(cmd.OutOrStdout(), learned)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s tokens learned from %s of text, in %s\n", cli.Count(int64(learned.Vocab)), cli.Bytes(learned.Bytes), out)
		return err
	}
	return c
}

// madeTokenizer is what was learned.
type madeTokenizer struct {
	Out   string `json:"out"`
	Vocab int    `json:"vocab"`
	Bytes int64  `json:"text_bytes"`
}

// trainTokenizer learns the text of paths, opened as d says.
func trainTokenizer(cmd *cobra.Command, paths []string, d text.DataConfig, o tokenizer.TrainOptions, out string) (v madeTokenizer, err error) {
	dir, err := unusedDir(out)
	if err != nil {
		return v, err
	}
	p := cli.NewProgress(cmd)
	defer p.Clear()
	var src data.Source
	for _, d.Path = range paths {
		some, err := d.Open(cmd.Context())
		if err != nil {
			return v, err
		}
		src.Add(some)
	}
	text := src.Reader()
	defer text.Close()
	o.Progress = func(done, total int) { p.Preparing("learning merges", int64(done), int64(total)) }
	o.Fits = func(bytes int64) bool { return backend.Fits(backend.Options{}, 0, bytes) == nil }
	tok, err := tokenizer.TrainBPE(cmd.Context(), text, o)
	if err != nil {
		return v, err
	}
	if err := dir.save(tok); err != nil {
		return v, err
	}
	return madeTokenizer{out, tok.VocabSize(), src.Bytes()}, nil
}

// save writes a tokenizer into d, and takes back what it wrote if it fails. While it writes, d is locked: so the same
// command knows what it has left there when it was killed.
func (d newDir) save(tok tokenizer.Tokenizer) error {
	if err := atomicfile.MkdirAll(d.path); err != nil {
		return pathError(d.path, err)
	}
	unlock, err := checkpoint.Lock(d.path)
	if err != nil {
		return err
	}
	if err = train.ClearUnfinished(d.path); err == nil {
		err = tok.Save(d.path)
	}
	unlock()
	if err != nil {
		d.remove()
		return err
	}
	return checkpoint.RemoveLock(d.path)
}
