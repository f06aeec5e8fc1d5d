package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/model"
	trainimages "github.com/bdia-go/bdia/train/images"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

// The flags of settings, group by group. A flag that every task has sets the
// same thing in all of them; the others are forgotten when the task is known.

// shared adds a flag that sets each target. Its default is its preset's or task's.
func shared[T any](f *pflag.FlagSet, name, usage string, add func(*pflag.FlagSet, *T, string), targets ...*T) {
	var v sharedValue
	for _, t := range targets {
		one := pflag.NewFlagSet("", pflag.ContinueOnError)
		add(one, t, name)
		v = append(v, one.Lookup(name).Value)
	}
	f.Var(v, name, usage)
	f.Lookup(name).DefValue = ""
	if v.Type() == "bool" {
		f.Lookup(name).NoOptDefVal = "true"
	}
}

// sharedValue is one flag for several variables of one type.
type sharedValue []pflag.Value

func (v sharedValue) String() string { return v[0].String() }
func (v sharedValue) Type() string   { return v[0].Type() }

func (v sharedValue) Set(text string) error {
	for _, one := range v {
		if err := one.Set(text); err != nil {
			return err
		}
	}
	return nil
}

func intFlag(f *pflag.FlagSet, p *int, name string)        { f.IntVar(p, name, *p, "") }
func numberFlag(f *pflag.FlagSet, p *float64, name string) { f.Float64Var(p, name, *p, "") }
func switchFlag(f *pflag.FlagSet, p *bool, name string)    { f.BoolVar(p, name, *p, "") }
func textFlag(f *pflag.FlagSet, p *string, name string)    { f.StringVar(p, name, *p, "") }

// textAndPairs are the tasks that learn tokens.
var textAndPairs = []string{text.Name, trainpairs.Name}

// of adds flags that only some tasks have.
func (s *settings) of(f *pflag.FlagSet, tasks []string, add func(*pflag.FlagSet)) {
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	own.SortFlags = false
	add(own)
	own.VisitAll(func(flag *pflag.Flag) { s.only[flag.Name] = tasks })
	f.AddFlagSet(own)
}

func (s *settings) taskFlag(f *pflag.FlagSet) {
	f.StringVar((*string)(&s.cfg.Task), "task", string(s.cfg.Task), "`what` is learned: text, image or translation")
}

func (s *settings) dataFlags(f *pflag.FlagSet) {
	s.taskFlag(f)
	shared(f, "data", "a `file` or folder; of text, \"go\" for the Go source of this machine; of translations, a .tsv or .csv table", textFlag, &s.cfg.Data.Path, &s.cfg.Images.Path, &s.cfg.Pairs.Source)
	shared(f, "val-fraction", "`share` held out for validation: the end of the text; so much of each class of images where there is no validation set (default 0.1); so many of the source sentences where there is none (default 0.02)", numberFlag, &s.cfg.Data.ValFraction, &s.cfg.Images.ValFraction, &s.cfg.Pairs.Split.Val)
	s.of(f, textAndPairs, func(f *pflag.FlagSet) {
		shared(f, "tokenizer", "char, bpe, or a `folder` with tokenizer files (default char; translation: bpe)", textFlag, &s.cfg.Data.Tokenizer, &s.cfg.Pairs.Tokenizer)
		shared(f, "bpe-vocab", "vocabulary of --tokenizer bpe (default 4096; translation: 8000)", intFlag, &s.cfg.Data.BPEVocab, &s.cfg.Pairs.BPEVocab)
	})
	s.of(f, []string{trainimages.Name, trainpairs.Name}, func(f *pflag.FlagSet) {
		shared(f, "epochs", "length of the run in passes over images or pairs (default 20); --steps overrides it", numberFlag, &s.cfg.Images.Epochs, &s.cfg.Pairs.Epochs)
		shared(f, "label-smoothing", "`share` of a target spread over all classes or tokens (default 0; translation: 0.1)", numberFlag, &s.cfg.Images.LabelSmoothing, &s.cfg.Seq2Seq.LabelSmoothing)
	})
}

