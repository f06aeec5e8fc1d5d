package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

func newFinetune() *cobra.Command {
	s := newSettings()
	s.cfg = defaults(tune.Name)
	var o runOptions
	c := &cobra.Command{
		Use:   "finetune",
		Short: "Go on training a GPT-2 on text, or on prompts and their completions",
		Long: `Go on training a language model: a Hugging Face GPT-2 folder, a run, or its best/
folder. All weights learn in the reversible mode, each block updated in the reverse
walk, unless told otherwise.

--data is text (a file or folder), or prompts and their completions: a .csv or .tsv
table, a .jsonl file of {"prompt": .., "completion": ..} or of conversations
{"messages": [{"role": .., "content": ..}, ..]}, or two files of lines (--prompts,
--completions). Of pairs only completions are learned, and that they end; a batch
has as many of similar lengths as --batch-tokens allow. Validation pairs are held
out by prompt. A conversation gives a pair for each turn of the assistant.

A model that was trained elsewhere has no grid. With --grid auto its states are
measured on some batches first, and the finest grid is taken that holds four times
their size: what the grid does to the loss is told before training begins.

--lora-rank trains low-rank adapters beside frozen weights; the run then holds
PEFT's adapter files instead of weights. --freeze keeps the first blocks as they
are: the reverse walk ends above them.`,
		Example: `  bdia finetune --from gpt2 --data e2e/trainset.csv --val e2e/devset.csv --out runs/e2e
  bdia finetune --from gpt2 --data chats.jsonl --lora-rank 8 --lr 2e-4
  bdia finetune --from gpt2-medium --data book.txt --batch 4 --window 512 --state-bits 8 --steps 500
  bdia finetune --from runs/small/best --data pairs.tsv --freeze 2 --epochs 5 --patience 3
  bdia generate runs/e2e --input prompts.txt --beam 10 --length-penalty 0.8
  bdia finetune --resume runs/e2e`,
		Args: cli.Arguments(0, 0, ""),
	}
	cli.Group(c, "Model and data", s.tuneFlags)
	cli.Group(c, "What learns", s.adaptFlags)
	cli.Group(c, "Method", s.methodFlags)
	cli.Group(c, "Optimiser and schedule", s.optimizerFlags)
	cli.Group(c, "Batch", func(f *pflag.FlagSet) {
		s.updateFlags(f)
		s.of(f, []string{tune.Name}, func(f *pflag.FlagSet) {
			f.IntVar(&s.cfg.Pairs.BatchTokens, "batch-tokens", s.cfg.Pairs.BatchTokens, "pairs: tokens of a batch, padding included")
		})
	})
	cli.Group(c, "Evaluation, samples, records", s.loopFlags)
	cli.Group(c, "Run", func(f *pflag.FlagSet) { o.flags(f, s, "runs/tuned-DATE-TIME") })
	s.autoGrid(c.Flags())
	cli.Choices(c, map[string][]string{"format": {textKind, "csv", "tsv", "jsonl"}})
	cli.Complete(c, "grid", autoGrid, "9", "none")
	cli.Complete(c, "lora-targets", "qkv", "qkv,proj", "all")
	completions(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		p, report := cli.NewProgress(cmd.ErrOrStderr()), o.report(cmd.OutOrStdout())
		if o.resume != "" {
			return resumeRun(cmd, s, p, o, report)
		}
		cfg, err := s.tuned(cmd.Flags())
		if err != nil {
			return err
		}
		return newRun(cmd, cfg, p, o.out, report)
	}
	return c
}

// tuneFlags say what is learned by which model.
func (s *settings) tuneFlags(f *pflag.FlagSet) {
	c, t := &s.cfg.Pairs, &s.cfg.Tune
	f.StringVar(&t.From, "from", "", "`folder` of the model: Hugging Face's GPT-2, a run, or its best/")
	shared(f, "data", "`file` or folder of text, or a .csv, .tsv or .jsonl file of pairs", textFlag, &s.cfg.Data.Path, &c.Source)
	s.of(f, []string{tune.Name}, func(f *pflag.FlagSet) {
		f.StringVar(&c.Source, "prompts", "", "`file` of prompts, one a line, perhaps .gz")
		f.StringVar(&c.Target, "completions", "", "`file` of their completions")
		f.StringVar((*string)(&c.Format), "format", "", "`kind` of --data: text, csv, tsv or jsonl; without it, by name")
		f.StringVar(&c.SourceColumn, "prompt-column", "", "`column` of a table, by name or number (default 1), or key of JSON (default prompt)")
		f.StringVar(&c.TargetColumn, "completion-column", "", "`column` (default 2) or key (default completion)")
		f.BoolVar(&c.Header, "header", false, "the first line of a .tsv names its columns; that of a .csv always does")
		f.StringVar(&c.ValSource, "val", "", "`file` of pairs for validation; without it, a share of the prompts")
		f.StringVar(&c.ValTarget, "val-completions", "", "`file` of completions, where --val has prompts alone")
		f.Float64Var(&c.Epochs, "epochs", c.Epochs, "pairs: length of the run in passes; --steps overrides it")
		f.StringVar((*string)(&t.Separator), "separator", "\n", "pairs: `text` between prompt and completion, here and when the run completes prompts")
		f.BoolVar(&t.LossOnPrompt, "loss-on-prompt", false, "pairs: learn prompts too")
		f.StringVar((*string)(&c.OnBad), "on-bad", "skip", "`what` to do about pairs without text: skip or fatal")
		f.StringVar((*string)(&c.OnLong), "on-long", "skip", "`what` to do about pairs longer than the window: skip, truncate or fatal")
		f.BoolVar(&c.KeepDuplicates, "keep-duplicates", false, "keep pairs that came before")
	})
	shared(f, "val-fraction", "`share` held out for validation: prompts (default 0.02), or the end of a text (default 0.1)", numberFlag, &s.cfg.Data.ValFraction, &c.Split.Val)
	f.IntVar(&t.Window, "window", 0, "most `tokens` of a sample; 0 for the model's context")
	f.Float64Var(&s.dropout, "dropout", 0, "`share` dropped of embedding, attention weights and residual branches")
}

