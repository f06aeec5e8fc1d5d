package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
	f.StringVar(&d.Path, "data", d.Path, `text: a file, a folder, or "go" for the Go source of this machine`)
	f.StringVar(&d.Extensions, "extensions", d.Extensions, "endings to take of a folder, as in .go,.md")
	f.StringVar(&d.Tokenizer, "tokenizer", d.Tokenizer, "char, bpe, or a folder with tokenizer files")
	f.IntVar(&d.BPEVocab, "bpe-vocab", d.BPEVocab, "vocabulary of --tokenizer bpe")
	f.Int64Var(&d.MaxBytes, "max-bytes", d.MaxBytes, "use so many bytes of the text; 0 for all")
	f.Float64Var(&d.ValFraction, "val-fraction", d.ValFraction, "share of the text, at its end, for validation")
}

func (s *settings) modelFlags(f *pflag.FlagSet) {
	m := &s.cfg.Model
	f.StringVar(&s.preset, "preset", s.preset, "model size: "+strings.Join(model.GPTPresets(), ", "))
	f.IntVar(&m.Layers, "layers", m.Layers, "blocks")
	f.IntVar(&m.Heads, "heads", m.Heads, "attention heads")
	f.IntVar(&m.Width, "width", m.Width, "channels of the residual stream")
	f.IntVar(&m.MLP, "mlp", m.MLP, "hidden width of the MLP; 0 for four times the width")
	f.IntVar(&m.Context, "context", m.Context, "tokens that the model sees at once")
	f.BoolVar(&m.Untied, "untied", m.Untied, "give the logits a weight of their own")
	f.BoolVar(&m.NoBias, "no-bias", m.NoBias, "leave out biases")
	f.TextVar(&m.GELU, "gelu", m.GELU, "tanh (GPT-2) or erf")
	f.Float64Var(&s.dropout, "dropout", 0, "dropout of embedding, attention weights and residual branches")
	f.Float64Var(&m.EmbeddingDropout, "embedding-dropout", m.EmbeddingDropout, "dropout after the embedding")
	f.Float64Var(&m.AttentionDropout, "attention-dropout", m.AttentionDropout, "dropout of the attention weights")
	f.Float64Var(&m.ResidualDropout, "residual-dropout", m.ResidualDropout, "dropout of the residual branches")
}

func (s *settings) methodFlags(f *pflag.FlagSet) {
	m := &s.cfg.Method
	f.TextVar(&m.Memory, "memory", m.Memory, "what is kept for the backward pass: reversible, store or recompute")
	f.TextVar(&m.Gamma, "gamma", m.Gamma, "magnitude of the random coefficient; 0 is the ordinary transformer")
	f.TextVar(&m.Grid, "grid", m.Grid, "fractional bits of the activations, or none")
}

func (s *settings) optimizerFlags(f *pflag.FlagSet) {
	o, l := &s.cfg.Optimizer, &s.cfg.Schedule
	f.StringVar(&o.Name, "optimizer", o.Name, strings.Join(optim.Names(), ", "))
	f.Float64Var(&o.Beta1, "beta1", o.Beta1, "decay of the first moment")
	f.Float64Var(&o.Beta2, "beta2", o.Beta2, "decay of the second moment")
	f.Float64Var(&o.Eps, "eps", o.Eps, "epsilon of the optimiser")
	f.Float64Var(&o.Decay, "weight-decay", o.Decay, "decoupled weight decay, of matrices only")
	f.Float64Var(&o.Momentum, "momentum", o.Momentum, "momentum of sgd")
	f.Float64Var(&l.LR, "lr", l.LR, "peak learning rate")
	f.Float64Var(&l.Final, "final-lr", l.Final, "share of the learning rate left at the last step")
	f.IntVar(&l.Warmup, "warmup", l.Warmup, "steps of linear warm-up")
	f.StringVar(&l.Kind, "schedule", l.Kind, "cosine, linear or constant")
	f.IntVar(&l.Steps, "steps", l.Steps, "optimiser steps")
}

