package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
	trainimages "github.com/bdia-go/bdia/train/images"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
)

// modes in the order of the tables.
var modes = []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute}

func newPlan() *cobra.Command {
	s := newSettings()
	var budget string
	var asJSON bool
	c := &cobra.Command{
		Use:   "plan [RUN]",
		Short: "Print the exact peak memory of a training run, by component",
		Long: `Print the peak memory that training takes, to the byte, without training: the
code of a step runs on a backend that only counts. The reversible run is compared
with ordinary back-propagation (store) and with activation recomputation; both
are the ordinary transformer and keep all gradients to the end of the step. A
vision transformer is compared with RevViT too. Translations are
taken to be as long as what they translate, and all of the length that takes most;
a run plans for its own pairs.

With the folder of a run, its settings are planned, as far as flags do not change
them. With --budget, print the largest batch that fits in each mode instead.`,
		Example: `  bdia plan --preset gpt2 --batch 4 --context 512
  bdia plan --preset gpt2-medium --budget 8GiB
  bdia plan --preset vit-paper --batch 128
  bdia plan --preset base --batch-tokens 8192
  bdia plan runs/shakespeare --budget 2GiB
  bdia plan --layers 1000 --width 64 --heads 4 --context 64 --json`,
		Args: cli.Arguments(0, 1, "one run directory"),
	}
	cli.Group(c, "Model", func(f *pflag.FlagSet) { s.taskFlag(f); s.modelFlags(f); s.sizeFlags(f) })
	cli.Group(c, "Method", s.methodFlags)
	cli.Group(c, "Training", func(f *pflag.FlagSet) { s.updateFlags(f); s.batchTokensFlag(f); s.optimizerFlag(f) })
	cli.Group(c, "Other", func(f *pflag.FlagSet) {
		f.StringVar(&budget, "budget", "", "`memory` to fit into, such as 2GiB")
		s.configFlag(f)
		engineFlags(f, &s.cfg.Engine)
		f.BoolVar(&asJSON, "json", false, "print JSON")
	})
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		base := defaults
		if len(args) == 1 {
			own, err := readRun(args[0])
			if err != nil {
				return err
			}
			base = func(string) config { return own }
		}
		cfg, err := s.resolve(cmd.Flags(), base)
		if err != nil {
			return err
		}
		if budget != "" {
			limit, err := cli.ParseBytes(budget)
			if err != nil {
				return cli.Usage(fmt.Errorf("--budget: %w", err))
			}
			return planBudget(cmd.OutOrStdout(), cfg, limit, asJSON)
		}
		usages, err := train.PlanModes(cfg.task())
		if err != nil {
			return err
		}
		if asJSON {
			out := map[string]usageJSON{}
			for name, u := range usages {
				out[name] = usageOf(u)
			}
			return cli.PrintJSON(cmd.OutOrStdout(), map[string]any{"modes": out})
		}
		printPlan(cmd.OutOrStdout(), cfg, usages)
		return nil
	}
	return c
}

func printPlan(w io.Writer, cfg config, usages map[string]backend.Usage) {
	batch := fmt.Sprintf("batch %d", cfg.Loop.Batch)
	if cfg.Task == trainpairs.Name {
		batch = "batches of " + batchText(cfg)
	}
	fmt.Fprintf(w, "%s; %s; %s.\n", modelText(cfg), batch, cfg.Optimizer.Name)
	var names []string
	var columns []backend.Usage
	for _, mode := range modes {
		names = append(names, mode.String())
		columns = append(columns, usages[mode.String()])
	}
	if u, ok := usages[trainimages.RevViT]; ok {
		names, columns = append(names, trainimages.RevViT), append(columns, u)
	}
	cli.MemoryTable(w, names, columns)
	fmt.Fprintf(w, "Store takes %.2f times the memory of reversible, recompute %.2f times.\n",
		float64(columns[1].Total)/float64(columns[0].Total), float64(columns[2].Total)/float64(columns[0].Total))
	if len(columns) > len(modes) {
		share := func(u backend.Usage) float64 { return float64(u.Total) / float64(columns[1].Total) }
		fmt.Fprintf(w, "Reversible takes %.3f of the memory of store, RevViT %.3f.\n", share(columns[0]), share(columns[3]))
	}
}

// planBudget prints the largest batch of each mode that fits into limit bytes.
func planBudget(w io.Writer, cfg config, limit int64, asJSON bool) error {
	out := map[string]usageJSON{}
	if !asJSON {
		what := "Largest batch"
		if _, perSample := cfg.Unit(); perSample == 0 { // of pairs, which is as many as its tokens allow
			what = "Most tokens of a batch"
		}
		fmt.Fprintf(w, "%s.\n%s in %s:\n", modelText(cfg), what, cli.Bytes(limit))
	}
	for _, mode := range modes {
		batch, u, err := train.LargestBatch(cfg.task(), mode, limit)
		if err != nil {
			return err
		}
		j := usageOf(u)
		j.Batch = &batch
		out[mode.String()] = j
		switch {
		case asJSON:
		case batch == 0:
			fmt.Fprintf(w, "  %-12s does not fit, even with a batch of 1\n", mode)
		default:
			fmt.Fprintf(w, "  %-12s %6d   (%s)\n", mode, batch, cli.Bytes(u.Total))
		}
	}
	if asJSON {
		return cli.PrintJSON(w, map[string]any{"budget_bytes": limit, "modes": out})
	}
	return nil
}

// usageJSON is one plan for machines.
type usageJSON struct {
	TotalBytes int64            `json:"total_bytes"`
	Components map[string]int64 `json:"components"`
	Batch      *int             `json:"largest_batch,omitempty"`
}

func usageOf(u backend.Usage) usageJSON {
	j := usageJSON{TotalBytes: u.Total, Components: map[string]int64{}}
	for c := range backend.NumComponents {
		j.Components[c.String()] = u.ByComponent[c]
	}
	return j
}
