package images

// Augment says how training images are varied. The zero value leaves them as
// they are. The order is: crop, flip, RandAugment, (normalisation,) erasing;
// then mixup or CutMix within the batch.
type Augment struct {
	Crop          int     `yaml:"crop"`           // random crop after padding each side with so many black pixels; 0: none
	Flip          bool    `yaml:"flip"`           // mirror left to right, half of the images
	RandOps       int     `yaml:"rand_ops"`       // RandAugment: operations on each image; 0: none
	RandMagnitude int     `yaml:"rand_magnitude"` // RandAugment: their strength, 0 to 30 (torchvision's 31 bins)
	Erase         float64 `yaml:"erase"`          // probability that a random rectangle becomes the mean colour
	Mixup         float64 `yaml:"mixup"`          // alpha of the Beta(alpha,alpha) that mixes two images; 0: none
	CutMix        float64 `yaml:"cutmix"`         // alpha of the Beta(alpha,alpha) area of a pasted rectangle; 0: none
}

// DefaultAugment returns no augmentation, with the usual magnitude 9 for when
// RandOps is set.
func DefaultAugment() Augment { return Augment{RandMagnitude: 9} }

// Validate reports the first setting that cannot be.
func (a Augment) Validate() error { panic("not written yet") }
