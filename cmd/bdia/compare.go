package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/metric"
)

func newCompare() *cobra.Command {
	var figure, format string
	var asJSON, each bool
	c := &cobra.Command{
		Use:   "compare RUN ...",
		Short: "Compare the scores of runs, in tables and a figure",
		Long: `Compare runs by what they recorded while they trained: validation loss, bits per
byte or accuracy, the loss on training batches over the last tenth of the steps, the
size of the model, its peak memory, speed and time, and the settings that differ.

Runs that differ only in their seeds are one row, of the mean and the standard deviation.
Runs of different tasks or vocabularies have tables and figures of their own, for their
losses do not compare; bits per byte of the same text do. Runs that still train can be
compared too.`,
		Example: `  bdia compare runs/plain runs/bdia
  bdia compare runs/plain runs/bdia --figure loss.svg
  bdia compare runs/* --format latex > table.tex`,
		Args: cli.Arguments(1, math.MaxInt, "one or more runs"),
	}
	cli.Group(c, "Flags", func(f *pflag.FlagSet) {
		f.StringVar(&figure, "figure", "", "`file` for the curves, .png or .svg")
		f.StringVar(&format, "format", "table", "`form` of the result: "+strings.Join(tableFormats(), ", "))
		f.BoolVar(&each, "each", false, "a row for every run, even if only seeds differ")
		f.BoolVar(&asJSON, "json", false, "print JSON, as --format json does")
	})
	cli.Choices(c, map[string][]string{"format": tableFormats()})
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if ext := filepath.Ext(figure); figure != "" && ext != ".png" && ext != ".svg" {
			return cli.Usage(fmt.Errorf("--figure %s: the name must end in .png or .svg", figure))
		}
		switch {
		case asJSON && cmd.Flags().Changed("format") && format != "json":
			return cli.Usage(fmt.Errorf("--json and --format %s are two forms; give one of them", format))
		case asJSON:
			format = "json"
		case tables[format] == nil && format != "json":
			return cli.Usage(fmt.Errorf("--format %q; use %s", format, strings.Join(tableFormats(), ", ")))
		}
		all, err := readRuns(cmd, args)
		if err != nil {
			return err
		}
		groups := groupRuns(all, each)
		if figure != "" {
			files, err := compareFigures(groups, figure)
			if err != nil {
				return err
			}
			for _, file := range files {
				fmt.Fprintf(cmd.ErrOrStderr(), "Figure written to %s\n", file)
			}
		}
		if format == "json" {
			return cli.PrintJSON(cmd.OutOrStdout(), map[string]any{"runs": all, "groups": groupsJSON(groups)})
		}
		tables[format](cmd.OutOrStdout(), groups)
		return nil
	}
	return c
}

// readRuns reads the runs in dirs. Folders that are no runs are told of and left out, unless all are.
func readRuns(cmd *cobra.Command, dirs []string) (all []comparedRun, err error) {
	var first error
	for _, dir := range dirs {
		r, err := readRecords(cmd.Context(), dir)
		if err != nil {
			if ctx := cmd.Context().Err(); ctx != nil {
				return nil, ctx
			}
			first = cmp.Or(first, err)
			if len(dirs) > 1 {
				fmt.Fprintf(cmd.ErrOrStderr(), "bdia: left out: %s\n", cli.OneLine(err))
			}
			continue
		}
		if r.bad.Lines > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "bdia: %s: %d lines are no records and are left out, the first of them line %d (%v)\n",
				filepath.Join(dir, metric.JSONLName), r.bad.Lines, r.bad.First, r.bad.Err)
		}
		all = append(all, r)
	}
	switch {
	case len(all) == 0 && len(dirs) > 1:
		return nil, errors.New("none of these folders is a run that can be compared")
	case len(all) == 0:
		return nil, first
	}
	var read []string
	for _, r := range all {
		read = append(read, r.dir)
	}
	for i, name := range namesOf(read) {
		all[i].Run = name
	}
	return all, nil
}

// namesOf calls runs by their folder's names, or by as much of their paths as tells them apart.
func namesOf(dirs []string) (names []string) {
	for deep := 1; deep < 8; deep++ {
		names = nil
		apart := map[string]bool{}
		for _, dir := range dirs {
			parts := strings.Split(filepath.ToSlash(filepath.Clean(dir)), "/")
			name := strings.Join(parts[max(0, len(parts)-deep):], "/")
			names, apart[name] = append(names, name), true
		}
		if len(apart) == len(dirs) {
			break
		}
	}
	return names
}
