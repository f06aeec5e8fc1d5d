package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/tune"
)

// The flags that every task has. Each function binds flags to one part of a configuration; what the part holds are the
// defaults.

// Headings of help texts.
const (
	modelHeading = "Model and method"
	trainHeading = "Training (auto: chosen from the data, docs/defaults.md)"
	moreModel    = "more of the model"
	moreTraining = "optimiser, batch, processor"
	moreLoop     = "evaluation, samples, records"
)

// methodFlags are the three choices of the method.
func methodFlags(f *pflag.FlagSet, m *bdia.Options) {
	f.TextVar(&m.Memory, "memory", m.Memory, "``reversible, store or recompute")
	f.Var(gammaValue{m, false}, "gamma", "`size` of gamma, a ramp A..B, or 0")
	f.TextVar(&m.Grid, "grid", m.Grid, "fractional `bits` of activations, or none")
}

// gammaValue is a flag of the law of gamma. Of fine-tuning it may be auto.
type gammaValue struct {
	method *bdia.Options
	tuned  bool
}

func (gammaValue) Type() string { return "size" }

func (v gammaValue) String() string {
	switch {
	case v.method == nil: // pflag asks a zero value too
		return ""
	case v.method.Ramp.Steps == train.Auto:
		return autoWord
	}
	return v.method.GammaText()
}

func (v gammaValue) Set(text string) error {
	if text == autoWord && v.tuned {
		law := tune.DefaultMethod()
		v.method.Gamma, v.method.Ramp = law.Gamma, law.Ramp
		return nil
	}
	return v.method.SetGamma(text)
}

// optimizerFlag names the optimiser.
func optimizerFlag(f *pflag.FlagSet, o *optim.Config) {
	f.StringVar(&o.Name, "optimizer", o.Name, "`name`: "+strings.Join(optim.Names(), ", "))
}

// stateFlag is the precision of the optimiser's state.
func stateFlag(f *pflag.FlagSet, o *optim.Config) {
	f.IntVar(&o.StateBits, "state-bits", o.StateBits, "`bits` of the optimiser's moments: 32, or 8 for adamw")
	f.IntVar(&o.TableBits, "table-bits", o.TableBits, "`bits` of the moments of look-up tables, if others have 8: 32 or 8")
}

// rateFlags are what is changed most often of optimiser and schedule.
func rateFlags(f *pflag.FlagSet, c *train.Common) {
	openFloat(f, &c.Schedule.LR, 0, "lr", "peak learning `rate`")
	optimizerFlag(f, &c.Optimizer)
}

// stepsFlag is the length of a run.
func stepsFlag(f *pflag.FlagSet, s *optim.Schedule) {
	openInt(f, &s.Steps, 0, "steps", "length of the whole run")
}

// scheduleFlags are the rest of optimiser and schedule.
func scheduleFlags(f *pflag.FlagSet, c *train.Common) {
	o, s := &c.Optimizer, &c.Schedule
	sgd, set := optim.DefaultSGD(), optim.DefaultSETAdam()
	f.StringVar(&s.Kind, "schedule", s.Kind, "`shape` after the warm-up: cosine, linear or constant")
	openInt(f, &s.Warmup, train.Auto, "warmup", "steps of linear warm-up")
	f.Float64Var(&s.Final, "final-lr", s.Final, "`share` of the learning rate left at the last step")
	f.Float64Var(&o.Decay, "weight-decay", o.Decay, fmt.Sprintf("decoupled weight `decay`, of matrices only; %v with set-adam, %v with sgd, if it is not given", set.Decay, sgd.Decay))
	f.Float64Var(&o.Beta1, "beta1", o.Beta1, "`decay` of the first moment, of adamw and set-adam")
	f.Float64Var(&o.Beta2, "beta2", o.Beta2, fmt.Sprintf("`decay` of the second moment, of adamw and set-adam; %v with set-adam, if it is not given", set.Beta2))
	f.Float64Var(&o.Eps, "eps", o.Eps, fmt.Sprintf("`epsilon` of adamw and set-adam; %v with set-adam, if it is not given", set.Eps))
	f.Float64Var(&o.Momentum, "momentum", o.Momentum, fmt.Sprintf("momentum of sgd; %v, if it is not given", sgd.Momentum))
	stateFlag(f, o)
}

