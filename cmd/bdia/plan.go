package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
)

// modes in the order of the tables.
var modes = []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute}

func newPlan() *cobra.Command {
	var budget string
	var asJSON bool
	c := &cobra.Command{
		Use:   "plan [RUN]",
		Short: "Print the exact peak memory of a training run, by component",
		Long: `Print the peak memory that training takes, to the byte, without training: the code
of a step runs on a backend that only counts. The reversible run, or the run in a folder,
is compared with ordinary back-propagation (store) and with activation recomputation.
Pairs are taken to be of the length that takes most.`,
		Example: `  bdia plan --preset gpt2 --batch 4 --context 512
  bdia plan --preset vit-paper --budget 8GiB
  bdia plan --preset base --batch-tokens 8192
  bdia plan runs/shakespeare --budget 2GiB`,
		Args: cli.Arguments(0, 1, "one run directory"),
	}
	cli.Group(c, "Plan", func(f *pflag.FlagSet) {
		f.StringVar(&budget, "budget", "", "print the largest batches that fit into this `memory`")
		configFlag(f)
		f.BoolVar(&asJSON, "json", false, "print JSON")
	})
	addSizes(c)
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		t, err := planned(given(cmd.Flags()), args)
		if err != nil {
			return err
		}
		if budget != "" {
			limit, err := cli.ParseBytes(budget)
			if err != nil {
				return cli.Usage(fmt.Errorf("--budget: %w", err))
			}
			return planBudget(cmd.OutOrStdout(), t, limit, asJSON)
		}
		usages, err := train.PlanModes(t)
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
		printPlan(cmd.OutOrStdout(), t, usages)
		return nil
	}
	return c
}

// planned is the task that o describes, on top of the run that args name, if they do.
func planned(o overrides, args []string) (train.Synthetic, error) {
	var t train.Task
	if len(args) == 1 {
		var err error
		if t, err = readRun(args[0]); err != nil {
			return nil, err
		}
	} else {
		name, err := o.task()
		if err != nil {
			return nil, err
		}
		t = newTask(name)
	}
	t, err := o.settle(t)
	if err != nil {
		return nil, err
	}
	train.Assume(t)
	return t.(train.Synthetic), nil
}
