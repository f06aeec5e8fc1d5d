package main

import (
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

// moreData is the heading of flags of pairs and text.
const moreData = "more of the data"

// textKind is --format of text.
const textKind = "text"

// completionGroups are the flags of a language model that learns prompts and completions.
func completionGroups(c *tune.Config) []group {
	d, t := &c.Pairs, &c.Tune
	return append([]group{
		{"Model and data", false, func(f *pflag.FlagSet) {
			fromFlag(f, t)
			pathsFlag(f, &d.Source, new([]string), "data", "`file` of pairs, or file or folder of text, repeatable")
			f.StringVar(&d.Source, "prompts", d.Source, "`file` of prompts, one a line, perhaps .gz")
			f.StringVar(&d.Target, "completions", d.Target, "`file` of their completions")
			f.StringVar(&d.ValSource, "val", d.ValSource, "`file` of pairs, or of text, for validation")
			f.StringVar((*string)(&t.Separator), "separator", string(t.Separator), "`text` between prompt and completion")
		}},
		learnGroup(t, &c.Model, &c.Method),
	}, append(commonGroups(&c.Common, func(f *pflag.FlagSet) {
		batchTokensFlag(f, d)
		batchFlag(f, &c.Loop)
		epochsFlag(f, &d.Epochs, "data")
	}),
		group{moreData, true, func(f *pflag.FlagSet) {
			moreCompletionFlags(f, d, t)
			f.Var(&d.Split.Val, "val-fraction", valFraction)
		}},
		group{moreModel, true, func(f *pflag.FlagSet) { adapterFlags(f, t); tunedFlags(f, &c.Model) }})...)
}

const valFraction = "`share` held out for validation: of the prompts (default auto: 0.1, but at least 20), or the end of a text (default 0.1)"

func fromFlag(f *pflag.FlagSet, t *tune.Settings) {
	f.StringVar(&t.From, "from", t.From, "`folder` of the model")
}

func moreCompletionFlags(f *pflag.FlagSet, d *pairs.DataConfig, t *tune.Settings) {
	f.StringVar((*string)(&d.Format), "format", string(d.Format), "`kind` of --data: text, csv, tsv, jsonl or json; without it, by name and content")
	f.StringVar(&d.SourceColumn, "prompt-column", d.SourceColumn, "`column` of a table, by name or number, or key of JSON (default by known names, such as prompt, question, instruction)")
	f.StringVar(&d.TargetColumn, "completion-column", d.TargetColumn, "`column` or key of the completions (default by known names, such as completion, answer, output)")
	headerFlag(f, d)
	f.StringVar(&d.ValTarget, "val-completions", d.ValTarget, "`file` of completions, if --val has prompts alone")
	f.BoolVar(&t.ChatTemplate, "chat-template", t.ChatTemplate, "pairs and conversations are written by the model's own chat template, if it has one; without it or with --separator, as text")
	f.BoolVar(&t.LossOnPrompt, "loss-on-prompt", t.LossOnPrompt, "pairs: learn prompts too")
	f.StringVar((*string)(&d.OnBad), "on-bad", string(d.OnBad), "`policy` for pairs without text (default skip), or text that is not UTF-8 (default fatal): skip or fatal")
	f.StringVar((*string)(&d.OnLong), "on-long", string(d.OnLong), "`policy` for pairs longer than the window: skip, truncate or fatal")
	f.BoolVar(&d.KeepDuplicates, "keep-duplicates", d.KeepDuplicates, "keep pairs that came before")
}

// tunedTextGroups are the flags of a trained language model that learns text.
func tunedTextGroups(c *text.Config) []group {
	t := &c.Tune
	return append([]group{
		{"Model and data", false, func(f *pflag.FlagSet) {
			fromFlag(f, t)
			pathsFlag(f, &c.Data.Path, &c.Data.More, "data", "`file` of pairs, or file or folder of text, repeatable")
			f.StringVar(&c.Data.Val, "val", c.Data.Val, "`file` or folder of text for validation")
			f.Float64Var(&c.Data.ValFraction, "val-fraction", c.Data.ValFraction, valFraction)
		}},
		learnGroup(t, &c.Model, &c.Method),
	}, append(commonGroups(&c.Common, func(f *pflag.FlagSet) { batchFlag(f, &c.Loop); epochsFlag(f, &c.Data.Epochs, "data") }),
		group{moreData, true, func(f *pflag.FlagSet) { moreTextFlags(f, &c.Data) }},
		group{moreModel, true, func(f *pflag.FlagSet) { adapterFlags(f, t); tunedFlags(f, &c.Model) }})...)
}

// learnGroup says what of the model learns, and how.
func learnGroup(t *tune.Settings, m *model.GPTConfig, method *bdia.Options) group {
	return group{modelHeading, false, func(f *pflag.FlagSet) {
		f.IntVar(&t.LoRA.Rank, "lora-rank", t.LoRA.Rank, "train adapters of this `rank`; 0: all weights")
		f.IntVar(&t.Freeze, "freeze", t.Freeze, "first `blocks` that stay as they are")
		f.IntVar(&t.Window, "window", t.Window, "most `tokens` of a sample; 0: the context")
		dropoutFlag(f)
		f.Var(gammaValue{method, true}, "gamma", "`size` of gamma, a ramp A..B, 0 or auto")
		f.Var(&gridValue{&method.Grid, &t.AutoGrid}, "grid", "`bits` after the point, none or auto")
	}}
}

// weightsFlag is the type of the matrices in memory.
func weightsFlag(f *pflag.FlagSet, m *model.GPTConfig) {
	f.TextVar(&m.Weights, "weights", m.Weights, "`type` of trained weights: f32, or bf16, rounded stochastically, in half the memory")
}

// adapterFlags shape the adapters.
func adapterFlags(f *pflag.FlagSet, t *tune.Settings) {
	f.Float64Var(&t.LoRA.Alpha, "lora-alpha", t.LoRA.Alpha, "adapters count `alpha`/rank times")
	f.Float64Var(&t.LoRA.Dropout, "lora-dropout", t.LoRA.Dropout, "`share` dropped of adapters' inputs")
	f.Var(listFlag{&t.LoRA.Targets}, "lora-targets", "`layers` with adapters, with commas between, or all: of qkv, proj, fc1 and fc2 for GPT-2, of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj for the others")
}

// tunedFlags are the type of weights, and the shares that are dropped, one by one.
func tunedFlags(f *pflag.FlagSet, m *model.GPTConfig) {
	weightsFlag(f, m)
	f.Float64Var(&m.EmbeddingDropout, "embedding-dropout", m.EmbeddingDropout, "`share` dropped of the embedding")
	f.Float64Var(&m.AttentionDropout, "attention-dropout", m.AttentionDropout, "`share` dropped of the attention weights")
	f.Float64Var(&m.ResidualDropout, "residual-dropout", m.ResidualDropout, "`share` dropped of the residual branches")
}

// listFlag is a flag with a list of names as its value, which the help shows as a text.
type listFlag struct{ *model.Targets }

// Type names the value in the help.
func (listFlag) Type() string { return "string" }

// gridValue is a flag of a grid, or auto.
type gridValue struct {
	grid *bdia.Grid
	auto *bool
}

func (v *gridValue) Type() string { return "bits" }

func (v *gridValue) String() string {
	if v.auto != nil && *v.auto { // pflag asks a zero value too
		return autoWord
	}
	if v.grid == nil {
		return ""
	}
	return v.grid.String()
}

func (v *gridValue) Set(text string) error {
	if *v.auto = text == autoWord; *v.auto {
		*v.grid = bdia.DefaultGrid
		return nil
	}
	return v.grid.UnmarshalText([]byte(text))
}
