// Package train is the training loop: one step from top to bottom, evaluation,
// checkpoints, and the sinks that say what happens to gradients.
package train

import (
	"fmt"
	"reflect"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
)

// Config is everything that determines a run's bits, and its habits. It is the
// content of a run's bdia.yaml.
type Config struct {
	Task    Task                `yaml:"task"`
	Data    DataConfig          `yaml:"data,omitzero"`  // of TaskText
	Model   model.GPTConfig     `yaml:"model,omitzero"` // of TaskText and TaskCompletion
	Tune    TuneConfig          `yaml:"tune,omitzero"`  // what it starts from
	Images  ImageConfig         `yaml:"images,omitzero"`
	Augment images.Augment      `yaml:"augment,omitzero"`
	Pixels  images.Norm         `yaml:"pixels,omitzero"` // normalisation; zero: measured on the training images
	ViT     model.ViTConfig     `yaml:"vit,omitzero"`
	Pairs   PairConfig          `yaml:"pairs,omitzero"` // of TaskTranslation, and the prompts and completions of TaskCompletion
	Seq2Seq model.Seq2SeqConfig `yaml:"seq2seq,omitzero"`
	Common  `yaml:",inline"`
}

// Default returns the settings of a run of task that names nothing but its data.
func Default(task Task) Config {
	switch task {
	case TaskImage:
		return DefaultImageConfig()
	case TaskTranslation:
		return DefaultTranslationConfig()
	case TaskCompletion:
		return DefaultCompletionConfig()
	}
	return DefaultConfig()
}

// DefaultImageConfig returns the settings of a run of TaskImage that names nothing
// but its data: the tiny model, trained as the paper does.
func DefaultImageConfig() Config {
	m, _ := model.ViTPreset("tiny")
	o, _ := optim.Default("adamw")
	o.Decay = 0.05
	return Config{
		Task:    TaskImage,
		Images:  ImageConfig{ValFraction: 0.1, SplitSeed: 1, OnCorrupt: images.Fatal, Epochs: 20},
		Augment: images.DefaultAugment(),
		ViT:     m,
		Common: Common{Method: bdia.DefaultOptions(), Optimizer: o,
			Schedule: optim.Schedule{Kind: "cosine", LR: 1e-3, Final: 0.01, Warmup: 100, Steps: 2000},
			Loop:     LoopConfig{Batch: 128, Update: WhenAuto, Seed: 1, LogEvery: 10, TensorBoard: true}},
	}
}

// DefaultTranslationConfig returns the settings of a run of TaskTranslation that
// names nothing but its data: the tiny model.
func DefaultTranslationConfig() Config {
	m, _ := model.Seq2SeqPreset("tiny")
	o, _ := optim.Default("adamw")
	o.Beta2 = 0.98
	return Config{
		Task:    TaskTranslation,
		Pairs:   PairConfig{Split: pairs.Split{Val: 0.02, Seed: 1}, OnBad: pairs.Skip, OnLong: pairs.Skip, Tokenizer: "bpe", BPEVocab: 8000, BatchTokens: 4096, Epochs: 20},
		Seq2Seq: m,
		Common: Common{Method: bdia.DefaultOptions(), Optimizer: o,
			Schedule: optim.Schedule{Kind: "cosine", LR: 2e-3, Final: 0.01, Warmup: 400, Steps: 2000},
			Loop:     LoopConfig{Update: WhenAuto, Seed: 1, SampleTokens: 200, LogEvery: 10, TensorBoard: true}},
	}
}

// DefaultConfig returns the settings of a run of TaskText that names nothing but its data:
// the nano model, trained as the paper does.
func DefaultConfig() Config {
	m, _ := model.GPTPreset("nano")
	o, _ := optim.Default("adamw")
	return Config{
		Task:  TaskText,
		Data:  DataConfig{Tokenizer: "char", BPEVocab: 4096, ValFraction: 0.1},
		Model: m,
		Common: Common{Method: bdia.DefaultOptions(), Optimizer: o,
			Schedule: optim.Schedule{Kind: "cosine", LR: 1e-3, Final: 0.1, Warmup: 100, Steps: 2000},
			Loop: LoopConfig{Batch: 16, Update: WhenAuto, Seed: 1, EvalEvery: 250, EvalSamples: 256,
				SampleTokens: 200, LogEvery: 10, TensorBoard: true}},
	}
}

// Equal reports whether two configurations have the same settings.
func (c Config) Equal(other Config) bool { return reflect.DeepEqual(c, other) }

// Validate reports the first setting, or combination, that cannot be.
func (c Config) Validate() error {
	if err := firstOf(c.validateTask(), c.Common.Validate()); err != nil {
		return err
	}
	if err := c.fits(); err != nil {
		return err
	}
	if n := c.Loop.SamplesAtOnce(); n > c.mostSamples() {
		return fmt.Errorf("train: %d samples of this size at a time; at most %d are possible: use a smaller batch, or micro-batches", n, c.mostSamples())
	}
	if !c.Equal(c.ForTask()) { // now that no number is NaN, which differs from itself
		return fmt.Errorf("train: %w: settings of another task beside task %s", ErrCombination, c.Task)
	}
	return nil
}
