package main

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/train"
)

// settings binds flags to the fields of a configuration. Values come from, in
// rising order: defaults, the file of --config, --preset and --optimizer, the
// other flags.
type settings struct {
	cfg     train.Config
	file    string
	preset  string
	dropout float64
}

// newSettings starts from the defaults.
func newSettings() *settings { return &settings{cfg: train.DefaultConfig(), preset: "nano"} }

func (s *settings) dataFlags(f *pflag.FlagSet) {
	d := &s.cfg.Data
	f.StringVar(&d.Path, "data", d.Path, "a `file` or folder, or \"go\" for the Go source of this machine")
	f.StringVar(&d.Extensions, "extensions", d.Extensions, "`endings` to take of a folder, as in .go,.md")
	f.Int64Var(&d.MaxBytes, "max-bytes", d.MaxBytes, "use so many bytes of the text; 0 for all")
	f.Float64Var(&d.ValFraction, "val-fraction", d.ValFraction, "`share` of the text, at its end, for validation")
	f.StringVar(&d.Tokenizer, "tokenizer", d.Tokenizer, "char, bpe, or a `folder` with tokenizer files")
	f.IntVar(&d.BPEVocab, "bpe-vocab", d.BPEVocab, "vocabulary of --tokenizer bpe")
}

func (s *settings) modelFlags(f *pflag.FlagSet) {
	m := &s.cfg.Model
	f.StringVar(&s.preset, "preset", s.preset, "model `size`: "+strings.Join(model.GPTPresets(), ", "))
	f.IntVar(&m.Layers, "layers", m.Layers, "blocks")
	f.IntVar(&m.Heads, "heads", m.Heads, "attention heads")
	f.IntVar(&m.Width, "width", m.Width, "channels of the residual stream")
	f.IntVar(&m.Context, "context", m.Context, "tokens that the model sees at once")
	f.IntVar(&m.MLP, "mlp", m.MLP, "hidden width of the MLP; 0 for four times the width")
	f.TextVar(&m.GELU, "gelu", m.GELU, "`form` of the GELU: tanh (GPT-2) or erf")
	f.BoolVar(&m.Untied, "untied", m.Untied, "give the logits a weight of their own")
	f.BoolVar(&m.NoBias, "no-bias", m.NoBias, "leave out biases")
	f.Float64Var(&s.dropout, "dropout", 0, "`share` dropped in all three of the following places")
	f.Float64Var(&m.EmbeddingDropout, "embedding-dropout", m.EmbeddingDropout, "`share` dropped of the embedding")
	f.Float64Var(&m.AttentionDropout, "attention-dropout", m.AttentionDropout, "`share` dropped of the attention weights")
	f.Float64Var(&m.ResidualDropout, "residual-dropout", m.ResidualDropout, "`share` dropped of the residual branches")
}

func (s *settings) vocabFlag(f *pflag.FlagSet) {
	f.IntVar(&s.cfg.Model.Vocab, "vocab", s.cfg.Model.Vocab, "token ids; a preset brings its own")
}

func (s *settings) methodFlags(f *pflag.FlagSet) {
	m := &s.cfg.Method
	f.TextVar(&m.Memory, "memory", m.Memory, "`mode` of memory: reversible, store or recompute")
	f.TextVar(&m.Gamma, "gamma", m.Gamma, "`magnitude` of the random coefficient; 0: ordinary transformer")
	f.TextVar(&m.Grid, "grid", m.Grid, "fractional `bits` of the activations, or none")
}

func (s *settings) optimizerFlag(f *pflag.FlagSet) {
	o := &s.cfg.Optimizer
	f.StringVar(&o.Name, "optimizer", o.Name, "`name` of the optimiser: "+strings.Join(optim.Names(), ", "))
}

