// Package images is the task of vision transformers: a classifier learns images.
package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
)

// Name is the task's name in bdia.yaml.
const Name = "image"

func init() { train.Register(Name, func() train.Task { return New(Default()) }) }

// Task is a run's settings and data. Images are decoded by Open, and by train.Create and Run.Train, not by opening the
// run.
type Task struct {
	Settings Config

	classes  []string // that must be found; nil: any
	reopened bool     // the settings are a run's, which its images have to fit
	set      *images.Dataset
	batches  *images.Batches
}

// New returns the task of the settings c.
func New(c Config) *Task { return &Task{Settings: c} }

// Name, Config and Common return what a run keeps in bdia.yaml.
func (t *Task) Name() string          { return Name }
func (t *Task) Config() any           { return &t.Settings }
func (t *Task) Common() *train.Common { return &t.Settings.Common }

// Validate returns an error for the first invalid setting or combination.
func (t *Task) Validate() error { return t.Settings.Validate() }

// Epochs is the length of the run in epochs; 0: it is in steps.
func (t *Task) Epochs() float64 { return t.Settings.Images.Epochs }

// Fixed is the settings without augmentation, dropout, label smoothing and epochs, which may change, and without the
// place of images that are known by their fingerprint.
func (t *Task) Fixed() any {
	c := t.Settings
	m := &c.ViT
	m.EmbeddingDropout, m.AttentionDropout, m.ResidualDropout, m.StochasticDepth = 0, 0, 0, 0
	c.Augment = images.Augment{}
	c.Images.LabelSmoothing, c.Images.Epochs = 0, 0
	if c.Images.Learned != (images.Fingerprint{}) { // the images tell themselves wherever they are
		c.Images.Path, c.Images.Test = "", ""
	}
	return c
}

// Prepare opens the images and completes the settings: classes, normalisation, and steps by epochs.
func (t *Task) Prepare(ctx context.Context, _ string, progress train.Progress) error {
	c := &t.Settings
	if err := train.Absolute(&c.Images.Path, &c.Images.Test, &c.Images.From); err != nil {
		return err
	}
	if c.Images.From != "" && c.Pixels.IsZero() {
		from, err := convert.ReadViTConfig(c.Images.From)
		if err != nil {
			return err
		}
		c.Pixels = images.Norm{Mean: from.Mean, Std: from.Std}
	}
	if err := t.Open(ctx, progress); err != nil {
		return err
	}
	t.keep()
	c.Pixels, c.ViT.Classes = t.set.Train.Norm(), len(t.set.Train.Classes())
	c.choose(t.set.Train.Len())
	if err := c.Validate(); err != nil {
		t.Close()
		return err
	}
	return nil
}

// Reopen prepares to open the images of the run in dir. Their classes have to be the ones of its model.
func (t *Task) Reopen(dir string) error {
	t.reopened = true
	was, err := convert.ReadViTConfig(dir)
	if err == nil {
		t.classes = was.Labels
	} else if !errors.Is(err, fs.ErrNotExist) { // stopped before the first checkpoint
		return err
	}
	return nil
}

// Save writes nothing: config.json has classes and normalisation.
func (t *Task) Save(string) error { return nil }

// Learner allocates the model on be, to learn from the images, which are open.
func (t *Task) Learner(be backend.Backend) (train.Learner, error) {
	if t.set == nil {
		return nil, fmt.Errorf("train: the images of the run are not open yet; call Open before")
	}
	if t.batches != nil {
		t.batches.Close()
	}
	var err error
	if t.batches, err = images.NewBatches(t.set.Train, t.Settings.batchOptions()); err != nil {
		return nil, err
	}
	v, err := newVision(be, t.Settings, t.batches)
	if err != nil {
		return nil, err
	}
	v.classes, v.val = t.set.Train.Classes(), t.set.Val
	if n := t.set.Skipped; n > 0 {
		v.remarks = append(v.remarks, fmt.Sprintf("Images left out, for they cannot be decoded: %d, first %s", n, t.set.Corrupt[0]))
	}
	v.remarks = append(v.remarks, t.unchecked()...)
	if t.Settings.Loop.EvalTrain {
		v.training = t.set.Train
	}
	return v, nil
}

// Clone returns a task with the same settings, and without data.
func (t *Task) Clone() train.Synthetic { return New(t.Settings) }

// Blank allocates the model on be, to learn from images without content.
func (t *Task) Blank(be backend.Backend) (train.Learner, error) {
	return newVision(be, t.Settings, noPixels{})
}

// Random allocates the model on be, to learn from random pixels and classes.
func (t *Task) Random(be backend.Backend) (train.Learner, error) {
	return newVision(be, t.Settings, t.random())
}

func (t *Task) random() randomPixels {
	return randomPixels{t.Settings.Loop.Seed, t.Settings.ViT.Classes}
}

// RandomBatch fills b with uniformly random pixels, of mean 0 and standard deviation 1, and classes: the batch of a
// step of Random.
func (t *Task) RandomBatch(step int, b model.ImageBatch) {
	_ = t.random().Batch(step, 0, b.Size, b.Pixels, b.Targets)
}

// SetBatch makes batches of n images, taken at once; MostBatch is the largest n.
func (t *Task) SetBatch(n int) { t.Settings.Loop.Batch, t.Settings.Loop.MicroBatch = n, 0 }
func (t *Task) MostBatch() int { return t.Settings.atOnce() }

// SetMemory changes the memory mode. A model of two streams keeps its method, which is its only one.
func (t *Task) SetMemory(m bdia.Memory) {
	if t.Settings.ViT.TwoStream {
		t.Settings.Method.Memory = m
		return
	}
	t.Settings.Common.SetMemory(m)
}

// RevViT is the name of the two-stream model among Variants.
const RevViT = "revvit"

// Variants are the models of the same sizes that a plan compares with: the two-stream one.
func (t *Task) Variants() map[string]train.Synthetic {
	if t.Settings.ViT.TwoStream {
		return nil
	}
	c := t.Settings
	c.ViT.TwoStream, c.Method = true, bdia.Options{Memory: bdia.Reversible, Grid: bdia.NoGrid}
	return map[string]train.Synthetic{RevViT: New(c)}
}
