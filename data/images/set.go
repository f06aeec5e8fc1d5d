package images

// Norm is the mean and standard deviation of each channel (red, green, blue) of
// pixels over [0,1].
type Norm struct {
	Mean [3]float64 `yaml:"mean"`
	Std  [3]float64 `yaml:"std"`
}

// Validate reports values that cannot normalise: deviations must be positive,
// and all must be finite.
func (n Norm) Validate() error { panic("not written yet") }

// Apply writes the normalised pixels of an image: planes and pixels are (3,S,S).
// It is for single images; sets and batches are normalised already.
func (n Norm) Apply(planes []uint8, pixels []float32) { panic("not written yet") }

// Set is an ordered list of labelled images of one size. It does not change, so
// several goroutines may read it.
type Set struct{}

// Len returns the number of images.
func (s *Set) Len() int { panic("not written yet") }

// Size returns the side S of the images in pixels.
func (s *Set) Size() int { panic("not written yet") }

// Classes returns the names of the classes, in the order of the labels. The
// caller leaves the slice alone.
func (s *Set) Classes() []string { panic("not written yet") }

// Norm returns what pixels are normalised with; of both sets of a Dataset it is
// the training set's.
func (s *Set) Norm() Norm { panic("not written yet") }

// Label returns the class of image i.
func (s *Set) Label(i int) int { panic("not written yet") }

// Name returns where image i comes from: its path in the folder or archive, or
// the CIFAR file and record.
func (s *Set) Name(i int) string { panic("not written yet") }

// Fill gives the images first..first+n-1 without augmentation: pixels (n,3,S,S)
// normalised, labels (n). A range outside 0..Len and slices of other lengths are
// errors.
func (s *Set) Fill(first, n int, pixels []float32, labels []int32) error { panic("not written yet") }