func (s *settings) textFlags(f *pflag.FlagSet) {
	d := &s.cfg.Data
	s.of(f, []string{text.Name}, func(f *pflag.FlagSet) {
		f.Var(&d.Extensions, "extensions", "`endings` to take of a folder, as in .go,.md")
		f.BoolVar(&d.Special, "special-tokens", d.Special, "read special tokens spelt in the text, such as <|endoftext|> between documents, as those tokens; otherwise they are ordinary text")
		f.Int64Var(&d.MaxBytes, "max-bytes", d.MaxBytes, "use so many bytes of the text; 0 for all")
	})
}

func (s *settings) imageFlags(f *pflag.FlagSet) {
	c := &s.cfg.Images
	s.of(f, []string{trainimages.Name}, func(f *pflag.FlagSet) {
		f.StringVar(&c.Test, "test", c.Test, "validation `set`; without it, that of --data or a part of it")
		f.IntVar(&c.Subset, "subset", c.Subset, "learn only so many images, as many of each class; 0 for all")
		f.Uint64Var(&c.SplitSeed, "split-seed", 1, "seed of the subset and of the images held out")
		f.StringVar((*string)(&c.OnCorrupt), "on-corrupt", "fatal", "`what` to do about images that cannot be decoded: fatal or skip")
		f.StringVar(&c.From, "from", c.From, "model `folder` (timm, Hugging Face ViT, a run) whose weights the run starts with")
		f.Var((*channelsValue)(&s.cfg.Pixels.Mean), "mean", "`R,G,B` that normalise pixels of 0 to 1; without, those of the training images")
		f.Var((*channelsValue)(&s.cfg.Pixels.Std), "std", "deviations `R,G,B`, with --mean")
	})
}

func (s *settings) pairFlags(f *pflag.FlagSet) {
	c := &s.cfg.Pairs
	s.of(f, []string{trainpairs.Name}, func(f *pflag.FlagSet) {
		f.StringVar(&c.Source, "source", c.Source, "`file` of sentences, one a line, perhaps .gz")
		f.StringVar(&c.Target, "target", c.Target, "`file` of their translations")
		f.StringVar(&c.ValSource, "val-source", c.ValSource, "`file` of sentences for validation, or a table; without it, a share of the pairs")
		f.StringVar(&c.ValTarget, "val-target", c.ValTarget, "`file` of their translations")
		f.StringVar((*string)(&c.Format), "format", "", "`kind` of files: lines, tsv, csv or jsonl; without it, by name")
		f.StringVar(&c.SourceColumn, "source-column", "", "`column` of a table: a number from 1, or a name in its header (default 1)")
		f.StringVar(&c.TargetColumn, "target-column", "", "`column` of the translations (default 2)")
		f.BoolVar(&c.Header, "header", false, "the first line of a .tsv names its columns; that of a .csv always does")
		f.Float64Var(&c.Split.Test, "test-fraction", 0, "`share` of the source sentences kept apart for tests")
		f.Uint64Var(&c.Split.Seed, "pair-seed", 1, "seed of what is held out")
		f.IntVar(&c.MinChars, "min-chars", 0, "leave out sentences of fewer characters")
		f.IntVar(&c.MaxChars, "max-chars", 0, "leave out sentences of more characters; 0 for none")
		f.Float64Var(&c.MaxRatio, "max-ratio", 0, "leave out pairs whose longer sentence has over so many `times` the characters; 0 for none")
		f.BoolVar(&c.KeepDuplicates, "keep-duplicates", false, "keep pairs that came before")
		f.StringVar((*string)(&c.OnBad), "on-bad", "skip", "`what` to do about what is not UTF-8 or has no translation: skip or fatal")
		f.StringVar((*string)(&c.OnLong), "on-long", "skip", "`what` to do about too long sentences: skip, truncate or fatal")
		f.BoolVar(&c.Separate, "separate", false, "a vocabulary for each language; --tokenizer FOLDER has source/ and target/")
	})
	s.batchTokensFlag(f)
}

