package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/data"
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
	c := &cobra.Command{
		Use:   "eval RUN",
		Short: "Measure loss, perplexity and bits per byte of a run's model",
		Long: `Measure the ordinary transformer (gamma 0) that a run has trained, on its
held-out or training text: with the residual stream on the run's grid, as it was
trained, and in plain float32, as other tools will run it.`,
		Example: "  bdia eval runs/shakespeare\n  bdia eval runs/shakespeare --best --split train --json",
		Args:    arguments(1, 1, "one run directory"),
	}
	group(c, "Flags", func(f *pflag.FlagSet) {
		f.StringVar(&o.split, "split", "val", "`part` of the text: val or train")
		f.IntVar(&o.samples, "samples", 0, "most windows of text; 0 for all")
		f.BoolVar(&o.best, "best", false, "use the best weights instead of the latest")
		f.BoolVar(&asJSON, "json", false, "print JSON")
		engineFlags(f, &o.engine)
	})
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.validate(); err != nil {
			return usage(err)
		}
		r, err := openRun(args[0])
		if err != nil {
			return err
		}
		defer r.Close()
		report, err := evaluate(cmd.Context(), r, o)
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

// evalOptions say what is evaluated.
type evalOptions struct {
	split   string
	best    bool
	samples int
	engine  train.EngineConfig
}

func (o evalOptions) validate() error {
	if o.split != "val" && o.split != "train" {
		return fmt.Errorf("--split %q: use val or train", o.split)
	}
	if o.samples < 0 {
		return fmt.Errorf("--samples %d: give a positive number, or 0 for all", o.samples)
	}
	return checkEngine(o.engine)
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
	text, dir := r.Text.Tokens(o.split == "train"), r.Dir
	if o.best {
		dir = r.BestDir()
	}
	if text.Len() == 0 {
		return nil, usage(errors.New("this run holds no text out; use --split train"))
	}
	T := r.Config.Model.Context
	set, err := data.NewSequential(text, T, o.samples)
	if err != nil {
		return nil, err
	}
	r.Config.Engine = o.engine
	l, err := loadRun(r, dir)
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
