package main

import (
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train/text"
)

// textGroups are the flags of a language model that learns text from nothing.
func textGroups(c *text.Config) []group {
	d, m := &c.Data, &c.Model
	return append([]group{
		{"Text", false, func(f *pflag.FlagSet) {
			pathsFlag(f, &d.Path, &d.More, "data", "`file` or folder, repeatable; go: the Go source here")
			f.StringVar(&c.Tune.From, "from", c.Tune.From, "`folder` of the model to go on with")
			f.StringVar(&d.Tokenizer, "tokenizer", d.Tokenizer, "auto, char, bpe, or its `folder`")
			f.StringVar(&d.Val, "val", d.Val, "`file` or folder of text for validation")
			f.Float64Var(&d.ValFraction, "val-fraction", d.ValFraction, "`share` held out, without --val")
		}},
		{modelHeading, false, func(f *pflag.FlagSet) { gptFlags(f, m); dropoutFlag(f) }},
	}, append(commonGroups(&c.Common, func(f *pflag.FlagSet) { batchFlag(f, &c.Loop); epochsFlag(f, &d.Epochs, "text") }),
		group{moreText, true, func(f *pflag.FlagSet) {
			openInt(f, &d.BPEVocab, 0, "bpe-vocab", "vocabulary of --tokenizer bpe")
			moreTextFlags(f, d)
		}},
		group{moreModel, true, func(f *pflag.FlagSet) { moreGPTFlags(f, m) }})...)
}

const moreText = "more of the text"

// moreTextFlags say which text of a folder is read, how, and what of it is held out.
func moreTextFlags(f *pflag.FlagSet, d *text.DataConfig) {
	f.Var(&d.Extensions, "extensions", "`endings` to take of a folder, as in .go,.md")
	f.BoolVar(&d.Special, "special-tokens", d.Special, "read special tokens spelt in the text, such as <|endoftext|> between documents, as those tokens; otherwise they are ordinary text")
	f.Int64Var(&d.MaxBytes, "max-bytes", d.MaxBytes, "use so many bytes of the text; 0 for all")
	readFlags(f, d)
	f.StringVar(&d.OnUnknown, "on-unknown", d.OnUnknown, "`policy` for characters that the model's tokenizer lacks: extend it, skip them, or fatal (default extend if all weights learn, otherwise fatal)")
	f.StringVar(&d.Split, "split", d.Split, "end: hold out the end of the text, not documents or blocks spread over it")
}

// readFlags say how files are read.
func readFlags(f *pflag.FlagSet, d *text.DataConfig) {
	f.StringVar(&d.TextKey, "text-key", d.TextKey, "`key` or column of the text in JSON or a table (default text, content, document, body or the like)")
	f.BoolVar(&d.AsText, "as-text", d.AsText, "read JSON and tables as they are, marks and all")
	f.StringVar(&d.OnBad, "on-bad", d.OnBad, "`policy` for text that is not UTF-8: skip or fatal (default fatal)")
}

// epochsFlag is the length of a run in passes over what it learns.
func epochsFlag(f *pflag.FlagSet, epochs *float64, what string) {
	openFloat(f, epochs, 0, "epochs", "passes over the "+what+"; or --steps")
}

// gptFlags are the sizes of a language model.
func gptFlags(f *pflag.FlagSet, m *model.GPTConfig) {
	presetFlag(f, model.GPTPresets())
	openShapeFlags(f, &m.Heads, &m.Width, &m.Layers)
	openInt(f, &m.Context, 0, "context", "tokens that the model sees at once")
}

func moreGPTFlags(f *pflag.FlagSet, m *model.GPTConfig) {
	blockFlags(f, &m.MLP, &m.GELU, &m.EmbeddingDropout, &m.AttentionDropout, &m.ResidualDropout)
	f.BoolVar(&m.Untied, "untied", m.Untied, "give the logits a weight of their own")
	f.BoolVar(&m.NoBias, "no-bias", m.NoBias, "leave out biases")
	weightsFlag(f, m)
}

// textSizes are the flags of a language model without a text.
func textSizes(c *text.Config) []group {
	return sizeGroups(&c.Common, func(f *pflag.FlagSet) {
		gptFlags(f, &c.Model)
		openInt(f, &c.Model.Vocab, 0, "vocab", "text: token ids")
	}, func(f *pflag.FlagSet) { batchFlag(f, &c.Loop) }, func(f *pflag.FlagSet) { moreGPTFlags(f, &c.Model) })
}
