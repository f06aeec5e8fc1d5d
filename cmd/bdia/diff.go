package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/train"
)

// errDiffer ends diff when two runs differ; the report has been printed.
var errDiffer = errors.New("the runs differ: see the report")

func newDiff() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff RUN RUN",
		Short: "Name the first step at which two runs part",
		Long: `Compare two runs bit for bit by what they recorded: the settings that differ, and the
first step with another value in metrics.jsonl, times and speeds left out. If both have
certificates (--certificate), the first step with another digest is named, and what
differs there: "state 3" was computed otherwise by block 2, if state 2 is equal; state 0
is the embedding. Weights and moments of checkpoints of the same step are compared too.
Exit code 1 if what the runs computed differs; settings may, such as the number of threads.`,
		Example: `  bdia diff runs/one runs/two
  bdia diff runs/one runs/two --json`,
		Args: cli.Arguments(2, 2, "two runs"),
	}
	cli.Group(c, "Flags", func(f *pflag.FlagSet) { f.BoolVar(&asJSON, "json", false, "print JSON") })
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		for _, dir := range args {
			if err := isRun(dir); err != nil {
				return err
			}
		}
		d, err := train.Diff(args[0], args[1])
		if err != nil {
			return err
		}
		if w := cmd.OutOrStdout(); asJSON {
			err = cli.PrintJSON(w, struct {
				Equal bool `json:"equal"`
				*train.RunDiff
			}{d.Same(), d})
		} else {
			printDiff(w, d)
		}
		if err == nil && !d.Same() {
			return errDiffer
		}
		return err
	}
	return c
}

// printDiff prints a comparison for people.
func printDiff(w io.Writer, d *train.RunDiff) {
	for _, s := range d.Settings {
		fmt.Fprintf(w, "  %-24s %s | %s\n", s.Name, cli.Harmless(s.A), cli.Harmless(s.B))
	}
	part := func(what string, at *metric.Difference) {
		if at == nil {
			fmt.Fprintf(w, "  %s: equal\n", what)
			return
		}
		fmt.Fprintf(w, "  %s: the first difference is at step %d, %s: %s | %s\n", what, at.Step, at.What, at.A, at.B)
	}
	part("records", d.Records)
	if d.Certified {
		part("certificates", d.Certificates)
	}
	for _, name := range d.Files {
		fmt.Fprintf(w, "  %s: differs\n", name)
	}
}
