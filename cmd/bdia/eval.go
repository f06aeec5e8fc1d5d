package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
)

// evalReport is the result of an evaluation.
type evalReport struct {
	Split        string  `json:"split"`
	Tokens       int64   `json:"tokens"`
	Loss         float64 `json:"loss"` // nats a token, states on the run's grid
	Perplexity   float64 `json:"perplexity"`
	BitsPerByte  float64 `json:"bits_per_byte"`
	FloatLoss    float64 `json:"float_loss"` // states in plain float32
	Grid         string  `json:"grid"`
	Windows      int     `json:"windows"`
	GridMinFloat float64 `json:"grid_minus_float"`
}

func newEval() *cobra.Command {
	var o evalOptions
	var asJSON bool
	o.search = generate.DefaultTranslate()
	c := &cobra.Command{
		Use:   "eval RUN...",
		Short: "Measure the model of a run: loss and perplexity, or accuracy",
		Long: `Measure the ordinary transformer (gamma 0) that a run has trained, on its
held-out or training data: with the residual stream on the run's grid, as it was
trained, and in plain float32, as other tools will run it. Of text: loss,
perplexity and bits per byte. Of translations: loss and perplexity; with
--source and --references, BLEU and chrF of translating other text. Of images:
loss, accuracy among one and five guesses, a table of the classes and the
confusion matrix.

With --gamma FROM:TO:STEP, measure image runs with a fixed inference gamma
instead (the paper's figure 1): one line for each value, and a figure.`,
		Example: `  bdia eval runs/shakespeare
  bdia eval runs/shakespeare --best --split train --json
  bdia eval runs/en-fr --best --source test.en.gz --references test.fr.gz
  bdia eval runs/cifar10 --best
  bdia eval runs/cifar10 --data other-photos.tar
  bdia eval runs/vit runs/bdia-vit --gamma -0.5:0.5:0.1 --figure gamma.svg`,
		Args: arguments(1, math.MaxInt, "one run directory or more"),
	}
	group(c, "Flags", func(f *pflag.FlagSet) {
		f.StringVar(&o.split, "split", "val", "`part` of the data: val or train; of translations, test too")
		f.IntVar(&o.samples, "samples", 0, "most windows of text, images or pairs; 0 for all")
		f.StringVar(&o.data, "data", "", "other `images` than the run's, of the same classes")
		f.StringVar((*string)(&o.onCorrupt), "on-corrupt", "", "`what` to do about images of --data that cannot be decoded: fatal or skip")
		f.StringVar(&o.gammas, "gamma", "", "inference gammas `FROM:TO:STEP`, as -0.5:0.5:0.1")
		f.StringVar(&o.figure, "figure", "", "`file` for the figure of --gamma, .png or .svg")
		f.StringVar(&o.source, "source", "", "`file` of sentences to translate and score")
		f.StringArrayVar(&o.references, "references", nil, "`file` of translations of --source; may be repeated")
		f.IntVar(&o.search.Beam, "beam", o.search.Beam, "hypotheses to follow at a time, with --source")
		f.Float64Var(&o.search.LengthPenalty, "length-penalty", o.search.LengthPenalty, "`power` of the length, with --source")
		f.BoolVar(&o.best, "best", false, "use the best weights instead of the latest")
		f.BoolVar(&asJSON, "json", false, "print JSON")
		engineFlags(f, &o.engine)
	})
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.validate(); err != nil {
			return usage(err)
		}
		if o.source != "" {
			return evalTranslations(cmd, args, o, asJSON)
		}
		if o.gammas != "" {
			return sweep(cmd, args, o, asJSON)
		}
		if len(args) > 1 {
			return usage(errors.New("several runs are compared with --gamma only; name one"))
		}
		report, err := evaluateRun(cmd.Context(), args[0], o)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), report)
		}
		report.print(cmd.OutOrStdout())
		return nil
	}
	return c
}

// evaluateRun measures the run in dir.
func evaluateRun(ctx context.Context, dir string, o evalOptions) (interface{ print(io.Writer) }, error) {
	r, err := openRun(dir)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if r.Pairs == nil && o.split == "test" {
		return nil, usage(errors.New("--split test is for runs of translations"))
	}
	if r.Images != nil {
		return evaluateImages(ctx, r, o)
	}
	if r.Pairs != nil && o.data == "" {
		return evaluatePairs(ctx, r, o)
	}
	if o.data != "" {
		return nil, usage(errors.New("--data is for runs of images"))
	}
	return evaluate(ctx, r, o)
}

