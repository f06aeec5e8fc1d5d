package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/metric/plot"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/tune"
)

// trainer makes c the command that trains t. Groups are its flags.
func trainer(c *cobra.Command, t train.Task, groups []group) *cobra.Command {
	var o runOptions
	c.Args = cli.Arguments(0, 0, "")
	addGroups(c, groups)
	o.addFlags(c, "runs/"+viewOf(t).words().prefix+"-DATE-TIME")
	c.Flags().String("task", "", "`what` is learned; the command says it now")
	c.Flags().Lookup("task").Hidden = true
	if c.Flags().Lookup("epochs") != nil { // say how long a run is by default
		forgetDefault(c.Flags().Lookup("steps"))
	}
	for _, p := range presets {
		if p.task == t.Name() {
			cli.Choices(c, map[string][]string{"preset": p.names})
		}
	}
	completions(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		g := given(cmd.Flags())
		set, err := g.settle(newTask(t.Name()))
		if err != nil {
			return err
		}
		if set.Name() != t.Name() {
			return otherTask(cmd, set)
		}
		g.tellGamma(cmd, set)
		return o.train(cmd, set)
	}
	return c
}

// otherTask says that the file of --config is for the command that trains set.
func otherTask(c *cobra.Command, set train.Task) error {
	return cli.Usage(fmt.Errorf("%s is of task %s; use %s", c.Flags().Lookup("config").Value, set.Name(), viewOf(set).words().command))
}

// runOptions say where a run goes, and what is printed in the end.
type runOptions struct {
	out    string
	asJSON bool
	dry    bool // only show what would be done
	show   int  // samples to show before the first step
}

// addFlags adds the flags of a new run. Dir describes the usual folder in the help.
func (o *runOptions) addFlags(c *cobra.Command, dir string) {
	cli.Group(c, "Run", func(f *pflag.FlagSet) {
		f.StringVar(&o.out, "out", "", "run `folder` (default "+dir+")")
		configFlag(f)
		f.BoolVar(&o.dry, "dry-run", false, "show the data and what the run will take, then stop")
		o.jsonFlag(f)
	})
	cli.Rare(c, moreLoop, func(f *pflag.FlagSet) {
		f.IntVar(&o.show, "show", 1, "samples to show as the model sees them, before the first step")
		cli.QuietFlag(f)
	})
}

func (o *runOptions) jsonFlag(f *pflag.FlagSet) {
	f.BoolVar(&o.asJSON, "json", false, "print the summary as JSON")
}

// configFlag names a file of settings. It is bound to nothing: settings are read from it.
func configFlag(f *pflag.FlagSet) {
	f.String("config", "", "YAML `file` of settings; flags override it")
}

// train makes a run of t and trains it.
func (o *runOptions) train(cmd *cobra.Command, t train.Task) error {
	v := viewOf(t)
	if err := v.needData(); err != nil {
		return err
	}
	if o.show < 0 {
		return cli.Usage(fmt.Errorf("--show %d; give a number of samples, from 0 on", o.show))
	}
	p, path := cli.NewProgress(cmd), dataPath(v)
	if o.dry {
		return otherData(path, o.rehearse(cmd, t, p))
	}
	return otherData(path, inNewDir(o.out, v.words().prefix, p, func(dir string) error {
		r, err := train.Create(cmd.Context(), dir, t, p.Preparing)
		if err != nil {
			return err
		}
		defer r.Close()
		return trainRun(cmd.Context(), r, p, o.show, o.report(cmd.OutOrStdout()))
	}))
}

// report returns a function that tells on w how a run ended.
func (o *runOptions) report(w io.Writer) func(*train.Run, outcome) error {
	return func(r *train.Run, end outcome) error {
		if o.asJSON {
			return cli.PrintJSON(w, summaryJSON(r, end))
		}
		printSummary(w, r, end.Summary)
		return nil
	}
}

// outcome is how a run ended, and what was shown before it began.
type outcome struct {
	train.Summary
	preview
}

// trainRun shows so many samples, trains r to its end, or until ctx is done, and reports.
func trainRun(ctx context.Context, r *train.Run, p *cli.Progress, samples int, report func(*train.Run, outcome) error) error {
	p.Unit, p.EvalEvery = viewOf(r.Task).words().unit, r.Common().Loop.EvalEvery
	if err := r.Task.Open(ctx, p.Preparing); err != nil { // the images of a run that goes on
		return err
	}
	shown := &shower{Progress: p, r: r, w: p.W}
	if p.Quiet() {
		shown.w = nil
	}
	if err := shown.data(samples); err != nil {
		return err
	}
	r.Figure = plot.Run
	ctx, cancel := p.WhileRead(ctx)
	defer cancel()
	sum, err := r.Train(ctx, shown)
	p.Clear()
	if errors.Is(err, tune.ErrGrid) {
		return cli.Usage(err)
	}
	if err != nil {
		return err
	}
	if err := report(r, outcome{sum, shown.preview}); err != nil {
		return err
	}
	switch {
	case sum.Interrupted && sum.Saved == 0:
		return cli.ErrUnsaved
	case sum.Interrupted:
		return cli.ErrStopped
	}
	return nil
}