func (s *settings) batchTokensFlag(f *pflag.FlagSet) {
	s.of(f, []string{trainpairs.Name}, func(f *pflag.FlagSet) {
		f.IntVar(&s.cfg.Pairs.BatchTokens, "batch-tokens", 4096, "translation: tokens of a batch, of both languages, padding included")
	})
}

func (s *settings) augmentFlags(f *pflag.FlagSet) {
	a := &s.cfg.Augment
	s.of(f, []string{trainimages.Name}, func(f *pflag.FlagSet) {
		f.IntVar(&a.Crop, "crop", a.Crop, "random crop after padding by so many `pixels`")
		f.BoolVar(&a.Flip, "flip", a.Flip, "mirror half of the images")
		f.IntVar(&a.RandOps, "rand-ops", a.RandOps, "RandAugment: operations on each image")
		f.IntVar(&a.RandMagnitude, "rand-magnitude", 9, "RandAugment: strength, 0 to 30")
		f.Float64Var(&a.Erase, "erase", a.Erase, "`probability` that a random rectangle is erased")
		f.Float64Var(&a.Mixup, "mixup", a.Mixup, "`alpha` of mixup; 0 for none")
		f.Float64Var(&a.CutMix, "cutmix", a.CutMix, "`alpha` of CutMix; 0 for none")
	})
}

func (s *settings) modelFlags(f *pflag.FlagSet) {
	m, v, q := &s.cfg.Model, &s.cfg.ViT, &s.cfg.Seq2Seq
	f.StringVar(&s.preset, "preset", "", "model `size`: "+strings.Join(model.GPTPresets(), ", ")+" (default nano); images: "+
		strings.Join(model.ViTPresets(), ", ")+" (default tiny); translation: "+strings.Join(model.Seq2SeqPresets(), ", ")+" (default tiny)")
	shared(f, "layers", "blocks; of translation, of encoder and decoder each", intFlag, &m.Layers, &v.Layers, &q.EncoderLayers, &q.DecoderLayers)
	shared(f, "heads", "attention heads", intFlag, &m.Heads, &v.Heads, &q.Heads)
	shared(f, "width", "channels of the residual stream", intFlag, &m.Width, &v.Width, &q.Width)
	shared(f, "mlp", "hidden width of the MLP; 0 for four times the width", intFlag, &m.MLP, &v.MLP, &q.MLP)
	shared(f, "gelu", "`form` of the GELU: tanh (GPT-2) or erf (ViT)", func(f *pflag.FlagSet, p *backend.GELUForm, name string) { f.TextVar(p, name, *p, "") }, &m.GELU, &v.GELU, &q.GELU)
	f.Float64Var(&s.dropout, "dropout", 0, "`share` dropped in all three of the following places")
	shared(f, "embedding-dropout", "`share` dropped of the embedding", numberFlag, &m.EmbeddingDropout, &v.EmbeddingDropout, &q.EmbeddingDropout)
	shared(f, "attention-dropout", "`share` dropped of the attention weights", numberFlag, &m.AttentionDropout, &v.AttentionDropout, &q.AttentionDropout)
	shared(f, "residual-dropout", "`share` dropped of the residual branches", numberFlag, &m.ResidualDropout, &v.ResidualDropout, &q.ResidualDropout)
	s.of(f, textAndPairs, func(f *pflag.FlagSet) {
		shared(f, "context", "text: tokens that the model sees at once; translation: most tokens of a sentence, its end included", intFlag, &m.Context, &q.SourceContext, &q.TargetContext)
		shared(f, "untied", "text, translation: give the logits a weight of their own", switchFlag, &m.Untied, &q.Untied)
		shared(f, "no-bias", "text, translation: leave out biases", switchFlag, &m.NoBias, &q.NoBias)
	})
	s.of(f, []string{trainpairs.Name}, func(f *pflag.FlagSet) {
		f.BoolVar(&q.Shared, "shared", true, "translation: one table of tokens where there is one vocabulary")
		f.BoolVar(&q.Sinusoidal, "sinusoidal", false, "translation: positions are sinusoids, not learned")
	})
	s.of(f, []string{trainimages.Name}, func(f *pflag.FlagSet) {
		f.IntVar(&v.Image, "image", v.Image, "images: `pixels` of a side; others are scaled to it")
		f.IntVar(&v.Patch, "patch", v.Patch, "images: `pixels` of a patch's side")
		f.BoolVar(&v.MeanPool, "mean-pool", v.MeanPool, "images: classify the mean of the patches, not a class token")
		f.Float64Var(&v.StochasticDepth, "stochastic-depth", v.StochasticDepth, "images: `probability` of dropping a branch of the last block")
		f.BoolVar(&v.TwoStream, "two-stream", v.TwoStream, "images: RevViT, which has neither gamma nor grid")
	})
}

