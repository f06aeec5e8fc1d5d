package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
)

func newBench() *cobra.Command {
	var architecture, memory string
	var steps int
	var asJSON bool
	c := &cobra.Command{
		Use:   "bench [RUN]",
		Short: "Measure the machine, the kernels and whole training steps",
		Long: `Measure what this machine can do at most (fused multiply-adds, copying memory), hold
every kernel against that, and time whole training steps, broken down by operation.
With --memory, time the steps of that mode only.

A step is the ordinary transformer in the modes store and recompute; reversible is
gamma 0.5 on a grid of 2^-9 with updates in the reverse walk. Tokens and images are
random. The model is the one of a run, of --preset or of --from, or gpt of the preset
nano, vit of the preset vit-paper, or revvit, which is vit with two residual streams.`,
		Example: `  bdia bench
  bdia bench --memory reversible --json
  bdia bench --preset gpt2 --seq 512 --batch 4 --memory store
  bdia bench --from Llama-3.2-1B --seq 2048 --batch 1 --memory reversible --weights bf16 --state-bits 8
  bdia bench --model vit --layers 6 --heads 8 --width 512 --mlp 512 --batch 128
  bdia bench runs/shakespeare --memory reversible`,
		Args: cli.Arguments(0, 1, "one run directory"),
	}
	cli.Group(c, "Model", func(f *pflag.FlagSet) {
		f.StringVar(&architecture, "model", "gpt", "`architecture`: gpt, vit or revvit")
		f.String("preset", "", "`size` by name, of any task")
		f.String("from", "", "`folder` of a language model; config.json will do")
		for _, s := range benchSizes {
			f.Int(s.name, 0, s.usage)
		}
	})
	cli.Rare(c, moreTraining, func(f *pflag.FlagSet) {
		for _, w := range benchWays {
			f.String(w.name, "", w.usage)
		}
	})
	cli.Group(c, "Other", func(f *pflag.FlagSet) {
		f.StringVar(&memory, "memory", "", "time only this `mode`: reversible, store or recompute")
		f.IntVar(&steps, "steps", 5, "timed steps; the median counts")
		precisionFlag(f, new(backend.Precision))
		engineFlags(f, &backend.Options{})
		f.BoolVar(&asJSON, "json", false, "print JSON")
	})
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		t, err := benched(given(cmd.Flags()), architecture, args)
		if err != nil {
			return err
		}
		if steps < 1 {
			return cli.Usage(fmt.Errorf("--steps %d; time at least one", steps))
		}
		noteSpeed(cmd.ErrOrStderr(), t.Common().Engine)
		if memory == "" {
			return benchAll(cmd.Context(), cmd.OutOrStdout(), t, steps, asJSON)
		}
		mode, err := bdia.ParseMemory(memory)
		if err != nil {
			return cli.Usage(err)
		}
		return benchMode(cmd.Context(), cmd.OutOrStdout(), train.WithMemory(t, mode), steps, asJSON)
	}
	return c
}
