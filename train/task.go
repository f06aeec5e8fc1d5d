package train

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/model"
)

// Task names what a run learns.
type Task string

// The tasks. What they differ in stands behind two interfaces: samples, which a
// run opens, and learner, which a session trains.
const (
	TaskText        Task = "text"        // a language model learns text
	TaskImage       Task = "image"       // a classifier learns images
	TaskTranslation Task = "translation" // an encoder-decoder learns sentences and their translations
	TaskCompletion  Task = "completion"  // a trained language model learns to complete prompts
)

// Tasks lists the tasks.
func Tasks() []Task { return []Task{TaskText, TaskImage, TaskTranslation, TaskCompletion} }

// ofPairs and ofGPT say what a task learns from, and what learns it.

func (t Task) ofPairs() bool { return t == TaskTranslation || t == TaskCompletion }
func (t Task) ofGPT() bool   { return t == TaskText || t == TaskCompletion }

// Samples is what a run learns from: its Text, Images or Pairs, or made-up ones from Random.
type Samples interface {
	// Learner allocates the model of cfg on be, to learn from these samples.
	Learner(be backend.Backend, cfg Config) (Learner, error)
}

// samples are those of a run directory.
type samples interface {
	Samples
	// Open makes them ready to learn from. progress may be nil.
	Open(ctx context.Context, progress func(what string, done, total int64)) error
	// save writes the files that a model folder has beside its weights.
	save(dir string) error
	Close() error
}

// prepare makes the samples of a new run in dir and completes cfg by them.
func prepare(ctx context.Context, dir string, cfg *Config, progress func(what string, done, total int64)) (samples, error) {
	switch cfg.Task {
	case TaskImage:
		return createImages(ctx, cfg, progress)
	case TaskTranslation, TaskCompletion:
		return createPairs(ctx, dir, cfg, progress)
	}
	return createText(ctx, dir, cfg, progress)
}

// reopen opens the samples of the run in dir.
func reopen(dir string, cfg Config) (samples, error) {
	switch cfg.Task {
	case TaskImage:
		return openImages(dir, cfg)
	case TaskTranslation, TaskCompletion:
		return openPairs(dir, cfg)
	}
	return openText(dir, cfg)
}

// Random returns samples of uniformly random content, for measurements.
func Random(cfg Config) Samples {
	switch cfg.Task {
	case TaskImage:
		return imageSource{randomPixels{cfg.Loop.Seed, cfg.ViT.Classes}}
	case TaskTranslation, TaskCompletion:
		return randomPairs(cfg)
	}
	return tokens{randomTokens{uint32(cfg.Model.Vocab)}}
}

// blank returns samples for planning, where content does not matter.
func blank(cfg Config) Samples {
	switch cfg.Task {
	case TaskImage:
		return imageSource{noPixels{}}
	case TaskTranslation, TaskCompletion:
		return blankPairs(cfg)
	}
	return tokens{noTokens{}}
}

// Score is what an evaluation measures.
type Score struct {
	Loss     float64 // mean in nats, a token or an image; NaN where nothing was evaluated
	Accuracy float64 // of images: share whose class is the most likely one
	Top5     float64 // of images: share whose class is among the five most likely
}

// unmeasured is the score of no evaluation.
var unmeasured = Score{Loss: math.NaN()}

// better reports whether s is better than the best score that st remembers: by
// accuracy, where that is measured, and then by loss.
func (s Score) better(st checkpoint.State) bool {
	return s.Accuracy > st.BestAccuracy || s.Accuracy == st.BestAccuracy && s.Loss < st.BestLoss
}

// Unit names what a run's speed is counted in, and says how many of them a sample
// is. A sample has as many losses. Those of a translation or completion are the
// tokens of the target, which perSample, 0, does not know.
func (c Config) Unit() (name string, perSample int) {
	switch c.Task {
	case TaskImage:
		return "images", 1
	case TaskTranslation, TaskCompletion:
		return "tokens", 0
	}
	return "tokens", c.Window()
}

// mostSamples is how many samples a model of c, which is valid, takes at a time.
func (c Config) mostSamples() int {
	switch c.Task {
	case TaskImage:
		return min(maxTokens/c.ViT.Positions(), MostImages(c.ViT))
	case TaskTranslation, TaskCompletion: // as many as its tokens allow
		return maxSamples
	}
	return maxTokens / c.Window()
}

// MostImages returns how many images of c, which is valid, are taken at a time.
func MostImages(c model.ViTConfig) int { return max(1, maxPixels/c.Pixels()) }

// ForTask returns c without the settings of tasks that it does not have.
func (c Config) ForTask() Config {
	if !slices.Contains(Tasks(), c.Task) {
		return c
	}
	if c.Task != TaskText {
		c.Data = DataConfig{}
	}
	if !c.Task.ofGPT() {
		c.Model, c.Tune = model.GPTConfig{}, TuneConfig{}
	}
	if c.Task != TaskImage {
		c.Images, c.Augment, c.Pixels, c.ViT = ImageConfig{}, images.Augment{}, images.Norm{}, model.ViTConfig{}
	}
	if !c.Task.ofPairs() {
		c.Pairs = PairConfig{}
	}
	if c.Task != TaskTranslation {
		c.Seq2Seq = model.Seq2SeqConfig{}
	}
	return c
}

// Absolute makes the paths of images and of sentence pairs absolute, so that a run
// finds them again from any folder.
func (c *Config) Absolute() error {
	p := &c.Pairs
	for _, path := range []*string{&c.Images.Path, &c.Images.Test, &c.Images.From, &p.Files.Source, &p.Files.Target, &p.ValSource, &p.ValTarget, &c.Tune.From} {
		if *path == "" {
			continue
		}
		abs, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("train: %w", err)
		}
		*path = abs
	}
	return nil
}

// validateTask reports the first thing wrong with the sections of c's task.
func (c Config) validateTask() error {
	if c.Loop.Batch < 1 && !c.Task.ofPairs() {
		return errBatch(c.Loop.Batch)
	}
	switch c.Task {
	case TaskText:
		return firstOf(c.Model.Validate(), c.Data.Validate(), c.Method.Validate(), c.validateTune())
	case TaskImage:
		if err := c.ViT.Validate(); err != nil { // whose sizes the others count with
			return err
		}
		return firstOf(c.ViT.ValidateMethod(c.Method), c.validateImages())
	case TaskTranslation:
		return firstOf(c.Seq2Seq.Validate(), c.Method.Validate(), c.validatePairs())
	case TaskCompletion:
		return firstOf(c.Model.Validate(), c.Method.Validate(), c.validatePairs(), c.validateTune())
	}
	return fmt.Errorf("train: unknown task %q; use %s, %s, %s or %s", c.Task, TaskText, TaskImage, TaskTranslation, TaskCompletion)
}

func (c Config) validateImages() error {
	if c.Loop.SampleEvery > 0 {
		return fmt.Errorf("train: %w: samples of text every %d steps, and task %s; leave out --sample-every", ErrCombination, c.Loop.SampleEvery, TaskImage)
	}
	if !c.Pixels.IsZero() {
		if err := c.Pixels.Validate(); err != nil {
			return err
		}
	}
	return firstOf(c.Images.Validate(), c.batchOptions().Validate())
}

// firstOf returns the first error of a list.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
