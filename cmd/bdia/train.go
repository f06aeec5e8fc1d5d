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
	trainimages "github.com/bdia-go/bdia/train/images"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

func newTrain() *cobra.Command {
	s := newSettings()
	var o runOptions
	c := &cobra.Command{
		Use:   "train",
		Short: "Train a language model on text, a classifier on images, or a translator",
		Long: `Train a GPT-2-like language model on text, with --task image a vision
transformer on labelled images, or with --task translation an encoder-decoder on
sentences and their translations. The defaults are the paper's method: reversible
memory, gamma 0.5, activations on a grid of 2^-9.

Images are CIFAR-10 or CIFAR-100 in their original files, or PNG, JPEG and WebP
files in a folder for each class, as folders or archives.

Translations are two files of which line n of one is the translation of line n of
the other (--source, --target), or a .tsv or .csv table (--data). A batch has as
many pairs of similar lengths as --batch-tokens allow. What is held out is chosen
by source sentence, so that no other translation of one is trained on. Speed and
loss are those of target tokens, padding apart.

The run directory is a model folder as Hugging Face and timm have it:
config.json, model.safetensors and tokenizer files, with bdia.yaml,
metrics.jsonl, loss.png and the training state beside them, and the best weights
so far in best/: by validation accuracy for images, else by loss. Ctrl-C
saves and leaves; bdia train resume RUN goes on, with the bits of the run that was not
interrupted.

Settings come from the task's defaults, then --config, then --preset, --from,
--optimizer and --dropout, then the other flags. Sizes are tokens, samples or
steps; the vocabulary is the tokenizer's, classes are those of the images.`,
		Example: `  bdia train --data input.txt --layers 4 --heads 4 --width 128 --context 64
  bdia train --data corpus/ --extensions .md,.txt --tokenizer bpe --preset nano --dropout 0.1
  bdia train --data input.txt --memory store --gamma 0 --grid none   # the ordinary transformer
  bdia train --task image --data cifar-10-binary.tar.gz --crop 4 --flip
  bdia train --task image --data train.tar --test test.tar --subset 10000 --epochs 30 --ema 0.999
  bdia train --task image --data photos/ --from vit_small_patch16_224/ --image 160 --lr 1e-4
  bdia train --task translation --source train.en.gz --target train.fr.gz --val-source val.en.gz --val-target val.fr.gz
  bdia train --task translation --data eng_-french.csv --batch-tokens 8192 --steps 20000
  bdia train --config run.yaml --seed 2
  bdia train resume runs/gpt-20260301-101500 --steps 5000`,
		Args: cli.Arguments(0, 0, ""),
	}
	cli.Group(c, "Task and data", s.dataFlags)
	cli.Group(c, "Text", s.textFlags)
	cli.Group(c, "Images", s.imageFlags)
	cli.Group(c, "Translations", s.pairFlags)
	cli.Group(c, "Augmentation of images", s.augmentFlags)
	cli.Group(c, "Model", s.modelFlags)
	cli.Group(c, "Method (three independent choices)", s.methodFlags)
	cli.Group(c, "Optimiser and schedule", s.optimizerFlags)
	cli.Group(c, "Batch", s.updateFlags)
	cli.Group(c, "Evaluation, samples, records", s.loopFlags)
	cli.Group(c, "Run", func(f *pflag.FlagSet) { o.flags(f, s, "runs/gpt-DATE-TIME, runs/vit-... or runs/seq2seq-...") })
	completions(c)
	c.AddCommand(newResume())
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		p, report := cli.NewProgress(cmd.ErrOrStderr()), o.report(cmd.OutOrStdout())
		if o.resume == "" {
			return trainNew(cmd, s, p, o.out, report)
		}
		return resumeRun(cmd, s, p, o, report)
	}
	return c
}

// runPrefix begins the names of runs of a task.
var runPrefix = map[string]string{text.Name: "gpt", trainimages.Name: "vit", trainpairs.Name: "seq2seq", tune.Name: "tuned"}

// trainNew starts the run that the flags describe.
func trainNew(cmd *cobra.Command, s *settings, p *cli.Progress, out string, report func(*oneRun, train.Summary) error) (err error) {
	cfg, err := s.resolve(cmd.Flags(), defaults)
	if err != nil {
		return err
	}
	if cfg.Data.Path == "" && cfg.Images.Path == "" && cfg.Pairs.Source == "" {
		if cfg.Task == trainpairs.Name {
			return cli.Usage(errors.New("no translations to train on; name parallel files with --source and --target, or a table with --data"))
		}
		return cli.Usage(fmt.Errorf("no %s to train on; name a file or folder with --data", cfg.Task))
	}
	return newRun(cmd, cfg, p, out, report)
}

// newRun makes a run of cfg and trains it.
func newRun(cmd *cobra.Command, cfg config, p *cli.Progress, out string, report func(*oneRun, train.Summary) error) error {
	prefix := runPrefix[cfg.Task]
	if cfg.Tune.From != "" {
		prefix = runPrefix[tune.Name]
	}
	return inNewDir(out, prefix, p, func(dir string) error {
		r, err := createRun(cmd.Context(), dir, cfg, p.Preparing)
		if err != nil {
			return err
		}
		defer r.Close()
		return trainRun(cmd.Context(), r, p, report)
	})
}

// runOptions say which run a command trains, and what it prints in the end.
type runOptions struct {
	out, resume string
	asJSON      bool
}

// flags adds those of o, and others of the settings that every run has. A new run's
// folder is one like names.
func (o *runOptions) flags(f *pflag.FlagSet, s *settings, names string) {
	f.StringVar(&o.out, "out", "", "run `folder` (default "+names+")")
	f.StringVar(&o.resume, "resume", "", "run `folder` to continue")
	o.common(f, s)
}

// common adds the flags of a run that begins or goes on.
func (o *runOptions) common(f *pflag.FlagSet, s *settings) {
	s.configFlag(f)
	s.seedFlag(f)
	engineFlags(f, &s.cfg.Engine)
	f.BoolVar(&o.asJSON, "json", false, "print the summary as JSON")
}

// report returns what tells on w how a run ended.
func (o *runOptions) report(w io.Writer) func(*oneRun, train.Summary) error {
	return func(r *oneRun, sum train.Summary) error {
		if o.asJSON {
			return cli.PrintJSON(w, summaryJSON(r, sum))
		}
		printSummary(w, r, sum)
		return nil
	}
}

// resumeRun goes on with the run that o names.
func resumeRun(cmd *cobra.Command, s *settings, p *cli.Progress, o runOptions, report func(*oneRun, train.Summary) error) error {
	if o.out != "" {
		return cli.Usage(errors.New("--resume goes on in the run's own folder; leave out --out"))
	}
	r, err := reopenRun(cmd, s, o.resume)
	if err != nil {
		return err
	}
	defer r.Close()
	return trainRun(cmd.Context(), r, p, report)
}

// trainRun trains r to its end, or until ctx is done, and reports.
func trainRun(ctx context.Context, r *oneRun, p *cli.Progress, report func(*oneRun, train.Summary) error) error {
	p.Unit, _ = r.Config.Unit()
	if r.Images != nil { // a run that goes on has not opened them
		if err := r.Images.Open(ctx, p.Preparing); err != nil {
			return err
		}
	}
	printRun(p.W, r)
	r.Figure = plot.Run
	sum, err := r.Train(ctx, p)
	p.Clear()
	if errors.Is(err, tune.ErrGrid) {
		return cli.Usage(err)
	}
	if err != nil {
		return err
	}
	return report(r, sum)
}
