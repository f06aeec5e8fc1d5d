package pairs

import (
	"cmp"
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// Config are the settings of a run: an encoder-decoder learns sentences and their translations.
type Config struct {
	Pairs        DataConfig          `yaml:"pairs,omitzero"`
	Seq2Seq      model.Seq2SeqConfig `yaml:"seq2seq,omitzero"`
	From         From                `yaml:"from,omitzero"` // what it starts from; zero: from nothing
	train.Common `yaml:",inline"`
}

// Default returns the settings of a run that names nothing but its data: the tiny model. The batch, the rate and the
// length of the run are open (see train.Assumer), and Prepare chooses them from the pairs.
func Default() Config {
	m, _ := model.Seq2SeqPreset("tiny")
	o, _ := optim.Default("adamw")
	o.Beta2 = 0.98
	c := Config{
		Pairs:   DataConfig{Split: pairs.Split{Val: 0.02, Seed: 1}, OnBad: pairs.Skip, OnLong: pairs.Skip, Tokenizer: tokenizer.KindBPE, BPEVocab: 8000},
		Seq2Seq: m,
		Common: train.Common{Method: bdia.DefaultOptions(), Optimizer: o, Schedule: optim.Schedule{Kind: "cosine", Final: 0.01},
			Loop: train.LoopConfig{Update: train.WhenAuto, Seed: 1, SampleTokens: 200, LogEvery: 10, CheckEvery: train.DefaultCheckEvery, TensorBoard: true, Keep: 2}},
	}
	c.OpenLoop()
	return c
}

// Validate returns an error for the first invalid setting or combination.
// Open ones are taken as they are without data.
func (c Config) Validate() error {
	c.Assume()
	return cmp.Or(c.Seq2Seq.Validate(), c.Method.Validate(), tokenizer.CheckChoice(c.Pairs.Tokenizer, c.Pairs.BPEVocab),
		c.Pairs.Validate(), c.Common.Validate(), c.Fits(c.Seq2Seq.Fits))
}

// DataConfig says which sentences and translations are learned, and for how long.
type DataConfig struct {
	pairs.Files  `yaml:",inline"`
	ValSource    string           `yaml:"val_source"` // validation pairs, in files of the same format; empty: a share of them
	ValTarget    string           `yaml:"val_target"`
	pairs.Split  `yaml:",inline"` // of what is held out; its share for validation counts without ValSource
	pairs.Filter `yaml:",inline"` // of all pairs but the ones in ValSource

	OnBad       pairs.Policy `yaml:"on_bad"`       // skip or fatal: sentences that are no text
	OnLong      pairs.Policy `yaml:"on_long"`      // skip, truncate or fatal: sentences longer than the model's positions
	Tokenizer   string       `yaml:"tokenizer"`    // char, bpe, or a folder with tokenizer files
	Separate    bool         `yaml:"separate"`     // a tokenizer for each language; folders: source/ and target/
	BPEVocab    int          `yaml:"bpe_vocab"`    // vocabulary of a bpe tokenizer trained on the data
	BatchTokens int          `yaml:"batch_tokens"` // positions of a batch at most, padding and both sides included; 0: open
	Epochs      float64      `yaml:"epochs"`       // length of the run, which sets the schedule's steps; 0: these count
}

// Validate returns an error for the first invalid setting.
func (c DataConfig) Validate() error {
	switch {
	case c.BatchTokens < 1 || c.BatchTokens > train.MaxTokens:
		return fmt.Errorf("train: batches of %d tokens; give 1 to %d", c.BatchTokens, train.MaxTokens)
	case !(c.Epochs >= 0 && c.Epochs <= 1e6):
		return fmt.Errorf("train: %v epochs; give a number up to 1e6, or 0 to count steps", c.Epochs)
	case c.ValSource == "" && c.ValTarget != "":
		return fmt.Errorf("train: targets for validation in %s, but not their sources; name those too", c.ValTarget)
	case c.ValSource != "" && (c.ValTarget == "") != (c.Target == ""):
		return fmt.Errorf("train: pairs for training and for validation have to be in files of one kind: two parallel ones, or a table")
	case c.OnBad != pairs.Skip && c.OnBad != pairs.Fatal:
		return fmt.Errorf("train: %q for bad sentences; use %s or %s", c.OnBad, pairs.Skip, pairs.Fatal)
	case c.OnLong != pairs.Skip && c.OnLong != pairs.Truncate && c.OnLong != pairs.Fatal:
		return fmt.Errorf("train: %q for long sentences; use %s, %s or %s", c.OnLong, pairs.Skip, pairs.Truncate, pairs.Fatal)
	}
	if c.Source != "" { // what is planned has no files
		if err := c.Files.Validate(); err != nil {
			return err
		}
	}
	return cmp.Or(c.Split.Validate(), c.Filter.Validate())
}