// adaptFlags say what of the model learns.
func (s *settings) adaptFlags(f *pflag.FlagSet) {
	t := &s.cfg.Tune
	f.IntVar(&t.LoRA.Rank, "lora-rank", 0, "train adapters of this `rank`; 0 for all weights")
	f.Float64Var(&t.LoRA.Alpha, "lora-alpha", t.LoRA.Alpha, "adapters count `alpha`/rank times")
	f.Float64Var(&t.LoRA.Dropout, "lora-dropout", 0, "`share` dropped of adapters' inputs")
	f.Var(listFlag{&t.LoRA.Targets}, "lora-targets", "`layers` with adapters: of qkv, proj, fc1 and fc2, with commas between, or all")
	f.IntVar(&t.Freeze, "freeze", 0, "first `blocks` that do not learn")
}

// listFlag is a flag with a list of names as its value, which the help shows as a text.
type listFlag struct{ *model.Targets }

// Type names the value in the help.
func (listFlag) Type() string { return "string" }

// autoGrid lets --grid be auto, which it is unless something else is given.
func (s *settings) autoGrid(f *pflag.FlagSet) {
	flag := f.Lookup("grid")
	flag.Value, flag.DefValue = &gridValue{&s.cfg.Method.Grid, &s.cfg.Tune.AutoGrid}, autoGrid
	flag.Usage = "fractional `bits` of the activations, none, or auto: the finest, up to 9, that holds them"
}

const autoGrid = "auto"

// gridValue is a flag of a grid, or auto.
type gridValue struct {
	grid *bdia.Grid
	auto *bool
}

func (v *gridValue) Type() string { return "bits" }

func (v *gridValue) String() string {
	if v.auto != nil && *v.auto { // pflag asks a zero value too
		return autoGrid
	}
	return v.grid.String()
}

func (v *gridValue) Set(text string) error {
	if *v.auto = text == autoGrid; *v.auto {
		*v.grid = bdia.DefaultGrid
		return nil
	}
	return v.grid.UnmarshalText([]byte(text))
}

// textKind is --format of text.
const textKind = "text"

// tuned resolves the configuration of a new run: a text's, or that of pairs.
func (s *settings) tuned(f *pflag.FlagSet) (config, error) {
	value := func(name string) string { return f.Lookup(name).Value.String() }
	data, kind := value("data"), value("format")
	switch {
	case s.file == "" && value("from") == "":
		return s.cfg, cli.Usage(errors.New("no model to start from; name its folder with --from"))
	case s.file == "" && data == "" && value("prompts") == "":
		return s.cfg, cli.Usage(errors.New("nothing to learn; name a text or pairs with --data, or --prompts and --completions"))
	case f.Changed("data") && (f.Changed("prompts") || f.Changed("completions")):
		return s.cfg, cli.Usage(errors.New("--data is all that is learned, and --prompts and --completions are two halves of it; give --data, or those two"))
	case kind != "" && kind != textKind && !slices.Contains(pairs.Formats(), pairs.Format(kind)):
		return s.cfg, cli.Usage(fmt.Errorf("--format %s; use text, csv, tsv or jsonl", kind))
	}
	if rank := f.Lookup("lora-rank"); s.file == "" && rank.Value.String() == rank.DefValue {
		for _, name := range []string{"lora-alpha", "lora-dropout", "lora-targets"} {
			if f.Changed(name) {
				return s.cfg, cli.Usage(fmt.Errorf("--%s is for adapters, and there are none; ask for them with --lora-rank", name))
			}
		}
	}
	s.task = tune.Name
	if kind == textKind || kind == "" && data != "" && !f.Changed("prompts") && !isPairs(data) {
		s.task = text.Name
	}
	if s.task == text.Name {
		delete(s.only, "format") // which is text
		for _, name := range slices.Sorted(maps.Keys(s.only)) {
			if f.Changed(name) {
				return s.cfg, cli.Usage(fmt.Errorf("--%s is for pairs, and %s is text; if it has pairs, say so with --format", name, data))
			}
		}
	}
	return s.resolve(f, func(task string) config {
		c := defaults(tune.Name)
		if task == text.Name {
			text := defaults(text.Name)
			c.Task, c.Data, c.Pairs, c.Loop = task, text.Data, trainpairs.DataConfig{}, text.Loop
			c.Tune.Separator = ""
		}
		return c
	})
}

// isPairs reports whether a file is one of pairs by its name.
func isPairs(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".gz")
	return slices.ContainsFunc([]pairs.Format{pairs.CSV, pairs.TSV, pairs.JSONL}, func(f pairs.Format) bool { return strings.HasSuffix(name, "."+string(f)) })
}

// calibrationJSON is m for machines; null without one.
func calibrationJSON(m *train.Calibration) any {
	if m == nil {
		return nil
	}
	return map[string]any{"grid": m.Grid.String(), "max_abs": m.MaxAbs, "limit": m.Limit, "losses": m.Losses,
		"grid_loss": cli.Number(m.GridLoss), "float_loss": cli.Number(m.FloatLoss)}
}
