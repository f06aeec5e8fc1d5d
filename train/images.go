package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/model"
)

// ImageConfig says which images are learned, and for how long.
type ImageConfig struct {
	Path           string           `yaml:"path"`            // data set: see package data/images
	Test           string           `yaml:"test"`            // validation set; empty: that of path, or a part of it
	ValFraction    float64          `yaml:"val_fraction"`    // share of each class held out where there is no validation set
	Subset         int              `yaml:"subset"`          // learn only so many images, as many of each class; 0: all
	SplitSeed      uint64           `yaml:"split_seed"`      // draws the subset and the images held out
	OnCorrupt      images.OnCorrupt `yaml:"on_corrupt"`      // fatal or skip: images that cannot be decoded
	LabelSmoothing float64          `yaml:"label_smoothing"` // share of a target that is spread over all classes
	Epochs         float64          `yaml:"epochs"`          // length of the run, which sets the schedule's steps; 0: these count
	From           string           `yaml:"from"`            // model folder whose weights the run starts with; empty: initial ones
}

// Validate reports the first setting that cannot be.
func (c ImageConfig) Validate() error {
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
	return nil
}

// Images are the images of a run. They are decoded by Open, and by Create and
// Run.Train, not by opening the run.
type Images struct {
	cfg     Config
	classes []string // that must be found; nil: any
	set     *images.Dataset
	batches *images.Batches
}

// createImages opens the images and completes cfg: classes, normalisation, and
// steps by epochs.
func createImages(ctx context.Context, cfg *Config, progress func(what string, done, total int64)) (*Images, error) {
	if err := cfg.Absolute(); err != nil {
		return nil, err
	}
	if cfg.Images.From != "" && cfg.Pixels.IsZero() {
		from, err := convert.ReadViTConfig(cfg.Images.From)
		if err != nil {
			return nil, err
		}
		cfg.Pixels = images.Norm{Mean: from.Mean, Std: from.Std}
	}
	m := &Images{cfg: *cfg}
	if err := m.Open(ctx, progress); err != nil {
		return nil, err
	}
	cfg.Pixels, cfg.ViT.Classes = m.set.Train.Norm(), len(m.set.Train.Classes())
	perEpoch := float64(m.set.Train.Len()) / float64(cfg.Loop.Batch)
	if cfg.Images.Epochs > 0 {
		cfg.Schedule.Steps = int(math.Ceil(cfg.Images.Epochs * perEpoch))
	}
	if cfg.Loop.EvalEvery == 0 {
		cfg.Loop.EvalEvery = int(math.Ceil(perEpoch))
	}
	m.cfg = *cfg
	if err := cfg.Validate(); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// openImages prepares to open the images of the run in dir, whose classes have
// to be those of its model.
func openImages(dir string, cfg Config) (*Images, error) {
	m := &Images{cfg: cfg}
	was, err := convert.ReadViTConfig(dir)
	if err == nil {
		m.classes = was.Labels
	} else if !errors.Is(err, fs.ErrNotExist) { // stopped before the first checkpoint
		return nil, err
	}
	return m, nil
}

// Open finds and decodes the images, unless that has been done. progress, which
// may be nil, hears how far it is.
func (m *Images) Open(ctx context.Context, progress func(what string, done, total int64)) error {
	return m.open(ctx, false, progress)
}

// OpenHeldOut is Open for who does not learn: where images are held out, it finds
// and decodes only those.
func (m *Images) OpenHeldOut(ctx context.Context) error { return m.open(ctx, true, nil) }

func (m *Images) open(ctx context.Context, heldOut bool, progress func(what string, done, total int64)) (err error) {
	if m.set != nil {
		if heldOut || m.set.Train != nil {
			return nil
		}
		if err := m.set.Close(); err != nil {
			return err
		}
	}
	c := m.cfg.Images
	if c.Path == "" {
		return fmt.Errorf("train: no images; name a folder or an archive with --data")
	}
	m.set, err = images.Open(ctx, c.Path, images.Options{Size: m.cfg.ViT.Image, Val: c.Test, ValFraction: c.ValFraction, Samples: c.Subset,
		Seed: c.SplitSeed, Norm: m.cfg.Pixels, HeldOut: heldOut, Classes: m.classes, OnCorrupt: c.OnCorrupt, Threads: m.cfg.Engine.Threads}, progress)
	return err
}

// Close lets go of the images.
func (m *Images) Close() error {
	if m.batches != nil {
		m.batches.Close()
	}
	if m.set == nil {
		return nil
	}
	return m.set.Close()
}

// save writes nothing: config.json has classes and normalisation.
func (m *Images) save(string) error { return nil }

// Set returns the opened images that are learned, or those held out: nil where
// there are none, or those that are learned have not been opened.
func (m *Images) Set(training bool) *images.Set {
	if training {
		return m.set.Train
	}
	return m.set.Val
}

// Skipped returns how many images could not be decoded and were left out, and
// what was wrong with the first of them.
func (m *Images) Skipped() (n int, first []string) { return m.set.Skipped, m.set.Corrupt }

// Batch fills b with the first images of a step of cfg.
func (m *Images) Batch(cfg Config, step int, b model.ImageBatch) error {
	batches, err := images.NewBatches(m.set.Train, cfg.batchOptions())
	if err != nil {
		return err
	}
	defer batches.Close()
	return batches.Batch(step, 0, b.Size, b.Pixels, b.Targets)
}

func (c Config) batchOptions() images.BatchOptions {
	return images.BatchOptions{Batch: c.Loop.Batch, Augment: c.Augment, LabelSmoothing: c.Images.LabelSmoothing, Seed: c.Loop.Seed, Threads: c.Engine.Threads}
}

// Learner returns a ViT that learns the images, which are open.
func (m *Images) Learner(be backend.Backend, cfg Config) (Learner, error) {
	if m.set == nil {
		return nil, fmt.Errorf("train: the images of the run are not open yet; call Open before")
	}
	if m.batches != nil {
		m.batches.Close()
	}
	var err error
	if m.batches, err = images.NewBatches(m.set.Train, cfg.batchOptions()); err != nil {
		return nil, err
	}
	v, err := newVision(be, cfg, m.batches)
	if err != nil {
		return nil, err
	}
	v.classes, v.val = m.set.Train.Classes(), m.set.Val
	if n := m.set.Skipped; n > 0 {
		v.remarks = append(v.remarks, fmt.Sprintf("Images left out, for they cannot be decoded: %d, first %s", n, m.set.Corrupt[0]))
	}
	if cfg.Loop.EvalTrain {
		v.train = m.set.Train
	}
	return v, nil
}
