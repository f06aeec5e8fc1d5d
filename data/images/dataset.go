package images

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bdia-go/bdia/data/tally"
)

// DamagedError is the error of one image that cannot be decoded. OnCorrupt Skip leaves
// such images out.
type DamagedError struct{ Err error }

// Error says what is wrong with the image, and where it is.
func (e *DamagedError) Error() string { return e.Err.Error() + "; mend or delete it" }

// Unwrap returns the error of the image: ErrCorrupt or ErrTooLarge is wrapped in it.
func (e *DamagedError) Unwrap() error { return e.Err }

// Errors for errors.Is.
var (
	// ErrCorrupt is wrapped by errors about damaged files.
	ErrCorrupt = errors.New("corrupt image data")
	// ErrNoImages is wrapped by errors about a path without images.
	ErrNoImages = errors.New("no images")
	// ErrClasses is wrapped by errors about fewer than two classes, or classes that
	// differ between the sets or from Options.Classes.
	ErrClasses = errors.New("wrong classes")
	// ErrTooLarge is wrapped by errors about images or archives beyond this package's
	// limits.
	ErrTooLarge = errors.New("too large")
)

// OnCorrupt is the treatment of images that cannot be decoded.
type OnCorrupt string

const (
	Fatal OnCorrupt = "fatal" // Open fails and names it; the empty value means the same
	Skip  OnCorrupt = "skip"  // leave it out and count it; the first few are named
)

const maxSamples = 1 << 28

// DefaultMaxMemory is the limit of Options.MaxMemory that stands for 0, in bytes.
const DefaultMaxMemory = 1 << 30

// Options are the options of Open. The zero value takes all images, in their own size.
type Options struct {
	// Size is the side S to which images are scaled, in pixels, 1 to 4096; 0 means the
	// shorter side of the first image.
	Size int
	// Val is the path of the validation set. If empty, the validation set in the path
	// itself is used, if any.
	Val string
	// ValFraction is the share of each class kept for validation if there is no
	// validation set; 0 keeps none.
	ValFraction float64
	// Samples limits the training set to a class-balanced subset of this many images;
	// 0 takes all. If the number does not divide evenly, the first classes get one
	// more.
	Samples int
	// Seed draws the subset and the part kept for validation.
	Seed uint64
	// Norm normalises pixels. If zero, it is measured on the training set.
	Norm Norm
	// HeldOut opens only the validation set, for evaluation. The training images are
	// then not decoded and Dataset.Train is nil. Without Norm or a validation set it
	// has no effect.
	HeldOut bool
	// Classes are the class names that the sets must have, for example the ones of a
	// trained model; empty accepts any. A CIFAR file without names gets these.
	Classes []string
	// OnCorrupt is Fatal or Skip.
	OnCorrupt OnCorrupt
	// Reading is the version of how the data set is read; 0 means the latest.
	Reading Reading
	// MaxMemory limits the bytes of pixels kept in memory; 0 means 1 GiB. A larger set
	// is decoded again whenever it is read. A compressed archive is unpacked into
	// memory, and it is an error if it exceeds the limit.
	MaxMemory int64
	// Fits, if not nil, reports whether so many bytes in all may be taken for pixels, unpacked archives and lists of files.
	// Pixels and archives that do not fit are treated as beyond MaxMemory; a list that does not fit is an error.
	Fits func(bytes int64) bool
	// Threads is the number of threads that decode images; 0 means one for each
	// processor.
	Threads int
}

// Validate returns an error for the first invalid option.
func (o Options) Validate() error {
	switch {
	case o.Size < 0 || o.Size > maxSize:
		return checkSize(o.Size)
	case !(o.ValFraction >= 0 && o.ValFraction < 1):
		return fmt.Errorf("images: validation fraction is %v; it must be at least 0 and below 1", o.ValFraction)
	case o.Samples < 0:
		return fmt.Errorf("images: a subset of %d images; give a positive number, or 0 for all", o.Samples)
	case o.OnCorrupt != "" && o.OnCorrupt != Fatal && o.OnCorrupt != Skip:
		return fmt.Errorf("images: cannot treat corrupt images by %q; use %s or %s", o.OnCorrupt, Fatal, Skip)
	case o.MaxMemory < 0:
		return fmt.Errorf("images: %d bytes of memory; give a positive number, or 0 for 1 GiB", o.MaxMemory)
	case o.Threads < 0 || o.Threads > maxThreads:
		return fmt.Errorf("images: %d threads; give a number up to %d, or 0 for all processors", o.Threads, maxThreads)
	}
	if !o.Norm.IsZero() {
		if err := o.Norm.Validate(); err != nil {
			return err
		}
	}
	return o.Reading.Validate()
}

