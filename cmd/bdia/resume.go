package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
)

func newResume() *cobra.Command {
	var o runOptions
	var run string
	c := &cobra.Command{
		Use:   "resume RUN",
		Short: "Go on with a run of any task, or make it longer",
		Long: `Go on with the run in a folder, whatever its task: bit for bit as if it had not been
interrupted. Flags change what may change on the way, such as the number of steps or
the learning rate. Its data, its sizes and the kind of its optimiser stay.`,
		Example: `  bdia train resume runs/gpt-20260301-101500
  bdia train resume runs/gpt-20260301-101500 --steps 5000
  bdia train resume runs/e2e --lr 1e-5 --threads 4`,
		Args: cli.Arguments(0, 1, "one run directory"),
	}
	t := newTask(fromScratch[0].name)
	common := commonGroups(t.Common(), func(*pflag.FlagSet) {})
	common[0].add = func(f *pflag.FlagSet) {
		methodFlags(f, &t.Common().Method)
		precisionFlag(f, &t.Common().Engine.Precision)
		dropoutFlag(f)
		f.Float64("label-smoothing", 0, "`share` of a target spread over all")
		f.Float64("stochastic-depth", 0, "images: `probability` of dropping a branch")
	}
	common[1].heading = "Training" // of a run nothing is auto
	addGroups(c, common)
	cli.Group(c, "Run", func(f *pflag.FlagSet) { configFlag(f); o.jsonFlag(f) })
	cli.Rare(c, moreLoop, cli.QuietFlag)
	f := c.Flags()
	pathsFlag(f, new(string), new([]string), "data", "") // of any task
	f.Lookup("data").Hidden = true
	addHidden(c)
	f.VisitAll(forgetDefault)
	for flag, p := range map[string]*string{"resume": &run, "out": &o.out, "task": new(string)} {
		f.StringVar(p, flag, "", "")
		f.Lookup(flag).Hidden = true
	}
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			if run != "" {
				return cli.Usage(fmt.Errorf("the run is %s, and --resume %s; give one of them", args[0], run))
			}
			run = args[0]
		}
		if run == "" {
			return cli.Usage(errors.New("bdia train resume needs one run directory; see bdia train resume --help"))
		}
		return o.resume(cmd, run)
	}
	return c
}

// forgetDefault leaves the default of a flag out of the help: it is what the run has.
func forgetDefault(flag *pflag.Flag) {
	flag.DefValue = ""
	switch flag.Value.Type() {
	case "int", "uint64", "float64":
		flag.DefValue = "0"
	case "bool":
		flag.DefValue = "false"
	}
}

// addHidden gives c the flags of all tasks that it does not have yet, without showing them. So the error about a flag
// that a run cannot take says why.
func addHidden(c *cobra.Command) {
	for _, name := range train.Tasks() {
		for _, g := range viewOf(newTask(name)).flags() {
			one := pflag.NewFlagSet("", pflag.ContinueOnError)
			g.add(one)
			one.VisitAll(func(flag *pflag.Flag) { flag.Hidden = true })
			c.Flags().AddFlagSet(one)
		}
	}
}

// resume goes on with the run in dir, with what the flags of cmd change.
func (o *runOptions) resume(cmd *cobra.Command, dir string) error {
	if o.out != "" {
		return cli.Usage(errors.New("--resume goes on in the run's own folder; leave out --out"))
	}
	r, err := openDamaged(cmd.ErrOrStderr(), dir)
	if err != nil {
		return err
	}
	defer r.Close()
	was := *r.Common()
	if err := reconfigure(cmd.Context(), cmd.ErrOrStderr(), r, given(cmd.Flags())); err != nil {
		return err
	}
	printStretched(cmd.ErrOrStderr(), r.State.Step, was.Schedule, r.Common().Schedule)
	if is := r.Common().Engine.Precision; r.State.Step > 0 && is != was.Engine.Precision {
		fmt.Fprintf(cmd.ErrOrStderr(), "From step %d on, products are of %v, not of %v: other bits, as asked for\n", r.State.Step+1, is, was.Engine.Precision)
	}
	return trainRun(cmd.Context(), r, cli.NewProgress(cmd), 1, o.report(cmd.OutOrStdout()))
}
