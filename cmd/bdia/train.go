package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/train"
)

func newTrain() *cobra.Command {
	s := newSettings()
	var out, resume string
	var asJSON bool
	c := &cobra.Command{
		Use:   "train",
		Short: "Train a language model on text",
		Long: `Train a GPT-2-like language model on text. The defaults are the paper's method:
reversible memory, gamma 0.5, activations on a grid of 2^-9.

The run directory is a Hugging Face model folder: config.json, model.safetensors
and tokenizer files, with bdia.yaml, metrics.jsonl, loss.png and the training
state beside them, and the best weights so far in best/. Ctrl-C saves and leaves;
--resume goes on, with the bits of the run that was not interrupted.`,
		Example: `  bdia train --data input.txt --layers 4 --heads 4 --width 128 --context 64
  bdia train --data corpus/ --extensions .md,.txt --tokenizer bpe --preset nano --dropout 0.1
  bdia train --data input.txt --memory store --gamma 0 --grid none   # the ordinary transformer
  bdia train --config run.yaml --seed 2
  bdia train --resume runs/gpt-20260301-101500 --steps 5000`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	s.dataFlags(f)
	s.modelFlags(f)
	s.methodFlags(f)
	s.optimizerFlags(f)
	s.batchFlags(f)
	s.loopFlags(f)
	s.engineFlags(f)
	s.configFlag(f)
	f.StringVar(&out, "out", "", "run directory (default runs/gpt-DATE-TIME)")
	f.StringVar(&resume, "resume", "", "run directory to continue")
	f.BoolVar(&asJSON, "json", false, "print the summary as JSON")
	completions(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		p := newProgress(cmd.ErrOrStderr())
		r, err := openRun(cmd, s, p, out, resume)
		if err != nil {
			return err
		}
		defer r.Close()
		sum, err := r.Train(cmd.Context(), p)
		p.done()
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), summaryJSON(r, sum))
		}
		printSummary(cmd.OutOrStdout(), r, sum)
		return nil
	}
	return c
}

// openRun creates the run that the flags describe, or opens the one to resume.
func openRun(cmd *cobra.Command, s *settings, p *progress, out, resume string) (*train.Run, error) {
	f := cmd.Flags()
	if resume == "" {
		cfg, err := s.resolve(f, train.DefaultConfig())
		if err != nil {
			return nil, err
		}
		if cfg.Data.Path == "" {
			return nil, usage(errors.New("no text to train on; name a file or folder with --data"))
		}
		if out == "" {
			out = filepath.Join("runs", "gpt-"+time.Now().Format("20060102-150405"))
		}
		return train.Create(cmd.Context(), out, cfg, p.preparing)
	}
	if out != "" {
		return nil, usage(errors.New("--resume goes on in the run's own directory; leave out --out"))
	}
	if name := fixedFlag(s, f); name != "" {
		return nil, usage(fmt.Errorf("--%s cannot change in a run that goes on; start a new one", name))
	}
	r, err := train.Open(resume)
	if err != nil {
		return nil, err
	}
	cfg, err := s.resolve(f, r.Config)
	if err != nil {
		return nil, err
	}
	return r, r.Reconfigure(cfg)
}

// fixedFlag returns a given flag that says what is trained on what, or "".
func fixedFlag(s *settings, f *pflag.FlagSet) (name string) {
	fixed := pflag.NewFlagSet("", pflag.ContinueOnError)
	newSettings().dataFlags(fixed)
	newSettings().modelFlags(fixed)
	f.Visit(func(flag *pflag.Flag) {
		if fixed.Lookup(flag.Name) != nil && !strings.HasSuffix(flag.Name, "dropout") {
			name = flag.Name
		}
	})
	return name
}

// printSummary says how a run ended and what can be done with it.
func printSummary(w io.Writer, r *train.Run, sum train.Summary) {
	switch {
	case sum.Interrupted:
		fmt.Fprintf(w, "Interrupted after step %d of %d; saved. Go on with: bdia train --resume %s\n", sum.Steps, r.Config.Schedule.Steps, r.Dir)
	case sum.Stopped:
		fmt.Fprintf(w, "Stopped early at step %d: no better validation loss for %d evaluations.\n", sum.Steps, r.Config.Loop.Patience)
	default:
		fmt.Fprintf(w, "Done: %d steps in %s.\n", sum.Steps, secondsText(sum.Seconds))
	}
	if !math.IsNaN(sum.LastVal) {
		fmt.Fprintf(w, "Validation loss %.4f", sum.LastVal)
		if !math.IsInf(sum.BestVal, 0) {
			fmt.Fprintf(w, ", best %.4f at step %d", sum.BestVal, sum.BestStep)
		}
		fmt.Fprintln(w, ".")
	}
	fmt.Fprintf(w, "Peak memory %s (planned %s). Largest |x| of the residual stream: %.4g of %g.\n",
		bytesText(sum.Peak.Total), bytesText(sum.Planned.Total), sum.MaxAbs, r.Config.Method.Grid.Limit())
	fmt.Fprintf(w, "Run: %s\n", r.Dir)
}

// summaryJSON is a summary for machines; unmeasured numbers are null.
func summaryJSON(r *train.Run, sum train.Summary) map[string]any {
	number := func(v float64) any {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		return v
	}
	return map[string]any{
		"run": r.Dir, "steps": sum.Steps, "interrupted": sum.Interrupted, "stopped_early": sum.Stopped,
		"first_val_loss": number(sum.FirstVal), "val_loss": number(sum.LastVal), "best_val_loss": number(sum.BestVal),
		"best_step": sum.BestStep, "train_eval_loss": number(sum.LastTrain), "seconds": sum.Seconds, "max_abs": sum.MaxAbs,
		"planned_bytes": sum.Planned.Total, "peak_bytes": sum.Peak.Total,
	}
}