// beside returns o for data beside which so many bytes are taken.
func (o Options) beside(bytes int64) Options {
	if all := o.Fits; all != nil {
		o.Fits = func(more int64) bool { return all(bytes + more) }
	}
	return o
}

// Dataset is a training set and a validation set of the same classes.
type Dataset struct {
	Train *Set // nil: see Options.HeldOut
	Val   *Set // nil if there is none
	// Skipped counts the images that could not be decoded. Corrupt has the errors of
	// the first of them, one line each.
	Skipped int
	Corrupt []string

	ledger
	filesUsed, idle int64
	unpacked        int64 // bytes of archives in memory
	listed          int64 // bytes of the lists of files
	ownVal          bool
	close           []func() error
}

// Files returns how many files were seen. LeftOut counts the things that are not used, or not as they are, by their
// reasons; images that could not be decoded are in Skipped. Unused are sets beside the two. Notes say how the data set
// was understood, a sentence each.
// FilesUsed counts the files with images of the two sets. Idle counts the images that Options.Samples leaves out.
// OwnVal reports that the data set has a validation set, so that none was drawn from the training images.
func (d *Dataset) Files() int64        { return d.files }
func (d *Dataset) FilesUsed() int64    { return d.filesUsed }
func (d *Dataset) Idle() int64         { return d.idle }
func (d *Dataset) OwnVal() bool        { return d.ownVal }
func (d *Dataset) LeftOut() tally.List { return slices.Clone(d.leftOut) }
func (d *Dataset) Unused() []Unused    { return slices.Clone(d.unused) }
func (d *Dataset) Notes() []string     { return slices.Clone(d.notes) }

// Bytes returns the memory that decoded images and unpacked archives take.
func (d *Dataset) Bytes() int64 {
	n := d.unpacked
	for _, s := range []*Set{d.Train, d.Val} {
		if s != nil {
			n += s.Bytes()
		}
	}
	return n
}

// Listed returns about what the lists of files and records take in memory, in bytes, also while they are made.
func (d *Dataset) Listed() int64 { return d.listed }

// Close closes the archives of sets that are not in memory. These sets cannot be used
// afterwards.
func (d *Dataset) Close() error {
	var all []error
	for _, c := range d.close {
		all = append(all, c())
	}
	d.close, d.unpacked = nil, 0
	return errors.Join(all...)
}

// Open reads the data set at path (see the package's comment for its layouts). If the
// path has only one set, it becomes Train, whatever its name. Every image is decoded
// once, so bad images are found here. progress, if not nil, is called with "unpacking"
// and bytes of a compressed archive, and with "decoding" and numbers of images, by one
// goroutine at a time. A cancelled ctx stops Open with the context's error.
//
// Errors: ErrNoImages; ErrCorrupt for a damaged file; ErrClasses for fewer than
// two classes or sets of different classes; ErrTooLarge.
func Open(ctx context.Context, path string, o Options, progress func(what string, done, total int64)) (*Dataset, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.MaxMemory == 0 {
		o.MaxMemory = DefaultMaxMemory
	}
	o.Threads = threadsOf(o.Threads)
	d := &Dataset{}
	if err := d.open(ctx, path, o, progress); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Dataset) open(ctx context.Context, path string, o Options, progress func(string, int64, int64)) error {
	train, val, err := d.list(ctx, path, o, progress)
	if err != nil {
		return err
	}
	if o.Val != "" {
		other, inner, err := d.list(ctx, o.Val, o, progress)
		if err != nil {
			return err
		}
		if val = other; inner != nil {
			val = inner
		}
	}
	if err := checkClasses(path, train, val, o.Classes); err != nil {
		return err
	}
	if d.ownVal = val != nil; val == nil && o.ValFraction > 0 {
		val = &part{classes: train.classes}
		val.samples, train.samples = choose(train.samples, len(train.classes), o.Seed, forSplit, func(_, have int) int {
			held := int(o.ValFraction*float64(have) + 0.5)
			if have > 1 && o.Reading.latest() { // one at least of every class in both sets
				held = min(max(held, 1), have-1)
			}
			return held
		})
		if len(val.samples) == 0 || len(train.samples) == 0 {
			return fmt.Errorf("images: %s: validation fraction %v of %d images leaves %d for training and %d for validation; choose another",
				path, o.ValFraction, len(train.samples)+len(val.samples), len(train.samples), len(val.samples))
		}
	}
	if have := len(train.samples); o.Samples > 0 {
		if err := train.subset(o.Samples, o.Seed); err != nil {
			return err
		}
		d.idle = int64(have - len(train.samples))
	}
	return d.load(ctx, train, val, o, progress)
}
