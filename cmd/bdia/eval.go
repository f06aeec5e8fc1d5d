package main

import (
	"errors"
	"math"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/generate"
)

func newEval() *cobra.Command {
	var o evalOptions
	var asJSON bool
	var from string
	o.search = generate.DefaultTranslate()
	c := &cobra.Command{
		Use:   "eval RUN...",
		Short: "Measure the model of a run: loss and perplexity, or accuracy",
		Long: `Measure the ordinary transformer (gamma 0) that a run has trained, on its held-out or
training data: with the residual stream on the run's grid, as it was trained, and in
plain float32, as other tools will run it. Of text: loss, perplexity of a token and of a
word, and bits per byte. Of pairs: loss and perplexity; with --source and --references,
BLEU and chrF of translating other text. Of images: loss, accuracy among one and five
guesses, a table of the classes and the confusion matrix.

--text is a text of your own, which a Hugging Face folder can be measured on too.
With --stride, windows overlap, and each counts the tokens that none before it has. With
--gamma, images are classified with a fixed inference gamma (the paper's figure 1).`,
		Example: `  bdia eval runs/shakespeare --best --split train --json
  bdia eval runs/en-fr --best --source test.en.gz --references test.fr.gz
  bdia eval gpt2 --text wiki.test.txt --stride 512
  bdia eval runs/cifar10 --data other-photos.tar
  bdia eval runs/vit runs/bdia-vit --gamma -0.5:0.5:0.1 --figure gamma.svg`,
		Args: cli.Arguments(0, math.MaxInt, "one run directory or more"),
	}
	cli.Group(c, "What is measured", func(f *pflag.FlagSet) {
		f.StringVar(&from, "from", "", "`folder` of the run or model, if it is not the argument")
		f.StringVar(&o.split, "split", "val", "`part` of the data: val, train; of pairs, test too")
		f.IntVar(&o.samples, "samples", 0, "most windows of text, images or pairs; 0 for all")
		f.BoolVar(&o.best, "best", false, "use the best weights instead of the latest")
		f.StringVar(&o.text, "text", "", "`file` or folder of other text")
		f.IntVar(&o.stride, "stride", 0, "`tokens` between windows of text; 0: no overlap")
		f.StringVar(&o.data, "data", "", "other `images`, of the same classes")
		f.StringVar(&o.gammas, "gamma", "", "inference gammas `FROM:TO:STEP`, as -0.5:0.5:0.1")
		f.StringVar(&o.figure, "figure", "", "`file` for the figure of --gamma, .png or .svg")
		f.StringVar(&o.source, "source", "", "`file` of sentences to translate and score")
		f.StringArrayVar(&o.references, "references", nil, "`file` of their translations; may be repeated")
		f.BoolVar(&asJSON, "json", false, "print JSON")
		cli.QuietFlag(f)
	})
	cli.Rare(c, "more of data, search and inference", func(f *pflag.FlagSet) {
		f.BoolVar(&o.special, "special-tokens", false, "special tokens spelt in --text, such as <|endoftext|>, are those tokens")
		f.StringVar((*string)(&o.onCorrupt), "on-corrupt", "", "`policy` for images of --data that cannot be decoded: fatal or skip")
		f.IntVar(&o.search.Beam, "beam", o.search.Beam, "hypotheses to follow at a time, with --source")
		f.Float64Var(&o.search.LengthPenalty, "length-penalty", o.search.LengthPenalty, "`power` of the length, with --source")
		adapterFlag(f, &o.lora)
		o.engine.flags(f)
	})
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if from != "" {
			args = append(args, from)
		}
		if len(args) == 0 {
			return cli.Usage(errors.New("bdia eval needs a run directory, as the argument or with --from; see bdia eval --help"))
		}
		if err := o.validate(); err != nil {
			return cli.Usage(err)
		}
		o.given = given(cmd.Flags())
		if err := o.given.refuse(o.idle()); err != nil {
			return err
		}
		if o.source != "" {
			return evalTranslations(cmd, args, o, asJSON)
		}
		if o.gammas != "" {
			return sweep(cmd, args, o, asJSON)
		}
		if len(args) > 1 {
			return cli.Usage(errors.New("several runs are compared with --gamma only; name one"))
		}
		p := cli.NewProgress(cmd)
		report, err := evaluatePrecisions(cmd.Context(), args[0], o, p)
		p.Clear()
		if err != nil {
			return err
		}
		if asJSON {
			return cli.PrintJSON(cmd.OutOrStdout(), report)
		}
		report.print(cmd.OutOrStdout())
		return nil
	}
	return c
}
