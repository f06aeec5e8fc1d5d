package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
)

// modes in the order of the tables.
var modes = []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute}

// errNoFit ends plan when the run does not fit into its budget; the table has been printed.
var errNoFit = errors.New("it does not fit into --budget, even with a batch of 1")

// planOptions say what is planned, and what is told of it.
type planOptions struct {
	budget        string
	limit         int64 // bytes of it
	timed, asJSON bool
	data, from    string
	only          []bdia.Memory // modes to plan
	others        bool          // and other models of these sizes
	host          train.Host    // memory beside the arena
}

func newPlan() *cobra.Command {
	var o planOptions
	c := &cobra.Command{
		Use:   "plan [RUN]",
		Short: "Print the exact peak memory of a training run, by component",
		Long: `Print the peak memory of training, to the byte: the code of a step runs on a backend
that only counts. Without --memory, the run is beside ordinary back-propagation (store)
and recomputation. Pairs are as long as takes most.`,
		Example: `  bdia plan --preset gpt2 --batch 4 --context 512 --lora-rank 8
  bdia plan --from gpt2 --data tickets.csv --budget 8GiB
  bdia plan runs/shakespeare --time`,
		Args: cli.Arguments(0, 1, "one run directory"),
	}
	cli.Group(c, "Plan", func(f *pflag.FlagSet) {
		f.StringVar(&o.data, "data", "", "`file` or folder of text, pairs or images")
		f.StringVar(&o.from, "from", "", "`folder` of the model that training starts from")
		f.Int("lora-rank", 0, "train adapters of this `rank`; 0: all weights")
		f.Int("freeze", 0, "first `blocks` that stay as they are")
		f.Int("window", 0, "most `tokens` of a sample; 0: the context")
		f.StringVar(&o.budget, "budget", "", "print the batches that fit into so much `memory`")
		f.BoolVar(&o.timed, "time", false, "measure a step on this machine too")
		configFlag(f)
		f.BoolVar(&o.asJSON, "json", false, "print JSON")
	})
	cli.Rare(c, moreModel, func(f *pflag.FlagSet) {
		f.String("lora-targets", "", "`layers` with adapters: of qkv, proj, fc1 and fc2, or all")
	})
	addSizes(c, "seed")
	cli.Rare(c, moreTraining, cli.QuietFlag)
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		set := given(cmd.Flags())
		if err := o.parseBudget(); err != nil {
			return cli.Usage(fmt.Errorf("--budget: %w", err))
		}
		t, host, err := planned(cmd, set, args)
		if err != nil {
			return err
		}
		if err := set.refuse(o.idle(t)); err != nil {
			return err
		}
		o.host = host
		if o.only, o.others = modes, true; set.has("memory") {
			o.only, o.others = []bdia.Memory{t.Common().Method.Memory}, false
		}
		return o.plan(cmd, t)
	}
	return c
}

// parseBudget reads the budget.
func (o *planOptions) parseBudget() (err error) {
	if o.budget == "" {
		return nil
	}
	o.limit, err = cli.ParseBytes(o.budget)
	if err == nil && o.limit < 1<<10 {
		err = fmt.Errorf("%s is %d bytes, which nothing fits into; write it as 8GiB", o.budget, o.limit)
	}
	return err
}

// plan prints what o asks for.
func (o planOptions) plan(cmd *cobra.Command, t train.Synthetic) error {
	w, out := cmd.OutOrStdout(), map[string]any{}
	all, trainable, err := train.Parameters(t)
	if err != nil {
		return err
	}
	out["parameters"], out["trainable"], out["weights"] = all, trainable, train.Held(t).String()
	out["precision"] = t.Common().Engine.Precision.String()
	if !o.asJSON {
		printPlanned(w, t, all, trainable)
	}
	fits := true
	if o.budget != "" {
		if fits, err = o.planBudget(w, t, out); err != nil {
			return err
		}
	} else if err := o.planModes(w, t, out); err != nil {
		return err
	}
	out["host"] = hostOf(o.host)
	if !o.asJSON {
		fmt.Fprintf(w, "Beside this arena the process takes %s.\n", hostText(o.host))
	}
	if o.timed && fits {
		if err := o.planTime(cmd.Context(), w, t, out); err != nil {
			return err
		}
	}
	if o.asJSON {
		if err := cli.PrintJSON(w, out); err != nil {
			return err
		}
	}
	if !fits {
		return errNoFit
	}
	return nil
}
