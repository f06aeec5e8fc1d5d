package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
)

// translateOptions say what is translated, and how.
type translateOptions struct {
	generate.TranslateOptions
	policies      generate.Policies
	input, output string
	asJSON        bool
	engine        device
}

func newTranslate() *cobra.Command {
	o := translateOptions{TranslateOptions: generate.DefaultTranslate(), policies: generate.Policies{OnBad: pairs.Skip, OnLong: pairs.Skip}}
	c := &cobra.Command{
		Use:   "translate RUN [SENTENCE...]",
		Short: "Translate sentences with a trained model",
		Long: `Translate sentences, the lines of a file, or the lines of standard input as they come,
with the model in a run directory or in its best/ folder. A line gives a line: an
empty one for an empty line, and for one that cannot be translated; these are
counted at the end. With --n-best, each translation is a line of three columns
between tabs: number of the input line, score, text.

Hypotheses are ordered by the logarithm of their probability over their length
in tokens, the end included, to the power of --length-penalty; fairseq and Hugging
Face do the same. A sentence's translation does not depend on the others.`,
		Example: `  bdia translate runs/en-fr "A man is riding a horse."
  bdia translate runs/en-fr/best --input test.en.gz --output test.fr --beam 10
  head -3 test.en | bdia translate runs/en-fr --n-best 3 --json`,
		Args: cli.Arguments(1, 1<<20, "a run directory, and sentences unless they are in a file"),
	}
	cli.Group(c, "Text", func(f *pflag.FlagSet) {
		f.StringVar(&o.input, "input", "", "`file` with a sentence a line, plain or compressed by gzip; - for standard input")
		f.StringVar(&o.output, "output", "", "`file` for the translations; - for standard output")
		f.StringVar((*string)(&o.policies.OnLong), "on-long", string(o.policies.OnLong), "`policy` for sentences longer than the model: skip, truncate or fatal")
		f.StringVar((*string)(&o.policies.OnBad), "on-bad", string(o.policies.OnBad), "`policy` for lines not in UTF-8 or with unknown characters: skip or fatal")
		f.BoolVar(&o.asJSON, "json", false, "print a JSON object for each line")
		cli.QuietFlag(f)
	})
	cli.Group(c, "Search", func(f *pflag.FlagSet) {
		f.IntVar(&o.Beam, "beam", o.Beam, "hypotheses to follow at a time; 1 takes the likeliest token each time")
		f.Float64Var(&o.LengthPenalty, "length-penalty", o.LengthPenalty, "`power` of the length; higher favours longer translations")
		f.IntVar(&o.NBest, "n-best", o.NBest, "translations to print of each sentence")
		f.IntVar(&o.MaxTokens, "max-tokens", 0, "tokens of a translation at most; 0 for 50 more than the sentence has")
		f.IntVar(&o.BatchTokens, "batch-tokens", o.BatchTokens, "positions of a batch: sentences and hypotheses, padded")
	})
	cli.Group(c, "Other", func(f *pflag.FlagSet) { o.engine.flags(f) })
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 && o.input != "" {
			return cli.Usage(errors.New("sentences and --input; give one of them"))
		}
		for _, err := range []error{o.Validate(), checkPolicies(o.policies), checkEngine(o.engine.Options)} {
			if err != nil {
				return cli.Usage(err)
			}
		}
		if err := given(cmd.Flags()).refuse([]idle{idleOfBeam(o.Beam, o.asJSON)}); err != nil {
			return err
		}
		return runTranslate(cmd, args[0], args[1:], o)
	}
	return c
}

// linesAtOnce is how many lines are sorted by length, and so how many may be lost when
// something stops the command.
const linesAtOnce = 1000

func runTranslate(cmd *cobra.Command, dir string, sentences []string, o translateOptions) (err error) {
	if _, err := hub.Find(dir); err != nil {
		return err
	}
	p := cli.NewProgress(cmd)
	in, err := openLines(cmd, sentences, o.input)
	if err != nil {
		return err
	}
	defer in.file.Close()
	t, err := loadTranslator(dir, o.TranslateOptions, o.policies, o.engine)
	if err != nil {
		return err
	}
	defer t.be.Close()
	w := newLineWriter(o.NBest, o.asJSON)
	if err := w.open(cmd, in, o.output); err != nil {
		return err
	}
	written := 0
	defer func() {
		if err = w.close(err); err != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "Lines written: %d\n", written)
		}
	}()
	defer p.Clear()
	began := time.Now()
	err = in.chunks(linesAtOnce, func(lines []string) error {
		results, stopped := t.Lines(cmd.Context(), in.name, w.lines+1, lines, func(n int) { p.Lines("translated", "sentences", w.lines+n, in.total, began) })
		p.Clear()
		for _, r := range results {
			texts, scores := make([]string, len(r.Translations)), make([]float64, len(r.Translations))
			for i, t := range r.Translations {
				texts[i], scores[i] = t.Text, t.Score
			}
			if err := w.add(r.Note, texts, scores, r); err != nil {
				return err
			}
		}
		if err := w.out.Flush(); err != nil {
			return err
		}
		written = w.lines
		return stopped
	})
	if err == nil {
		w.report(cmd.ErrOrStderr())
	}
	return err
}
