package main

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/train"
)

// errProblem ends inspect when a run could not learn from the data; the picture says why.
var errProblem = errors.New("a run could not learn from this: see the problem")

func newInspect() *cobra.Command {
	var o inspection
	c := &cobra.Command{
		Use:   "inspect DATA ...",
		Short: "Show data as a model would see them, before anything is trained",
		Long: `Show what a run would learn from: how many files, pairs or images there are and how
many of them can be used, what is left out and why, lengths, classes, and samples as
the model sees them. Behind ">" is what it learns to say, behind "|" what it only
reads. DATA is a file, a folder or an archive of text, of pairs or of images, which
its content tells, or the folder of a run. Parallel files are named with --source and
--target.

Lengths are in characters, or in tokens of the model of --from. What would stop a run
is told as a problem; then the exit code is 1.`,
		Example: `  bdia inspect notes/
  bdia inspect answers.csv --from gpt2 --samples 5
  bdia inspect photos.zip --json
  bdia inspect --source train.en.gz --target train.fr.gz
  bdia inspect runs/e2e`,
	}
	cli.Group(c, "Flags", func(f *pflag.FlagSet) {
		f.StringVar(&o.from, "from", "", "`folder` of the model that is to learn; it gives the tokens")
		f.StringVar(&o.task, "task", "", "`what` it is: text, images, translation or completion (default: its content tells)")
		f.StringVar(&o.source, "source", "", "`file` of sources, a line each, or of prompts")
		f.StringVar(&o.target, "target", "", "`file` of their targets, or of completions")
		f.IntVar(&o.samples, "samples", 3, "samples to show")
		f.BoolVar(&o.asJSON, "json", false, "print JSON")
		cli.QuietFlag(f)
	})
	cli.Choices(c, map[string][]string{"task": {"text", "images", "translation", "completion"}})
	completions(c)
	c.Args = func(cmd *cobra.Command, args []string) error {
		if o.source != "" || o.target != "" {
			return cli.Arguments(0, 0, "")(cmd, args)
		}
		return cli.Arguments(1, math.MaxInt, "a file or folder of data, or more of them")(cmd, args)
	}
	c.RunE = func(cmd *cobra.Command, args []string) error {
		o.given = given(cmd.Flags())
		switch {
		case o.samples < 0:
			return cli.Usage(fmt.Errorf("--samples %d; give a number from 0 on", o.samples))
		case (o.source == "") != (o.target == ""):
			return cli.Usage(errors.New("--source and --target are the two halves of pairs; name both"))
		case o.source != "":
			args = []string{o.source}
		}
		return o.run(cmd, args)
	}
	return c
}

// inspection says how data are inspected.
type inspection struct {
	task, from     string
	source, target string // parallel files
	samples        int
	asJSON         bool
	given          overrides // the flags
}

// inspected is what is known of one input.
type inspected struct {
	Path   string `json:"path"`
	Target string `json:"target,omitempty"` // of parallel files, the one of the targets
	Task   string `json:"task"`
	// Precision is the one that a run's matrix products have; empty: it is no run.
	Precision string         `json:"precision,omitempty"`
	Data      *train.Picture `json:"data"`            // nil: there is no picture
	Error     string         `json:"error,omitempty"` // what would stop a run
}

// run shows every input.
func (o inspection) run(cmd *cobra.Command, paths []string) error {
	w, p := cmd.OutOrStdout(), cli.NewProgress(cmd)
	all := []inspected{}
	bad := false
	for i, path := range paths {
		one := inspected{Path: path, Target: o.target}
		err := o.look(cmd.Context(), &one, p)
		p.Clear()
		if cmd.Context().Err() != nil || cli.IsUsage(err) {
			return err
		}
		if err != nil {
			one.Error, bad = explain(nil, err), true
		}
		if all = append(all, one); o.asJSON {
			continue
		}
		if i > 0 {
			fmt.Fprintln(w)
		}
		columns := cli.Columns(w)
		cli.Row(w, columns, "Data", strings.TrimSuffix(strings.TrimSuffix(path+" and "+one.Target, " and ")+": "+one.Task, ": "))
		if one.Precision != "" {
			cli.Row(w, columns, "Precision", one.Precision)
		}
		if one.Data != nil {
			cli.PrintPicture(w, *one.Data, columns)
		}
		if one.Error != "" {
			cli.Row(w, columns, "Problem", one.Error)
		}
	}
	if o.asJSON {
		if err := cli.PrintJSON(w, map[string]any{"inputs": all}); err != nil {
			return err
		}
	}
	if bad {
		return errProblem
	}
	return nil
}

// inTemporary calls do with a folder that is removed after it.
func inTemporary(do func(dir string) error) error {
	dir, err := disk.MkdirTemp("", "bdia-inspect-")
	if err != nil {
		return err
	}
	defer disk.RemoveAll(dir)
	return do(dir)
}
