package main

import (
	"errors"
	"fmt"
	"math"

	"github.com/spf13/cobra"

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
	var split string
	var best, asJSON bool
	var samples int
	var engine train.EngineConfig
	c := &cobra.Command{
		Use:   "eval RUN",
		Short: "Measure loss, perplexity and bits per byte of a run's model",
		Long: `Measure the ordinary transformer (gamma 0) that a run has trained, on its
held-out or training text: with the residual stream on the run's grid, as it was
trained, and in plain float32, as other tools will run it.`,
		Example: "  bdia eval runs/shakespeare\n  bdia eval runs/shakespeare --best --split train --json",
		Args:    cobra.ExactArgs(1),
	}
	f := c.Flags()
	f.StringVar(&split, "split", "val", "val or train")
	f.BoolVar(&best, "best", false, "use the best weights instead of the latest")
	f.IntVar(&samples, "samples", 0, "most windows of text; 0 for all")
	f.IntVar(&engine.Threads, "threads", 0, "threads; 0 for all processors")
	f.StringVar(&engine.ISA, "isa", "", "portable, avx2 or avx512; empty for the best")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if split != "val" && split != "train" {
			return usage(fmt.Errorf("--split %q; use val or train", split))
		}
		if samples < 0 {
			return usage(fmt.Errorf("--samples %d; give a positive number, or 0 for all", samples))
		}
		r, err := train.Open(args[0])
		if err != nil {
			return err
		}
		defer r.Close()
		r.Config.Engine = engine
		report, err := evaluate(cmd, r, split, best, samples)
		if err != nil {
			return err
		}
		w := cmd.OutOrStdout()
		if asJSON {
			return printJSON(w, report)
		}
		fmt.Fprintf(w, "%s text, %s tokens in %d windows\n", report.Split, countText(report.Tokens), report.Windows)
		fmt.Fprintf(w, "  loss            %.4f nats a token (grid %s)\n", report.Loss, report.Grid)
		fmt.Fprintf(w, "  perplexity      %.3f\n  bits per byte   %.4f\n", report.Perplexity, report.BitsPerByte)
		fmt.Fprintf(w, "  in float32      %.4f nats a token (grid - float32: %+.2g)\n", report.FloatLoss, report.GridMinFloat)
		return nil
	}
	return c
}

func evaluate(cmd *cobra.Command, r *train.Run, split string, best bool, samples int) (*evalReport, error) {
	text, dir := r.Text(split == "train"), r.Dir
	if best {
		dir = r.BestDir()
	}
	if text.Len() == 0 {
		return nil, usage(errors.New("this run holds no text out; use --split train"))
	}
	set, err := data.NewSequential(text, r.Config.Model.Context, samples)
	if err != nil {
		return nil, err
	}
	l, err := loadRun(r, dir)
	if err != nil {
		return nil, err
	}
	defer l.be.Close()
	report := &evalReport{Split: split, Windows: set.Len(), Tokens: int64(set.Len() * r.Config.Model.Context), Grid: l.grid.String()}
	var sums [2]float64
	var bytes int64
	for i, grid := range []bdia.Grid{l.grid, bdia.NoGrid} {
		for first := 0; first < set.Len(); {
			if err := cmd.Context().Err(); err != nil {
				return nil, err
			}
			b := model.NewBatch(min(r.Config.Loop.Batch, set.Len()-first), r.Config.Model.Context)
			if err := set.Batch(first, b.Size, b.Inputs, b.Targets); err != nil {
				return nil, err
			}
			if err := l.model.Loss(b, grid, &sums[i]); err != nil {
				return nil, err
			}
			if i == 0 {
				text, err := l.tok.Decode(b.Targets)
				if err != nil {
					return nil, err
				}
				bytes += int64(len(text))
			}
			first += b.Size
		}
	}
	n := float64(report.Tokens)
	report.Loss, report.FloatLoss = sums[0]/n, sums[1]/n
	report.Perplexity = math.Exp(report.Loss)
	report.BitsPerByte = metric.BitsPerByte(report.Loss, report.Tokens, bytes)
	report.GridMinFloat = report.Loss - report.FloatLoss
	return report, nil
}