// batchFlag is the size of a batch. Of pairs it is a limit beside --batch-tokens.
func batchFlag(f *pflag.FlagSet, l *train.LoopConfig) {
	openInt(f, &l.Batch, 0, "batch", "samples of a step")
}

// updateFlags say how the batch of a step is cut, and when the weights change.
func updateFlags(f *pflag.FlagSet, l *train.LoopConfig) {
	f.IntVar(&l.MicroBatch, "micro-batch", l.MicroBatch, "samples at a time (gradient accumulation); 0 for all")
	f.StringVar((*string)(&l.Update), "update", string(l.Update), "`when` gradients are applied: now (in the reverse walk), end, or auto")
	openFloat(f, &l.Clip, train.Auto, "clip", "largest global gradient `norm`; 0 for no clipping")
}

// seedFlag is the seed of a run.
func seedFlag(f *pflag.FlagSet, l *train.LoopConfig) {
	f.Uint64Var(&l.Seed, "seed", l.Seed, "of weights, data, gamma and dropout")
}

// loopFlags say what happens between steps.
func loopFlags(f *pflag.FlagSet, l *train.LoopConfig) {
	f.Float64Var(&l.EMA, "ema", l.EMA, "evaluate a moving average of the weights of this `decay`, as 0.999; 0 for none")
	openInt(f, &l.EvalEvery, train.Auto, "eval-every", "steps between evaluations; 0 for every epoch, or the end only")
	f.IntVar(&l.EvalSamples, "eval-samples", l.EvalSamples, "samples in an evaluation; 0 for all")
	f.BoolVar(&l.EvalTrain, "eval-train", l.EvalTrain, "evaluate on training data too")
	openInt(f, &l.Patience, train.Auto, "patience", "stop after so many evaluations without a better one; 0 for never")
	f.IntVar(&l.SampleEvery, "sample-every", l.SampleEvery, "steps between samples of text; 0 for never")
	f.IntVar(&l.SampleTokens, "sample-tokens", l.SampleTokens, "length of a sample")
	f.Var(saveValue{l}, "save-every", "`steps` between checkpoints, or a time as 10m; 0 for at evaluations")
	f.IntVar(&l.Keep, "keep", l.Keep, "checkpoints to keep, with the latest, beside the best weights")
	f.StringVar((*string)(&l.OnDivergence), "on-divergence", string(l.OnDivergence), "`what` to do when a step diverges: stop, skip (leave it out) or rewind (to the last checkpoint, at half the rate)")
	f.IntVar(&l.LogEvery, "log-every", l.LogEvery, "steps between records of the training loss")
	f.IntVar(&l.CheckEvery, "check-every", l.CheckEvery, "steps between checks that no bit has changed in memory; 0 for never")
	f.BoolVar(&l.Certificate, "certificate", l.Certificate, "write digests of every step to certificate.jsonl, and check every step")
	f.BoolVar(&l.TensorBoard, "tensorboard", l.TensorBoard, "write TensorBoard event files")
}

// engineFlags change speed, never bits.
func engineFlags(f *pflag.FlagSet, e *backend.Options) {
	f.IntVar(&e.Threads, "threads", e.Threads, "threads; 0 for all processors")
	f.StringVar(&e.ISA, "isa", e.ISA, "`instructions` to use: portable, avx2, avx512 or amx; empty: the best")
}

// commonGroups are the flags of the settings that every task has, but for the batch, which comes from first.
func commonGroups(c *train.Common, first func(*pflag.FlagSet)) []group {
	return []group{
		{modelHeading, false, func(f *pflag.FlagSet) { methodFlags(f, &c.Method); precisionFlag(f, &c.Engine.Precision) }},
		{trainHeading, false, func(f *pflag.FlagSet) {
			first(f)
			stepsFlag(f, &c.Schedule)
			rateFlags(f, c)
			seedFlag(f, &c.Loop)
		}},
		{moreTraining, true, func(f *pflag.FlagSet) { scheduleFlags(f, c); updateFlags(f, &c.Loop); engineFlags(f, &c.Engine) }},
		{moreLoop, true, func(f *pflag.FlagSet) { loopFlags(f, &c.Loop) }},
	}
}

// adapterFlag is the folder of adapters of a language model.
func adapterFlag(f *pflag.FlagSet, dir *string) {
	f.StringVar(dir, "adapter", "", "`folder` of a LoRA adapter of the model, in PEFT's files")
}
