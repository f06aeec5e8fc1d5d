package main

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/metric/plot"
)

func newCompare() *cobra.Command {
	var figure string
	var asJSON bool
	c := &cobra.Command{
		Use:   "compare RUN ...",
		Short: "Compare the losses of runs, in a table and a figure",
		Long: `Compare runs by what they recorded while they trained: the best and the last
validation loss, the loss on training batches over the last tenth of the steps
(with gamma and dropout active) and the time. --figure draws the curves of all
runs in one picture. Runs that still train can be compared too.`,
		Example: `  bdia compare runs/plain runs/bdia
  bdia compare runs/plain runs/bdia --figure loss.svg
  bdia compare runs/* --json`,
		Args: cli.Arguments(1, math.MaxInt, "one or more runs"),
	}
	cli.Group(c, "Flags", func(f *pflag.FlagSet) {
		f.StringVar(&figure, "figure", "", "`file` for the loss curves, .png or .svg")
		f.BoolVar(&asJSON, "json", false, "print JSON")
	})
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if ext := filepath.Ext(figure); figure != "" && ext != ".png" && ext != ".svg" {
			return cli.Usage(fmt.Errorf("--figure %s: the name must end in .png or .svg", figure))
		}
		var all []comparedRun
		for _, dir := range args {
			r, err := readRecords(dir)
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		if figure != "" {
			if err := compareFigure(all, figure); err != nil {
				return err
			}
		}
		if asJSON {
			return cli.PrintJSON(cmd.OutOrStdout(), map[string]any{"runs": all})
		}
		printComparison(cmd.OutOrStdout(), all)
		return nil
	}
	return c
}

func printComparison(w io.Writer, all []comparedRun) {
	width := len("run")
	for _, r := range all {
		width = max(width, len(r.Run))
	}
	const row = "%-*s %9s %12s %9s %12s %12s %10s\n"
	fmt.Fprintf(w, row, width, "run", "steps", "best", "at step", "last", "training", "time")
	for _, r := range all {
		fmt.Fprintf(w, row, width, r.Run, cli.Count(int64(r.Steps)), lossText(r.BestLoss), cli.Count(int64(r.BestStep)),
			lossText(r.LastLoss), lossText(r.TrainLoss), cli.Seconds(r.Seconds))
	}
	fmt.Fprintf(w, "\n%sLosses are in nats: validation, best and last; training batches, the last tenth.\n", accuracies(all))
}

// accuracies are lines for the runs that measured one.
func accuracies(all []comparedRun) string {
	var b strings.Builder
	for _, r := range all {
		if r.Accuracy != nil {
			fmt.Fprintf(&b, "%s: accuracy %s at the end\n", r.Run, percent(r.Accuracy))
		}
	}
	return b.String()
}

// lossText formats a loss, which may be unknown.
func lossText(loss any) string {
	if v, ok := loss.(float64); ok {
		return fmt.Sprintf("%.4f", v)
	}
	return "-"
}

// compareFigure draws training and validation losses of all runs.
func compareFigure(all []comparedRun, path string) error {
	var series []plot.Series
	for _, r := range all {
		series = append(series,
			plot.Series{Name: "training", Run: r.Run, Points: r.train},
			plot.Series{Name: "validation", Run: r.Run, Evaluation: true, Points: r.val})
	}
	return plot.LossCurve("Loss", series, path)
}
