package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

func newResume() *cobra.Command {
	s := newSettings()
	var o runOptions
	c := &cobra.Command{
		Use:   "resume RUN",
		Short: "Go on with a run of any task, or make it longer",
		Long: `Go on with the run in a folder, whatever its task: bit for bit as if it had not been
interrupted. Flags change what may change on the way, such as the number of steps or
the learning rate. Its data, its model and its optimiser stay.`,
		Example: `  bdia train resume runs/gpt-20260301-101500
  bdia train resume runs/gpt-20260301-101500 --steps 5000
  bdia train resume runs/e2e --lr 1e-5 --threads 4`,
		Args: cli.Arguments(1, 1, "one run directory"),
	}
	cli.Group(c, "Optimiser and schedule", s.optimizerFlags)
	cli.Group(c, "Method", s.methodFlags)
	cli.Group(c, "Batch", s.updateFlags)
	cli.Group(c, "Evaluation, samples, records", s.loopFlags)
	cli.Group(c, "Run", func(f *pflag.FlagSet) { o.common(f, s) })
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		o.resume = args[0]
		return resumeRun(cmd, s, cli.NewProgress(cmd.ErrOrStderr()), o, o.report(cmd.OutOrStdout()))
	}
	return c
}