// sizeFlags are those that data decide where there are some.
func (s *settings) sizeFlags(f *pflag.FlagSet) {
	s.of(f, []string{text.Name}, func(f *pflag.FlagSet) {
		f.IntVar(&s.cfg.Model.Vocab, "vocab", s.cfg.Model.Vocab, "text: token ids; a preset brings its own")
	})
	s.of(f, []string{trainimages.Name}, func(f *pflag.FlagSet) {
		f.IntVar(&s.cfg.ViT.Classes, "classes", s.cfg.ViT.Classes, "images: classes; a preset brings its own")
	})
}

// The groups of flags_common.go, bound to the configuration of every task.

func (s *settings) methodFlags(f *pflag.FlagSet)   { methodFlags(f, &s.cfg.Method) }
func (s *settings) optimizerFlag(f *pflag.FlagSet) { optimizerFlag(f, &s.cfg.Optimizer) }
func (s *settings) seedFlag(f *pflag.FlagSet)      { seedFlag(f, &s.cfg.Loop) }

func (s *settings) optimizerFlags(f *pflag.FlagSet) {
	optimizerFlags(f, &s.cfg.Optimizer, &s.cfg.Schedule)
	s.forImages(f, "final-lr", "0.01")
	s.forImages(f, "weight-decay", "0.05")
}

func (s *settings) batchFlags(f *pflag.FlagSet) {
	batchFlag(f, &s.cfg.Loop)
	s.forImages(f, "batch", "128")
}

func (s *settings) updateFlags(f *pflag.FlagSet) {
	updateFlags(f, &s.cfg.Loop)
	s.forImages(f, "batch", "128")
}

func (s *settings) loopFlags(f *pflag.FlagSet) {
	loopFlags(f, &s.cfg.Loop)
	s.forImages(f, "eval-every", "every epoch")
	s.forImages(f, "eval-samples", "all")
}

func (s *settings) configFlag(f *pflag.FlagSet) {
	f.StringVar(&s.file, "config", "", "YAML `file` of settings, as a run's bdia.yaml; flags override it")
}

// forImages tells the default of a flag for images, where they can be learned.
func (s *settings) forImages(f *pflag.FlagSet, name, value string) {
	if s.cfg.Task != tune.Name {
		f.Lookup(name).Usage += " (images: " + value + ")"
	}
}

// adapterFlag is the flag of what is merged into a language model.
func adapterFlag(f *pflag.FlagSet, dir *string) {
	f.StringVar(dir, "adapter", "", "`folder` of a LoRA adapter in PEFT's files, to merge into the weights")
}

// channelsValue is a flag of three numbers, for red, green and blue.
type channelsValue [3]float64

func (v *channelsValue) Type() string { return "numbers" }

func (v *channelsValue) String() string {
	if *v == (channelsValue{}) {
		return ""
	}
	return fmt.Sprintf("%v,%v,%v", v[0], v[1], v[2])
}

func (v *channelsValue) Set(text string) error {
	parts := strings.Split(text, ",")
	if len(parts) != len(v) {
		return fmt.Errorf("give three numbers with commas between them")
	}
	for i, part := range parts {
		x, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", part)
		}
		v[i] = x
	}
	return nil
}