func (s *settings) optimizerFlags(f *pflag.FlagSet) {
	o, l := &s.cfg.Optimizer, &s.cfg.Schedule
	f.IntVar(&l.Steps, "steps", l.Steps, "optimiser steps of the whole run")
	s.optimizerFlag(f)
	f.Float64Var(&l.LR, "lr", l.LR, "peak learning `rate`")
	f.StringVar(&l.Kind, "schedule", l.Kind, "`shape` after the warm-up: cosine, linear or constant")
	f.IntVar(&l.Warmup, "warmup", l.Warmup, "steps of linear warm-up")
	f.Float64Var(&l.Final, "final-lr", l.Final, "`share` of the learning rate left at the last step")
	f.Float64Var(&o.Decay, "weight-decay", o.Decay, "decoupled weight `decay`, of matrices only")
	f.Float64Var(&o.Beta1, "beta1", o.Beta1, "`decay` of the first moment")
	f.Float64Var(&o.Beta2, "beta2", o.Beta2, "`decay` of the second moment")
	f.Float64Var(&o.Eps, "eps", o.Eps, "`epsilon` of the optimiser")
	f.Float64Var(&o.Momentum, "momentum", o.Momentum, "momentum of sgd")
}

func (s *settings) batchFlags(f *pflag.FlagSet) {
	f.IntVar(&s.cfg.Loop.Batch, "batch", s.cfg.Loop.Batch, "samples of a step")
}

func (s *settings) updateFlags(f *pflag.FlagSet) {
	l := &s.cfg.Loop
	s.batchFlags(f)
	f.IntVar(&l.MicroBatch, "micro-batch", l.MicroBatch, "samples at a time (gradient accumulation); 0 for all")
	f.StringVar((*string)(&l.Update), "update", string(l.Update), "`when` gradients are applied: now (in the reverse walk), end, or auto")
	f.Float64Var(&l.Clip, "clip", l.Clip, "largest global gradient `norm`; 0 for no clipping")
}

func (s *settings) seedFlag(f *pflag.FlagSet) {
	f.Uint64Var(&s.cfg.Loop.Seed, "seed", s.cfg.Loop.Seed, "seed of weights, data order, gamma and dropout")
}

func (s *settings) loopFlags(f *pflag.FlagSet) {
	l := &s.cfg.Loop
	f.IntVar(&l.EvalEvery, "eval-every", l.EvalEvery, "steps between evaluations; 0 for the end only")
	f.IntVar(&l.EvalSamples, "eval-samples", l.EvalSamples, "windows of text in an evaluation; 0 for all")
	f.BoolVar(&l.EvalTrain, "eval-train", l.EvalTrain, "evaluate on training text too")
	f.IntVar(&l.Patience, "patience", l.Patience, "stop after so many evaluations without a better one; 0 for never")
	f.IntVar(&l.SampleEvery, "sample-every", l.SampleEvery, "steps between samples of text; 0 for never")
	f.IntVar(&l.SampleTokens, "sample-tokens", l.SampleTokens, "length of a sample")
	f.IntVar(&l.SaveEvery, "save-every", l.SaveEvery, "steps between checkpoints; 0 for at evaluations")
	f.IntVar(&l.LogEvery, "log-every", l.LogEvery, "steps between records of the training loss")
	f.BoolVar(&l.TensorBoard, "tensorboard", l.TensorBoard, "write TensorBoard event files")
}

func (s *settings) configFlag(f *pflag.FlagSet) {
	f.StringVar(&s.file, "config", "", "YAML `file` of settings, as a run's bdia.yaml; flags override it")
}

// engineFlags are the flags that change speed, never bits.
func engineFlags(f *pflag.FlagSet, e *train.EngineConfig) {
	f.IntVar(&e.Threads, "threads", e.Threads, "threads; 0 for all processors")
	f.StringVar(&e.ISA, "isa", e.ISA, "`instructions` to use: portable, avx2 or avx512; empty for the best")
}

