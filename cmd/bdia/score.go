package main

import (
	"bufio"
	"cmp"
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/score"
)

func newScore() *cobra.Command {
	c := &cobra.Command{
		Use:   "score",
		Short: "Score texts against references: BLEU, chrF, TER, and the E2E challenge's five",
		Long: `Score texts against reference texts: bleu, chrf and ter as sacreBLEU 2 does, e2e
as the E2E NLG challenge does. Files have one segment a line, in UTF-8, plain or
compressed by gzip. The signature, to be reported with a score, has all settings.`,
		Args: cli.KnownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newScoreBLEU(), newScoreCHRF(), newScoreTER(), newScoreE2E())
	return c
}

func newScoreBLEU() *cobra.Command {
	o := score.DefaultBLEU()
	c, s := scoreCommand("bleu", "BLEU: n-grams of words that the references have too", func(f *pflag.FlagSet) {
		f.StringVar(&o.Tokenizer, "tokenize", o.Tokenizer, "`way` to cut words off: "+strings.Join(score.Tokenizers(), ", "))
		f.BoolVar(&o.Lowercase, "lowercase", false, "ignore case")
		f.StringVar(&o.Smoothing, "smooth", o.Smoothing, "`method` for orders without a match: "+strings.Join(score.Smoothings(), ", "))
		f.Float64Var(&o.SmoothValue, "smooth-value", 0, "`value` of floor and add-k; 0 for 0.1 and 1")
		f.BoolVar(&o.EffectiveOrder, "effective-order", false, "leave out orders that the texts are too short for")
	})
	s.metric = func() (score.Metric, error) {
		o.EffectiveOrder = o.EffectiveOrder || s.sentences
		m, err := score.NewBLEU(o)
		alone := idle{o.Smoothing == "exp" || o.Smoothing == "none", "is for --smooth floor and add-k, and it is " + o.Smoothing, []string{"smooth-value"}}
		return m, cmp.Or(given(c.Flags()).refuse([]idle{alone}), err)
	}
	cli.Choices(c, map[string][]string{"tokenize": score.Tokenizers(), "smooth": score.Smoothings()})
	return c
}

func newScoreCHRF() *cobra.Command {
	o := score.DefaultCHRF()
	c, s := scoreCommand("chrf", "chrF, chrF++: F-score of n-grams of characters and words", func(f *pflag.FlagSet) {
		f.IntVar(&o.CharOrder, "char-order", o.CharOrder, "longest n-gram of characters")
		f.IntVar(&o.WordOrder, "word-order", o.WordOrder, "longest n-gram of words; 2 for chrF++")
		f.IntVar(&o.Beta, "beta", o.Beta, "how many times recall matters more than precision")
		f.BoolVar(&o.Lowercase, "lowercase", false, "ignore case")
		f.BoolVar(&o.Whitespace, "whitespace", false, "count white space as characters")
		f.BoolVar(&o.EpsSmoothing, "eps-smoothing", false, "average the F-scores of all orders, as chrF++.py does")
	})
	s.metric = func() (score.Metric, error) { return score.NewCHRF(o) }
	return c
}

func newScoreTER() *cobra.Command {
	var o score.TEROptions
	c, s := scoreCommand("ter", "TER: edits of words and shifts that make the reference", func(f *pflag.FlagSet) {
		f.BoolVar(&o.Normalized, "normalized", false, "cut punctuation off words")
		f.BoolVar(&o.NoPunct, "no-punct", false, "delete punctuation")
		f.BoolVar(&o.AsianSupport, "asian-support", false, "with --normalized or --no-punct: Chinese and Japanese too")
		f.BoolVar(&o.CaseSensitive, "case-sensitive", false, "heed case")
	})
	s.metric = func() (score.Metric, error) {
		alone := idle{!o.Normalized && !o.NoPunct, "adds to --normalized and --no-punct; give one of them too", []string{"asian-support"}}
		return score.NewTER(o), given(c.Flags()).refuse([]idle{alone})
	}
	return c
}

// scoring is what the three metrics have in common.
type scoring struct {
	metric     func() (score.Metric, error)
	hypotheses string
	references []string
	allowEmpty bool
	sentences  bool
	asJSON     bool
}

// scoreCommand returns the command of a metric; its metric is to be filled in.
func scoreCommand(name, short string, settings func(*pflag.FlagSet)) (*cobra.Command, *scoring) {
	s := &scoring{}
	c := &cobra.Command{
		Use:     name + " --hypotheses FILE --references FILE...",
		Short:   short,
		Example: "  bdia score " + name + " --hypotheses out.fr --references test.fr\n  zcat out.gz | bdia score " + name + " --hypotheses - --references ref1 ref2 --json",
	}
	cli.Group(c, "Files", func(f *pflag.FlagSet) {
		f.StringVar(&s.hypotheses, "hypotheses", "", "`file` to score; - for standard input")
		f.StringArrayVar(&s.references, "references", nil, "`file` of references; more of them follow, or repeat the flag")
		f.BoolVar(&s.allowEmpty, "allow-empty", false, "take empty lines of references for references of no words")
	})
	cli.Group(c, "Settings", settings)
	cli.Group(c, "Output", func(f *pflag.FlagSet) {
		f.BoolVar(&s.sentences, "sentences", false, "score each segment by itself, one a line")
		f.BoolVar(&s.asJSON, "json", false, "print JSON")
	})
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if s.hypotheses == "" || len(s.references) == 0 {
			return cli.Usage(errors.New("which files? name them with --hypotheses and --references"))
		}
		s.references = append(s.references, args...)
		m, err := s.metric()
		if err != nil {
			return cli.Usage(err)
		}
		out := bufio.NewWriter(cmd.OutOrStdout())
		if err := s.run(cmd.Context(), m, cmd.InOrStdin(), out); err != nil {
			return err
		}
		return out.Flush()
	}
	return c, s
}
