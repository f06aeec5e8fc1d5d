package main

import (
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train/pairs"
)

// translationGroups are the flags of an encoder-decoder that learns sentences and their translations.
func translationGroups(c *pairs.Config) []group {
	d, m := &c.Pairs, &c.Seq2Seq
	return append([]group{
		{"Translations", false, func(f *pflag.FlagSet) {
			f.StringVar(&d.Source, "source", d.Source, "`file` of sentences, one a line, perhaps .gz")
			f.StringVar(&d.Target, "target", d.Target, "`file` of their translations")
			f.StringVar(&d.Source, "data", d.Source, "a .tsv, .csv or .jsonl `file` of both, instead")
			f.StringVar(&d.ValSource, "val-source", d.ValSource, "`file` of sentences for validation")
			f.StringVar(&d.ValTarget, "val-target", d.ValTarget, "`file` of their translations")
			f.StringVar(&c.From.Dir, "from", c.From.Dir, "`folder` of the model that the run starts from")
			f.StringVar(&d.Tokenizer, "tokenizer", d.Tokenizer, "char, bpe, or a `folder` of one")
			f.IntVar(&d.BPEVocab, "bpe-vocab", d.BPEVocab, "vocabulary of --tokenizer bpe")
		}},
		{modelHeading, false, func(f *pflag.FlagSet) { seq2seqFlags(f, m); dropoutFlag(f) }},
	}, append(commonGroups(&c.Common, func(f *pflag.FlagSet) {
		batchTokensFlag(f, d)
		epochsFlag(f, &d.Epochs, "pairs")
	}),
		group{"more of the pairs", true, func(f *pflag.FlagSet) { morePairFlags(f, d); batchFlag(f, &c.Loop) }},
		group{moreModel, true, func(f *pflag.FlagSet) { moreSeq2SeqFlags(f, m) }})...)
}

// batchTokensFlag is the size of a batch of pairs.
func batchTokensFlag(f *pflag.FlagSet, d *pairs.DataConfig) {
	openInt(f, &d.BatchTokens, 0, "batch-tokens", "pairs: tokens of a batch")
}

func morePairFlags(f *pflag.FlagSet, d *pairs.DataConfig) {
	f.StringVar((*string)(&d.Format), "format", string(d.Format), "`kind` of files: lines, tsv, csv, jsonl or json; without it, by name and content")
	f.StringVar(&d.SourceColumn, "source-column", d.SourceColumn, "`column` of a table: a number from 1, or a name in its header (default by known names, or the first of two)")
	f.StringVar(&d.TargetColumn, "target-column", d.TargetColumn, "`column` of the translations")
	headerFlag(f, d)
	f.Var(&d.Split.Val, "val-fraction", "`share` of the source sentences held out, without --val-source")
	f.Var(&d.Split.Test, "test-fraction", "`share` of the source sentences kept apart for tests")
	f.Uint64Var(&d.Split.Seed, "pair-seed", d.Split.Seed, "seed of what is held out")
	f.IntVar(&d.MinChars, "min-chars", d.MinChars, "leave out sentences of fewer characters")
	f.IntVar(&d.MaxChars, "max-chars", d.MaxChars, "leave out sentences of more characters; 0 for none")
	f.Float64Var(&d.MaxRatio, "max-ratio", d.MaxRatio, "leave out pairs if one sentence has over so many `times` the characters of the other; 0 for none")
	f.BoolVar(&d.KeepDuplicates, "keep-duplicates", d.KeepDuplicates, "keep pairs that came before")
	f.StringVar((*string)(&d.OnBad), "on-bad", string(d.OnBad), "`policy` for lines that are not UTF-8 or have no translation: skip or fatal")
	f.StringVar((*string)(&d.OnLong), "on-long", string(d.OnLong), "`policy` for too long sentences: skip, truncate or fatal")
	f.BoolVar(&d.Separate, "separate", d.Separate, "a vocabulary for each language; --tokenizer FOLDER has source/ and target/")
}

// headerFlag says how a table is read.
func headerFlag(f *pflag.FlagSet, d *pairs.DataConfig) {
	f.Var(&d.Header, "header", "whether the first line of a table names its columns: `yes`, none or auto")
	f.Lookup("header").NoOptDefVal = "yes"
	f.StringVar((*string)(&d.Delimiter), "delimiter", string(d.Delimiter), "`character` between fields: comma, semicolon, tab or pipe; without it, the one that fits")
}

// seq2seqFlags are the sizes of an encoder-decoder.
func seq2seqFlags(f *pflag.FlagSet, m *model.Seq2SeqConfig) {
	presetFlag(f, model.Seq2SeqPresets())
	shapeFlags(f, &m.Heads, &m.Width, &m.EncoderLayers, &m.DecoderLayers)
	f.Var(numbers{&m.SourceContext, &m.TargetContext}, "context", "most tokens of a sentence")
}

func moreSeq2SeqFlags(f *pflag.FlagSet, m *model.Seq2SeqConfig) {
	blockFlags(f, &m.MLP, &m.GELU, &m.EmbeddingDropout, &m.AttentionDropout, &m.ResidualDropout)
	f.Float64Var(&m.LabelSmoothing, "label-smoothing", m.LabelSmoothing, "`share` of a target spread over all tokens")
	f.BoolVar(&m.Untied, "untied", m.Untied, "give the logits a weight of their own")
	f.BoolVar(&m.NoBias, "no-bias", m.NoBias, "leave out biases")
	f.BoolVar(&m.Shared, "shared", m.Shared, "one table of tokens, if there is one vocabulary")
	f.BoolVar(&m.Sinusoidal, "sinusoidal", m.Sinusoidal, "fixed sinusoidal positions, not trainable ones")
}

// translationSizes are the flags of an encoder-decoder without sentences.
func translationSizes(c *pairs.Config) []group {
	return sizeGroups(&c.Common, func(f *pflag.FlagSet) { seq2seqFlags(f, &c.Seq2Seq) },
		func(f *pflag.FlagSet) { batchTokensFlag(f, &c.Pairs); batchFlag(f, &c.Loop) }, func(f *pflag.FlagSet) { moreSeq2SeqFlags(f, &c.Seq2Seq) })
}
