package images

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/train"
)

// MovedError is the error of a run that does not find its images.
type MovedError struct {
	Path  string // as the run has it
	Known bool   // the run has the fingerprint of its images, so it can be told their new place
}

// Error names the path.
func (e *MovedError) Error() string {
	help := "put them back, or write their new place into bdia.yaml, under images"
	if e.Known {
		help = "name their new place"
	}
	return fmt.Sprintf("train: the images of this run are not at %s; %s", e.Path, help)
}

// ChangedError is the error of images that are not the ones of the run.
type ChangedError struct {
	Path string
	Part string // the training or the validation images
	What string // is different, as far as that is known
}

// Error says what has changed.
func (e *ChangedError) Error() string {
	return fmt.Sprintf("train: the %s images in %s are not the ones of this run: %s; bring them back, or start a new run", e.Part, e.Path, e.What)
}

// compare holds the open images against the ones of the run, if it has kept their fingerprints.
func (t *Task) compare() error {
	c := t.Settings.Images
	for _, part := range []struct {
		name string
		was  images.Fingerprint
		set  *images.Set
	}{{"training", c.Learned, t.set.Train}, {"validation", c.Held, t.set.Val}} {
		if !t.reopened || part.was == (images.Fingerprint{}) || part.set == nil {
			continue
		}
		if what := part.was.Changed(part.set.Fingerprint()); what != "" {
			return &ChangedError{c.Path, part.name, what}
		}
	}
	return nil
}

// unchecked is a note for a run of the first version, which kept no fingerprints.
func (t *Task) unchecked() []string {
	if !t.reopened || t.Settings.Images.Learned != (images.Fingerprint{}) {
		return nil
	}
	return []string{"This run kept no fingerprint of its images, so nothing tells whether they have changed."}
}

// keep notes which images the run has, and how they are read.
func (t *Task) keep() {
	c := &t.Settings.Images
	c.Reading = cmp.Or(c.Reading, images.LatestReading)
	c.Learned, c.Held = t.set.Train.Fingerprint(), images.Fingerprint{}
	if t.set.Val != nil {
		c.Held = t.set.Val.Fingerprint()
	}
}

// OpenAt opens the images of the run, which have moved to path, and test if the run has a validation set of its own. It
// fails with a ChangedError if they are others. With heldOut it opens the images held out only. The settings stay.
func (t *Task) OpenAt(ctx context.Context, path, test string, heldOut bool, progress train.Progress) error {
	c := &t.Settings.Images
	was := *c
	c.Path, c.Test = path, test
	err := t.open(ctx, heldOut, progress)
	*c = was
	return err
}

// ReadingOf returns how the run in dir reads images: the latest version if dir is no run of images.
func ReadingOf(dir string) (images.Reading, error) {
	path := filepath.Join(dir, "bdia.yaml")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return images.LatestReading, nil
	}
	t, err := train.ReadConfig(path, New(Default()))
	if err != nil {
		return 0, err
	}
	if own, ok := t.(*Task); ok {
		return cmp.Or(own.Settings.Images.Reading, images.FirstReading), nil
	}
	return images.LatestReading, nil
}
