package main

import (
	"fmt"
	"slices"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

// idle are flags that do nothing when other settings hold. A user who gives one hears why, for example: --momentum is
// for sgd, and the optimiser is adamw. A flag that asks for what happens anyway is not idle, as --best for the folder
// best/. Nor is one that happens to find nothing to do in the data, as --top 5 for three classes.
type idle struct {
	when  bool
	why   string // behind the flag
	flags []string
}

// refuse returns an error of usage for the first flag of o that does nothing. A value that asks for nothing, such as 0,
// may stand.
func (o overrides) refuse(list []idle) error {
	for _, i := range list {
		for _, name := range i.flags {
			if i.when && o.has(name) && !slices.Contains(nothing, o[name]) {
				return cli.Usage(fmt.Errorf("--%s %s", name, i.why))
			}
		}
	}
	return nil
}

// nothing are the values of flags that ask for nothing.
var nothing = []string{"", "0", "false", "none", autoWord}

// idleOf lists the flags that do nothing with the settings of t.
func idleOf(t train.Task) []idle { return append(idleOfAll(t.Common()), viewOf(t).idle()...) }

func idleOfAll(c *train.Common) []idle {
	kind := c.Optimizer.Name
	return []idle{
		{kind != "sgd", "is for sgd, and the optimiser is " + kind, []string{"momentum"}},
		{c.Optimizer.StateBits != 8, "is for moments of 8 bits; ask for them with --state-bits 8", []string{"table-bits"}},
		{kind == "sgd", "is for adamw and set-adam, and the optimiser is sgd", []string{"beta1", "beta2", "eps"}},
		{c.Schedule.Kind == "constant", "is for the schedules cosine and linear, and this one is constant", []string{"final-lr"}},
		{c.Loop.SampleEvery == 0, "is for samples, and there are none; ask for them with --sample-every", []string{"sample-tokens"}},
	}
}

func (v textView) idle() []idle {
	c, d := &v.Settings, &v.Settings.Data
	paths := append([]string{d.Path}, d.More...)
	return []idle{
		idleOfVocabulary(d.Tokenizer),
		idleOfAdapters(&c.Tune),
		idleOfTrained(&c.Tune),
		idleOfSpecial(d.Tokenizer),
		idleOfFiles("--data", paths...),
		idleOfRows(d, append(paths, d.Val)...),
		{slices.Contains([]string{tokenizer.KindChar, tokenizer.KindBPE, text.AutoTokenizer}, d.Tokenizer), "is for a tokenizer that has not learned the text, and this one does", []string{"on-unknown"}},
		{d.Val != "", "is for a part of --data that is held out, and --val names other text", []string{"val-fraction", "split"}},
		{d.Val == "" && d.ValFraction == 0, "is for text that is held out, and there is none", []string{"split", "patience"}},
		{c.Loop.EvalEvery == 0, "counts evaluations, and there is one, at the end; ask for more with --eval-every", []string{"patience"}},
	}
}

func (v imageView) idle() []idle {
	c, d := &v.Settings, &v.Settings.Images
	return []idle{
		{c.Augment.RandOps == 0, "is for RandAugment; ask for that with --rand-ops", []string{"rand-magnitude"}},
		{d.Test != "", "is for a part of --data that is held out, and --test names other images", []string{"val-fraction"}},
		{d.Test != "" && d.Subset == 0, "draws images to hold out or to learn; --test holds out others, and without --subset all are learned", []string{"split-seed"}},
	}
}

func (v translationView) idle() []idle {
	d := &v.Settings.Pairs
	return append(idleOfPairs(d), idleOfVocabulary(d.Tokenizer))
}

func (v tuneView) idle() []idle {
	return append(idleOfPairs(&v.Settings.Pairs), idleOfAdapters(&v.Settings.Tune), idleOfTrained(&v.Settings.Tune))
}

func idleOfPairs(d *pairs.DataConfig) []idle {
	return []idle{
		{d.ValSource != "", "is for pairs that are held out of the others, and validation has its own files", []string{"val-fraction"}},
		{d.Split.Test == 0 && (d.ValSource != "" || d.Split.Val == 0), "draws pairs to hold out, and none are", []string{"pair-seed"}},
		{d.ValSource == "" && d.Split.Val == 0, "is for pairs that are held out, and there are none", []string{"patience"}},
	}
}

// idleOfSpecial is for text that a kind of tokenizer reads.
func idleOfSpecial(kind string) idle {
	return idle{kind == tokenizer.KindChar, "is for tokenizers with special tokens, and char has none", []string{"special-tokens"}}
}

// idleOfFiles is for text at paths that what names: no folder and no archive.
func idleOfFiles(what string, paths ...string) idle {
	single := func(path string) bool { return isFile(path) && !data.IsArchive(path) }
	files := !slices.ContainsFunc(paths, func(path string) bool { return !single(path) })
	return idle{files, "chooses files of a folder, and " + what + " is a file", []string{"extensions"}}
}

// idleOfRows is for text at paths, read as d says: without JSON and tables.
func idleOfRows(d *text.DataConfig, paths ...string) idle {
	plain := d.TextKey != "" || d.AsText
	for _, path := range paths {
		if path != "" && plain {
			rows, err := data.HasRows(path, data.SourceOptions{Extensions: d.Extensions})
			plain = err == nil && !rows // Open says what is wrong
		}
	}
	return idle{plain && paths[0] != "", "is for JSON and tables, and the text is plain", []string{"text-key", "as-text"}}
}

// idleOfVocabulary is the size of a vocabulary that is not learned.
func idleOfVocabulary(kind string) idle {
	return idle{kind != tokenizer.KindBPE && kind != text.AutoTokenizer, "is for --tokenizer bpe, and the tokenizer is " + kind, []string{"bpe-vocab"}}
}

// idleOfTrained is for weights that are trained; a plan says of which type the model of its adapters is.
func idleOfTrained(s *tune.Settings) idle {
	return idle{s.LoRA.Rank > 0 && s.From != someModel, "is for trained weights, and adapters are trained: the model beside them is held as its files have it", []string{"weights"}}
}

func idleOfAdapters(s *tune.Settings) idle {
	return idle{s.LoRA.Rank == 0, "is for adapters, and there are none; ask for them with --lora-rank", []string{"lora-alpha", "lora-dropout", "lora-targets"}}
}