// checkEngine reports an engine that this machine does not have.
func checkEngine(e train.EngineConfig) error {
	if err := e.Validate(); err != nil {
		return usage(err)
	}
	if e.ISA != "" {
		if _, err := cpufeat.Parse(e.ISA); err != nil {
			return usage(fmt.Errorf("--isa: %w", err))
		}
	}
	return nil
}

// completions offers values where they are a short list.
func completions(c *cobra.Command) {
	for name, values := range map[string][]string{
		"preset": model.GPTPresets(), "memory": {"reversible", "store", "recompute"}, "gamma": {"0.5", "0.25", "0"},
		"grid": {"9", "none"}, "optimizer": optim.Names(), "schedule": {"cosine", "linear", "constant"}, "gelu": {"tanh", "erf"},
		"update": {"auto", "now", "end"}, "isa": {"portable", "avx2", "avx512"}, "split": {"val", "train"}, "fault": faultNames(),
	} {
		if c.Flags().Lookup(name) != nil {
			_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
		}
	}
}

// resolve puts the configuration together after parsing: base, then --config,
// then --preset and --optimizer, then the flags that were given.
func (s *settings) resolve(f *pflag.FlagSet, base train.Config) (train.Config, error) {
	given := map[string]string{}
	f.Visit(func(flag *pflag.Flag) { given[flag.Name] = flag.Value.String() })
	s.cfg = base
	if s.file != "" {
		if err := train.ReadConfig(s.file, &s.cfg); errors.Is(err, fs.ErrNotExist) {
			return s.cfg, err
		} else if err != nil {
			return s.cfg, usage(err)
		}
	}
	if err := s.expand(given); err != nil {
		return s.cfg, usage(err)
	}
	for name, value := range given {
		if err := f.Lookup(name).Value.Set(value); err != nil {
			return s.cfg, usage(fmt.Errorf("--%s %s: %w", name, value, err))
		}
	}
	if err := s.cfg.Validate(); err != nil {
		return s.cfg, usage(err)
	}
	return s.cfg, checkEngine(s.cfg.Engine)
}

// expand sets the fields that --preset, --optimizer and --dropout stand for.
func (s *settings) expand(given map[string]string) (err error) {
	if name, ok := given["preset"]; ok {
		if s.cfg.Model, err = model.GPTPreset(name); err != nil {
			return err
		}
	}
	if name, ok := given["optimizer"]; ok && name != s.cfg.Optimizer.Name {
		if s.cfg.Optimizer, err = optim.Default(name); err != nil {
			return err
		}
	}
	if _, ok := given["dropout"]; ok {
		m := &s.cfg.Model
		m.EmbeddingDropout, m.AttentionDropout, m.ResidualDropout = s.dropout, s.dropout, s.dropout
	}
	return nil
}

// unchanged refuses changes, by flags or a file, of what a run's weights, tokens
// and optimiser state depend on.
func unchanged(from, to train.Config) error {
	for _, c := range []*train.Config{&from, &to} {
		c.Model.EmbeddingDropout, c.Model.AttentionDropout, c.Model.ResidualDropout = 0, 0, 0
	}
	for _, section := range []struct {
		name     string
		from, to any
	}{{"data", from.Data, to.Data}, {"model", from.Model, to.Model}} {
		a, b := reflect.ValueOf(section.from), reflect.ValueOf(section.to)
		for i := range a.NumField() {
			if !a.Field(i).Equal(b.Field(i)) {
				return usage(fmt.Errorf("%s: %s is %v in this run and cannot become %v; leave it out, or start a new run",
					section.name, a.Type().Field(i).Tag.Get("yaml"), a.Field(i), b.Field(i)))
			}
		}
	}
	if from.Optimizer.Name != to.Optimizer.Name {
		return usage(fmt.Errorf("the optimiser is %s in this run and cannot become %s; start a new run", from.Optimizer.Name, to.Optimizer.Name))
	}
	return nil
}
