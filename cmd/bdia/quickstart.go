package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/text"
)

func newQuickstart() *cobra.Command {
	var out string
	var seconds float64
	var engine backend.Options
	var asJSON bool
	c := &cobra.Command{
		Use:   "quickstart [FILE_OR_FOLDER]",
		Short: "Train a small GPT reversibly for about two minutes and check that it was exact",
		Long: `Train a small GPT in reversible mode for about two minutes, on the Go source of
this machine or on the text that you name. Then show what was learned, what
memory it took against ordinary back-propagation, and check bit for bit that the
reverse walk of this very run is exact.`,
		Example: "  bdia quickstart\n  bdia quickstart my-notes/ --seconds 60",
		Args:    cli.Arguments(0, 1, "one file or folder"),
	}
	cli.Group(c, "Flags", func(f *pflag.FlagSet) {
		f.Float64Var(&seconds, "seconds", 120, "about how long to train")
		f.StringVar(&out, "out", "", "run `folder` (default runs/quickstart-DATE-TIME)")
		precisionFlag(f, &engine.Precision)
		engineFlags(f, &engine)
		f.BoolVar(&asJSON, "json", false, "print the report as JSON")
		cli.QuietFlag(f)
	})
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		t := quickTask()
		t.Settings.Engine = engine
		if len(args) == 1 {
			t.Settings.Data.Path, t.Settings.Data.Extensions = args[0], nil
		}
		if !(seconds > 0 && seconds < 1e6) {
			return cli.Usage(fmt.Errorf("--seconds %v; give a positive number", seconds))
		}
		if err := checkEngine(engine); err != nil {
			return err
		}
		p := cli.NewProgress(cmd)
		return inNewDir(out, "quickstart", p, func(dir string) error {
			return quickstart(cmd.Context(), cmd.OutOrStdout(), p, t, dir, seconds, asJSON)
		})
	}
	return c
}

// quickTask is a GPT of 1.9 million parameters on up to 8 MB of Go source.
func quickTask() *text.Task {
	c := text.Default()
	c.Data = text.DataConfig{Path: "go", Tokenizer: "bpe", BPEVocab: 1024, MaxBytes: 8 << 20, ValFraction: 0.05}
	m := &c.Model
	m.Layers, m.Heads, m.Width, m.Context = 8, 4, 128, 128
	c.Schedule.LR, c.Schedule.Warmup, c.Schedule.Steps = 2e-3, 50, 2000 // until a step is timed
	c.Loop.Batch, c.Loop.EvalSamples, c.Loop.EvalEvery, c.Loop.Patience = 8, 128, 0, 0
	return text.New(c)
}

func quickstart(ctx context.Context, w io.Writer, p *cli.Progress, t *text.Task, out string, seconds float64, asJSON bool) error {
	fmt.Fprintln(p.W, "Reading text and learning a vocabulary ...")
	r, err := train.Create(ctx, out, t, p.Preparing)
	if err != nil {
		return err
	}
	defer r.Close()
	fmt.Fprintln(p.W, "Timing a few steps ...")
	if err := fitSteps(ctx, r, t, seconds); err != nil {
		return err
	}
	return trainRun(ctx, r, p, 1, func(r *train.Run, end outcome) error {
		if end.Interrupted {
			return (&runOptions{asJSON: asJSON}).report(w)(r, end)
		}
		q, err := quickRun(ctx, r, t)
		if err != nil {
			return err
		}
		if asJSON {
			err = q.printJSON(w, end)
		} else {
			err = q.print(w, end.Summary)
		}
		if err == nil && !q.report.Exact() {
			err = errMismatch
		}
		return err
	})
}

// fitSteps gives r, a run of t, as many steps as take about so many seconds here.
func fitSteps(ctx context.Context, r *train.Run, t *text.Task, seconds float64) error {
	step, err := timeStep(ctx, t, 5)
	if err != nil {
		return err
	}
	to := text.New(t.Settings)
	c := &to.Settings.Common
	c.Schedule.Steps = int(min(max(8, seconds/step.SecondsPerStep), 1e7))
	c.Schedule.Warmup = min(c.Schedule.Warmup, c.Schedule.Steps/5)
	c.Loop.EvalEvery = max(1, c.Schedule.Steps/4)
	return r.Reconfigure(to)
}