func (s *settings) batchFlags(f *pflag.FlagSet) {
	l := &s.cfg.Loop
	f.IntVar(&l.Batch, "batch", l.Batch, "samples of a step")
	f.IntVar(&l.MicroBatch, "micro-batch", l.MicroBatch, "samples at a time (gradient accumulation); 0 for all")
	f.StringVar((*string)(&l.Update), "update", string(l.Update), "apply gradients in the reverse walk (now), at the end of the step (end), or auto")
	f.Float64Var(&l.Clip, "clip", l.Clip, "largest global gradient norm; 0 for no clipping")
	f.Uint64Var(&l.Seed, "seed", l.Seed, "seed of weights, data order, gamma and dropout")
}

func (s *settings) loopFlags(f *pflag.FlagSet) {
	l := &s.cfg.Loop
	f.IntVar(&l.EvalEvery, "eval-every", l.EvalEvery, "steps between evaluations; 0 for the end only")
	f.IntVar(&l.EvalSamples, "eval-samples", l.EvalSamples, "windows of an evaluation; 0 for all")
	f.BoolVar(&l.EvalTrain, "eval-train", l.EvalTrain, "evaluate on training text too")
	f.IntVar(&l.Patience, "patience", l.Patience, "stop after so many evaluations without a better one; 0 for never")
	f.IntVar(&l.SampleEvery, "sample-every", l.SampleEvery, "steps between samples of text; 0 for never")
	f.IntVar(&l.SampleTokens, "sample-tokens", l.SampleTokens, "length of a sample")
	f.IntVar(&l.SaveEvery, "save-every", l.SaveEvery, "steps between checkpoints; 0 for at evaluations")
	f.IntVar(&l.LogEvery, "log-every", l.LogEvery, "steps between records of the training loss")
	f.BoolVar(&l.TensorBoard, "tensorboard", l.TensorBoard, "write TensorBoard event files")
}

func (s *settings) engineFlags(f *pflag.FlagSet) {
	f.IntVar(&s.cfg.Engine.Threads, "threads", s.cfg.Engine.Threads, "threads; 0 for all processors")
	f.StringVar(&s.cfg.Engine.ISA, "isa", s.cfg.Engine.ISA, "portable, avx2 or avx512; empty for the best")
}

func (s *settings) configFlag(f *pflag.FlagSet) {
	f.StringVar(&s.file, "config", "", "YAML file of settings; flags override it")
}

// completions offers values where they are a short list.
func completions(c *cobra.Command) {
	for name, values := range map[string][]string{
		"preset": model.GPTPresets(), "memory": {"reversible", "store", "recompute"}, "gamma": {"0.5", "0.25", "0"},
		"grid": {"9", "none"}, "optimizer": optim.Names(), "schedule": {"cosine", "linear", "constant"}, "gelu": {"tanh", "erf"},
		"update": {"auto", "now", "end"}, "isa": {"portable", "avx2", "avx512"},
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
		if err := train.ReadConfig(s.file, &s.cfg); err != nil {
			return s.cfg, usage(err)
		}
	}
	if name, ok := given["preset"]; ok {
		m, err := model.GPTPreset(name)
		if err != nil {
			return s.cfg, usage(err)
		}
		s.cfg.Model = m
	}
	if name, ok := given["optimizer"]; ok && name != s.cfg.Optimizer.Name {
		o, err := optim.Default(name)
		if err != nil {
			return s.cfg, usage(err)
		}
		s.cfg.Optimizer = o
	}
	if _, ok := given["dropout"]; ok {
		m := &s.cfg.Model
		m.EmbeddingDropout, m.AttentionDropout, m.ResidualDropout = s.dropout, s.dropout, s.dropout
	}
	for name, value := range given {
		if err := f.Lookup(name).Value.Set(value); err != nil {
			return s.cfg, usage(fmt.Errorf("--%s %s: %w", name, value, err))
		}
	}
	return s.cfg, usage(s.cfg.Validate())
}
