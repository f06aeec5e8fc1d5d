package images

import (
	"context"
	"errors"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrCorrupt marks a file whose bytes are not what its layout says.
	ErrCorrupt = errors.New("corrupt image data")
	// ErrNoImages marks a path that holds no images.
	ErrNoImages = errors.New("no images")
	// ErrClasses marks classes that are too few, or that differ between the sets
	// or from those asked for.
	ErrClasses = errors.New("wrong classes")
	// ErrTooLarge marks an image or archive beyond the limits of this package.
	ErrTooLarge = errors.New("too large")
)

// OnCorrupt says what happens to an image that cannot be decoded.
type OnCorrupt string

const (
	Fatal OnCorrupt = "fatal" // Open fails and names it; the zero value means the same
	Skip  OnCorrupt = "skip"  // it is left out, counted and, among the first, named
)

// Options choose what Open makes of a path. The zero value takes everything as
// it is.
type Options struct {
	// Size is the side S of the images given, in pixels; 0 takes the shorter side
	// of the first image.
	Size int
	// Val is the path of the validation set; empty takes the test set that the
	// path itself holds, if it does.
	Val string
	// ValFraction is the share of each class kept for validation where there is
	// no validation set; 0 keeps none.
	ValFraction float64
	// Samples limits the training set to a class-balanced subset of so many
	// images; 0 takes all.
	Samples int
	// Seed draws the subset and the part kept for validation.
	Seed uint64
	// Norm normalises pixels; the zero value measures it on the training set.
	Norm Norm
	// Classes are the class names that must be found, as of a trained model;
	// empty takes any. A CIFAR file without names takes these.
	Classes []string
	// OnCorrupt is Fatal or Skip.
	OnCorrupt OnCorrupt
	// MaxMemory is the most bytes of pixels kept in memory; 0 means 1 GiB. A set
	// that needs more is decoded whenever it is read. A compressed archive is
	// unpacked into memory, and one that unpacks to more is an error.
	MaxMemory int64
	// Threads decode images; 0 means one for each processor.
	Threads int
}

// Dataset is a training set and a validation set of the same classes.
type Dataset struct {
	Train *Set
	Val   *Set // nil: there is none
	// Skipped counts the images that could not be decoded; Corrupt says what was
	// wrong with the first of them, a line each.
	Skipped int
	Corrupt []string
}

// Open reads the data set at path (see the package's comment for its layouts).
// A path with only one set gives that one as Train, whatever its name. Every
// image is decoded once, so an image that cannot be decoded is found here.
// progress, if not nil, is told what is being done and how far it is, in images.
// A cancelled ctx ends the work with its error.
//
// Errors: ErrNoImages; ErrCorrupt for a damaged file; ErrClasses for fewer than
// two classes or sets of different classes; ErrTooLarge.
func Open(ctx context.Context, path string, o Options, progress func(what string, done, total int64)) (*Dataset, error) {
	panic("not written yet")
}

// Close closes the files of sets that are not in memory. The sets are unusable
// afterwards.
func (d *Dataset) Close() error { panic("not written yet") }
