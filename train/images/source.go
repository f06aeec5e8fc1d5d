package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/train"
)

// ErrNoImages is wrapped by the error of settings that name no images.
var ErrNoImages = errors.New("no images; name a folder or an archive")

// Open finds and decodes the images, unless that has been done. progress, which
// may be nil, hears how far it is.
func (t *Task) Open(ctx context.Context, progress train.Progress) error {
	return t.open(ctx, false, progress)
}

// OpenHeldOut is Open for who does not learn: where images are held out, it finds
// and decodes only those.
func (t *Task) OpenHeldOut(ctx context.Context) error { return t.open(ctx, true, nil) }

func (t *Task) open(ctx context.Context, heldOut bool, progress train.Progress) (err error) {
	if t.set != nil {
		if heldOut || t.set.Train != nil {
			return nil
		}
		if err := t.set.Close(); err != nil {
			return err
		}
	}
	c := t.Settings.Images
	if c.Path == "" {
		return fmt.Errorf("train: %w", ErrNoImages)
	}
	for _, p := range []string{c.Path, c.Test} {
		if _, err := os.Stat(p); p != "" && t.reopened && errors.Is(err, fs.ErrNotExist) {
			return &MovedError{p, c.Learned != (images.Fingerprint{})}
		}
	}
	o := images.Options{Size: t.Settings.ViT.Image, Val: c.Test, ValFraction: c.ValFraction, Samples: c.Subset,
		Seed: c.SplitSeed, Norm: t.Settings.Pixels, HeldOut: heldOut, Classes: t.classes, OnCorrupt: c.OnCorrupt, Reading: t.reading(),
		Threads: t.Settings.Engine.Threads}
	if heldOut { // nothing is trained
		ctx = train.PlanOnly(ctx)
	}
	least := New(t.Settings)
	train.Fill(&least.Settings.Loop.Batch, max(1, t.Settings.Loop.MicroBatch))
	if err := train.Fits(ctx, least); err != nil {
		return err
	}
	o.Fits = train.Beside(ctx, least)
	t.set, err = images.Open(ctx, c.Path, o, progress)
	if err != nil {
		t.set = nil
		return err
	}
	if err := t.compare(); err != nil {
		t.set.Close()
		t.set = nil
		return err
	}
	return nil
}

// Host is what the decoded images take: of a run that is not open, as many as it learned.
func (t *Task) Host() train.Host {
	if t.set != nil {
		return train.Host{Images: t.set.Bytes(), Lists: t.set.Listed()}
	}
	c, side := t.Settings.Images, int64(t.Settings.ViT.Image)
	if n := int64(c.Learned.Images+c.Held.Images) * 3 * side * side; n <= images.DefaultMaxMemory {
		return train.Host{Images: n}
	}
	return train.Host{}
}

// reading is how the images are read: as they were when the run began.
func (t *Task) reading() images.Reading {
	if t.reopened && t.Settings.Images.Reading == 0 {
		return images.FirstReading
	}
	return t.Settings.Images.Reading
}

// Close lets go of the images.
func (t *Task) Close() error {
	if t.batches != nil {
		t.batches.Close()
		t.batches = nil
	}
	if t.set == nil {
		return nil
	}
	set := t.set
	t.set = nil
	return set.Close()
}

// Set returns the opened images that are learned, or those held out: nil where
// there are none, or those that are learned have not been opened.
func (t *Task) Set(training bool) *images.Set {
	if training {
		return t.set.Train
	}
	return t.set.Val
}

// Skipped returns how many images could not be decoded and were left out, and
// what was wrong with the first of them.
func (t *Task) Skipped() (n int, first []string) { return t.set.Skipped, t.set.Corrupt }

// StepBatch fills b with the first images of a step.
func (t *Task) StepBatch(step int, b model.ImageBatch) error {
	batches, err := images.NewBatches(t.set.Train, t.Settings.batchOptions())
	if err != nil {
		return err
	}
	defer batches.Close()
	return batches.Batch(step, 0, b.Size, b.Pixels, b.Targets)
}