// evalOptions say what is evaluated.
type evalOptions struct {
	onCorrupt images.OnCorrupt // images of data; empty: as in the run

	split   string
	best    bool
	samples int
	data    string // other images
	gammas  string
	figure  string
	engine  train.EngineConfig

	source     string // to be translated
	references []string
	search     generate.TranslateOptions
}

func (o evalOptions) validate() error {
	if o.split != "val" && o.split != "train" && o.split != "test" {
		return fmt.Errorf("--split %q: use val, train or test", o.split)
	}
	if o.samples < 0 {
		return fmt.Errorf("--samples %d: give a positive number, or 0 for all", o.samples)
	}
	if o.onCorrupt != "" && o.data == "" {
		return errors.New("--on-corrupt is for the images of --data; give that too")
	}
	if err := (images.Options{OnCorrupt: o.onCorrupt}).Validate(); err != nil {
		return err
	}
	if o.figure != "" && o.gammas == "" {
		return errors.New("--figure is drawn of --gamma; give that too")
	}
	if (o.source == "") != (len(o.references) == 0) {
		return errors.New("translations are scored with both --source and --references")
	}
	if o.source != "" && (o.gammas != "" || o.data != "" || o.samples > 0) {
		return errors.New("--source translates a whole file; leave out --gamma, --data and --samples")
	}
	if err := o.search.Validate(); err != nil {
		return err
	}
	return checkEngine(o.engine)
}

// dir is the folder of the weights to measure.
func (o evalOptions) dir(r *train.Run) string {
	if o.best {
		return r.BestDir()
	}
	return r.Dir
}

func (e *evalReport) print(w io.Writer) {
	name := map[string]string{"val": "Validation", "train": "Training"}[e.Split]
	fmt.Fprintf(w, "%s text, %s tokens in %s windows:\n", name, countText(e.Tokens), countText(int64(e.Windows)))
	fmt.Fprintf(w, "  loss           %.4f nats a token (grid %s)\n", e.Loss, e.Grid)
	fmt.Fprintf(w, "  perplexity     %.3f\n  bits per byte  %.4f\n", e.Perplexity, e.BitsPerByte)
	fmt.Fprintf(w, "  in float32     %.4f nats a token (grid - float32: %+.2g)\n", e.FloatLoss, e.GridMinFloat)
}

// evaluate measures r's model on a grid and in float32.
func evaluate(ctx context.Context, r *train.Run, o evalOptions) (*evalReport, error) {
	text := r.Text.Tokens(o.split == "train")
	if text.Len() == 0 {
		return nil, usage(errors.New("this run holds no text out; use --split train"))
	}
	T := r.Config.Model.Context
	set, err := data.NewSequential(text, T, o.samples)
	if err != nil {
		return nil, err
	}
	r.Config.Engine = o.engine
	l, err := loadRun(r, o.dir(r), func(m *model.GPT) error {
		return m.Loss(model.NewBatch(r.Config.Loop.SamplesAtOnce(), T), r.Config.Method.Grid, new(float64))
	})
	if err != nil {
		return nil, err
	}
	defer l.be.Close()
	e := &evalReport{Split: o.split, Windows: set.Len(), Tokens: int64(set.Len() * T), Grid: l.grid.String()}
	var onGrid, inFloat float64
	var bytes int64
	for first := 0; first < set.Len(); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b := model.NewBatch(min(r.Config.Loop.SamplesAtOnce(), set.Len()-first), T)
		if err := set.Batch(first, b.Size, b.Inputs, b.Targets); err != nil {
			return nil, err
		}
		if err := l.model.Loss(b, l.grid, &onGrid); err != nil {
			return nil, err
		}
		if err := l.model.Loss(b, bdia.NoGrid, &inFloat); err != nil {
			return nil, err
		}
		text, err := l.tok.Decode(b.Targets)
		if err != nil {
			return nil, err
		}
		bytes += int64(len(text))
		first += b.Size
	}
	e.Loss, e.FloatLoss = onGrid/float64(e.Tokens), inFloat/float64(e.Tokens)
	e.GridMinFloat = e.Loss - e.FloatLoss
	e.Perplexity = metric.Perplexity(e.Loss)
	e.BitsPerByte = metric.BitsPerByte(e.Loss, e.Tokens, bytes)
	return e, nil
}
