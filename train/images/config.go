package images

import (
	"cmp"
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/train"
)

// Config are the settings of a run: a classifier learns images.
type Config struct {
	Images       DataConfig      `yaml:"images,omitzero"`
	Augment      images.Augment  `yaml:"augment,omitzero"`
	Pixels       images.Norm     `yaml:"pixels,omitzero"` // normalisation; zero: measured on the training images
	ViT          model.ViTConfig `yaml:"vit,omitzero"`
	train.Common `yaml:",inline"`
}

// Default returns the settings of a run that names nothing but its data: the tiny model, trained as the paper does. The
// batch, the rate and the length of the run are open (see train.Assumer), and Prepare chooses them from the images.
func Default() Config {
	m, _ := model.ViTPreset("tiny")
	o, _ := optim.Default("adamw")
	o.Decay = 0.05
	c := Config{
		Images:  DataConfig{ValFraction: 0.1, SplitSeed: 1, OnCorrupt: images.Fatal},
		Augment: images.DefaultAugment(),
		ViT:     m,
		Common: train.Common{Method: bdia.DefaultOptions(), Optimizer: o, Schedule: optim.Schedule{Kind: "cosine", Final: 0.01},
			Loop: train.LoopConfig{Update: train.WhenAuto, Seed: 1, LogEvery: 10, CheckEvery: train.DefaultCheckEvery, TensorBoard: true, Keep: 2}},
	}
	c.OpenLoop()
	return c
}

// ErrSamples is wrapped by the error of a run of images that is to write samples of text.
var ErrSamples = fmt.Errorf("%w: samples of text, and images", train.ErrCombination)

// Validate returns an error for the first invalid setting or combination.
// Open ones are taken as they are without data.
func (c Config) Validate() error {
	c.Assume()
	if err := cmp.Or(c.Loop.HasBatch(), c.ViT.Validate()); err != nil { // the others count with its sizes
		return err
	}
	if err := c.ViT.ValidateMethod(c.Method); err != nil {
		return err
	}
	if c.Loop.SampleEvery > 0 {
		return fmt.Errorf("train: %w, every %d steps", ErrSamples, c.Loop.SampleEvery)
	}
	if !c.Pixels.IsZero() {
		if err := c.Pixels.Validate(); err != nil {
			return err
		}
	}
	if err := cmp.Or(c.Images.Validate(), c.batchOptions().Validate(), c.Common.Validate(), c.Fits(c.ViT.Fits)); err != nil {
		return err
	}
	return c.Loop.AtOnce(c.atOnce())
}

// atOnce is how many samples the model takes at a time at most.
func (c Config) atOnce() int { return min(train.MaxTokens/c.ViT.Positions(), MostImages(c.ViT)) }

// maxPixels are the most values of images in a micro-batch.
const maxPixels = 1 << 28

// MostImages returns how many images of c, which is valid, are taken at a time.
func MostImages(c model.ViTConfig) int { return max(1, maxPixels/c.Pixels()) }

// batchOptions are how batches are made.
func (c Config) batchOptions() images.BatchOptions {
	return images.BatchOptions{Batch: c.Loop.Batch, Augment: c.Augment, LabelSmoothing: c.Images.LabelSmoothing, Seed: c.Loop.Seed, Threads: c.Engine.Threads}
}

// DataConfig says which images are learned, and for how long.
type DataConfig struct {
	Path           string           `yaml:"path"`            // data set: see package data/images
	Test           string           `yaml:"test"`            // validation set; empty: the one in path, or a part of it
	ValFraction    float64          `yaml:"val_fraction"`    // share of each class held out if there is no validation set
	Subset         int              `yaml:"subset"`          // learn only so many images, as many of each class; 0: all
	SplitSeed      uint64           `yaml:"split_seed"`      // draws the subset and the images held out
	OnCorrupt      images.OnCorrupt `yaml:"on_corrupt"`      // fatal or skip: images that cannot be decoded
	LabelSmoothing float64          `yaml:"label_smoothing"` // share of a target that is spread over all classes
	Epochs         float64          `yaml:"epochs"`          // length of the run, which sets the schedule's steps; 0: these count
	From           string           `yaml:"from"`            // model folder with the weights that the run starts with; empty: initial ones

	// A run finds these itself. Runs of the first version have none of them.
	Reading images.Reading     `yaml:"reading,omitzero"` // version of how the images are read; 0: the first
	Learned images.Fingerprint `yaml:"learned,omitzero"` // of the training images
	Held    images.Fingerprint `yaml:"held,omitzero"`    // of the images held out
}

// Validate returns an error for the first invalid setting.
func (c DataConfig) Validate() error {
	switch {
	case !(c.ValFraction >= 0 && c.ValFraction < 1):
		return fmt.Errorf("train: validation fraction is %v; it must be at least 0 and below 1", c.ValFraction)
	case c.Subset < 0:
		return fmt.Errorf("train: a subset of %d images; give a positive number, or 0 for all", c.Subset)
	case c.OnCorrupt != images.Fatal && c.OnCorrupt != images.Skip:
		return fmt.Errorf("train: %q for corrupt images; use %s or %s", c.OnCorrupt, images.Fatal, images.Skip)
	case !(c.LabelSmoothing >= 0 && c.LabelSmoothing < 1):
		return fmt.Errorf("train: label smoothing is %v; it must be at least 0 and below 1", c.LabelSmoothing)
	case !(c.Epochs >= 0 && c.Epochs <= 1e6):
		return fmt.Errorf("train: %v epochs; give a number up to 1e6, or 0 to count steps", c.Epochs)
	}
	return c.Reading.Validate()
}
