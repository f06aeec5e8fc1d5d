package main

import (
	"context"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/bench"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/verify"
)

func newQuickstart() *cobra.Command {
	var out string
	var seconds float64
	var engine backend.Options
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
		engineFlags(f, &engine)
	})
	completions(c)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		cfg := quickConfig()
		cfg.Engine = engine
		if len(args) == 1 {
			cfg.Data.Path, cfg.Data.Extensions = args[0], nil
		}
		if !(seconds > 0 && seconds < 1e6) {
			return cli.Usage(fmt.Errorf("--seconds %v; give a positive number", seconds))
		}
		if err := checkEngine(engine); err != nil {
			return err
		}
		p := cli.NewProgress(cmd.ErrOrStderr())
		return inNewDir(out, "quickstart", p, func(dir string) error {
			return quickstart(cmd.Context(), cmd.OutOrStdout(), p, cfg, dir, seconds)
		})
	}
	return c
}

// quickConfig is a GPT of 1.9 million parameters on up to 8 MB of Go source.
func quickConfig() config {
	cfg := defaults(text.Name)
	cfg.Data = text.DataConfig{Path: "go", Tokenizer: "bpe", BPEVocab: 1024, MaxBytes: 8 << 20, ValFraction: 0.05}
	m := &cfg.Model
	m.Layers, m.Heads, m.Width, m.Context = 8, 4, 128, 128
	cfg.Schedule.LR, cfg.Schedule.Warmup = 2e-3, 50
	cfg.Loop.Batch, cfg.Loop.EvalSamples, cfg.Loop.EvalEvery = 8, 128, 0
	return cfg
}

func quickstart(ctx context.Context, w io.Writer, p *cli.Progress, cfg config, out string, seconds float64) error {
	fmt.Fprintln(p.W, "Reading text and learning a vocabulary ...")
	r, err := createRun(ctx, out, cfg, p.Preparing)
	if err != nil {
		return err
	}
	defer r.Close()
	fmt.Fprintln(p.W, "Timing a few steps ...")
	if err := fitSteps(ctx, r, seconds); err != nil {
		return err
	}
	return trainRun(ctx, r, p, func(r *oneRun, sum train.Summary) error {
		if sum.Interrupted {
			printSummary(w, r, sum)
			return nil
		}
		return quickReport(ctx, w, r, sum)
	})
}

// fitSteps gives r as many steps as take about so many seconds here.
func fitSteps(ctx context.Context, r *oneRun, seconds float64) error {
	cfg := r.Config
	step, err := bench.TimeStep(ctx, cfg.task(), 5)
	if err != nil {
		return err
	}
	cfg.Schedule.Steps = int(min(max(8, seconds/step.SecondsPerStep), 1e7))
	cfg.Schedule.Warmup = min(cfg.Schedule.Warmup, cfg.Schedule.Steps/5)
	cfg.Loop.EvalEvery = max(1, cfg.Schedule.Steps/4)
	return r.Reconfigure(cfg)
}

// quickReport prints what the run shows.
func quickReport(ctx context.Context, w io.Writer, r *oneRun, sum train.Summary) error {
	fmt.Fprintf(w, "\n%d steps in %s. Loss on held-out text:\n  %.3f at the start, %.3f at the end (perplexity %.0f -> %.1f)\n",
		sum.Steps, cli.Seconds(sum.Seconds), sum.FirstVal.Loss, sum.LastVal.Loss, math.Exp(sum.FirstVal.Loss), math.Exp(sum.LastVal.Loss))

	text, err := sampleOf(r)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nIt writes:\n%s\n", cli.Indent(text))

	modes, err := train.PlanModes(r.Config.task())
	if err != nil {
		return err
	}
	store := modes[bdia.Store.String()]
	fmt.Fprintln(w, "\nPeak memory, by component:")
	cli.MemoryTable(w, []string{"this run", "ordinary"}, []backend.Usage{sum.Peak, store})
	fmt.Fprintf(w, "  Ordinary back-propagation would have needed %.1f times as much.\n  This run's peak was %s.\n",
		float64(store.Total)/float64(sum.Peak.Total), asPlanned(sum))

	next, err := subjectOfRun(ctx, r, false)
	if err != nil {
		return err
	}
	report, err := next.check(verify.NoFault)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "\nExactness of this run's reverse walk, on its next batch:")
	printReport(w, report, false)
	prompt := ""
	if r.Config.Data.Path == "go" {
		prompt = " --prompt \"func \""
	}
	fmt.Fprintf(w, "\nThe run, with its loss curve in loss.png, is in %s.\nGo on with:\n", r.Dir)
	fmt.Fprintf(w, "  bdia generate %s%s\n  bdia train resume %s --steps %d\n", r.Dir, prompt, r.Dir, 2*sum.Steps)
	if !report.Exact() {
		return errMismatch
	}
	return nil
}
