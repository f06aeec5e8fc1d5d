package images

import "fmt"

// Reading is a version of how data sets are read. The latest finds more files, recognises sets by more names, turns
// photographs upright and interpolates their colour. A run keeps the one that it began with.
type Reading int

const (
	// FirstReading takes PNG, JPEG and WebP files, follows no links, knows the sets train, val, valid, validation and
	// test only, does not apply EXIF orientation, and repeats the colour of JPEG and WebP instead of interpolating it.
	FirstReading Reading = 1
	// LatestReading is what the package's comment describes. Zero means the same.
	LatestReading Reading = 2
)

func (r Reading) latest() bool { return r != FirstReading }

// Validate returns an error for a version that is not known.
func (r Reading) Validate() error {
	if r < 0 || r > LatestReading {
		return fmt.Errorf("images: images are read as version %d has it, but this program knows versions up to %d; use a newer one", r, LatestReading)
	}
	return nil
}
