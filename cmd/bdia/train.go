package main

import (
	"context"
	"errors"

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
--resume goes on, with the bits of the run that was not interrupted.

Settings come from the defaults, then --config, then --preset, --optimizer and
--dropout, then the other flags. Sizes are tokens, samples or steps; the
vocabulary is the tokenizer's.`,
		Example: `  bdia train --data input.txt --layers 4 --heads 4 --width 128 --context 64
  bdia train --data corpus/ --extensions .md,.txt --tokenizer bpe --preset nano --dropout 0.1
  bdia train --data input.txt --memory store --gamma 0 --grid none   # the ordinary transformer
  bdia train --config run.yaml --seed 2
  bdia train --resume runs/gpt-20260301-101500 --steps 5000`,
		Args: arguments(0, 0, ""),
	}
	group(c, "Text", s.dataFlags)
	group(c, "Model", s.modelFlags)
	group(c, "Method (three independent choices)", s.methodFlags)
	group(c, "Optimiser and schedule", s.optimizerFlags)
	group(c, "Batch", s.updateFlags)
	group(c, "Evaluation, samples, records", s.loopFlags)
	group(c, "Run", func(f *pflag.FlagSet) {
		f.StringVar(&out, "out", "", "run `folder` (default runs/gpt-DATE-TIME)")
		f.StringVar(&resume, "resume", "", "run `folder` to continue")
		s.configFlag(f)
		s.seedFlag(f)
		engineFlags(f, &s.cfg.Engine)
		f.BoolVar(&asJSON, "json", false, "print the summary as JSON")
	})
	completions(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		w, p := cmd.OutOrStdout(), newProgress(cmd.ErrOrStderr())
		report := func(r *train.Run, sum train.Summary) error {
			if asJSON {
				return printJSON(w, summaryJSON(r, sum))
			}
			printSummary(w, r, sum)
			return nil
		}
		if resume == "" {
			return trainNew(cmd, s, p, out, report)
		}
		if out != "" {
			return usage(errors.New("--resume goes on in the run's own folder; leave out --out"))
		}
		r, err := reopenRun(cmd, s, resume)
		if err != nil {
			return err
		}
		defer r.Close()
		return trainRun(cmd.Context(), r, p, report)
	}
	return c
}

// trainNew starts the run that the flags describe.
func trainNew(cmd *cobra.Command, s *settings, p *progress, out string, report func(*train.Run, train.Summary) error) (err error) {
	cfg, err := s.resolve(cmd.Flags(), train.DefaultConfig())
	if err != nil {
		return err
	}
	if cfg.Data.Path == "" {
		return usage(errors.New("no text to train on; name a file or folder with --data"))
	}
	return inNewDir(out, "gpt", p, func(dir string) error {
		r, err := train.Create(cmd.Context(), dir, cfg, p.Preparing)
		if err != nil {
			return err
		}
		defer r.Close()
		return trainRun(cmd.Context(), r, p, report)
	})
}

// trainRun trains r to its end, or until ctx is done, and reports.
func trainRun(ctx context.Context, r *train.Run, p *progress, report func(*train.Run, train.Summary) error) error {
	printRun(p.w, r)
	sum, err := r.Train(ctx, p)
	p.clear()
	if err != nil {
		return err
	}
	return report(r, sum)
}
