package images

import (
	"fmt"
	"math"
	"runtime"
	"slices"

	"github.com/bdia-go/bdia/internal/mmap"
)

// Norm is the mean and standard deviation of each channel (red, green, blue), with
// pixels in [0,1].
type Norm struct {
	Mean [3]float64 `yaml:"mean"`
	Std  [3]float64 `yaml:"std"`
}

// IsZero reports whether n is not set. The YAML library needs this method, since it
// does not recognise a zero array.
func (n Norm) IsZero() bool { return n == Norm{} }

// Validate returns an error unless all values are finite and standard deviations
// are positive.
func (n Norm) Validate() error {
	for c := range 3 {
		if m, s := n.Mean[c], n.Std[c]; !(math.Abs(m) <= math.MaxFloat32 && s >= 1e-6 && s <= math.MaxFloat32) {
			return fmt.Errorf("images: channel %d is normalised with mean %v and deviation %v; the mean must be finite and the deviation positive", c, m, s)
		}
	}
	return nil
}

// table returns the normalised value of each byte in each channel.
func (n Norm) table() *[3][256]float32 {
	var t [3][256]float32
	for c := range t {
		for v := range t[c] {
			t[c][v] = float32((float64(v)/255 - n.Mean[c]) / n.Std[c])
		}
	}
	return &t
}

// Apply writes the normalised pixels of an image: planes and pixels are (3,S,S) of
// equal length. It is for single images; the pixels of sets and batches are already
// normalised.
func (n Norm) Apply(planes []uint8, pixels []float32) { normalise(n.table(), planes, pixels) }

// normalise looks up planes (3,S,S) channel by channel.
func normalise(table *[3][256]float32, planes []uint8, pixels []float32) {
	n := len(planes) / 3
	for c := range table {
		t, from, to := &table[c], planes[c*n:(c+1)*n], pixels[c*n:(c+1)*n]
		for i, v := range from {
			to[i] = t[v]
		}
	}
}

// Set is an ordered list of labelled images of one size. It does not change, so
// several goroutines may read it.
type Set struct {
	classes []string
	samples []sample
	size    int
	pixels  []uint8 // (N,3,S,S); nil: images are decoded at each read
	norm    Norm
	table   *[3][256]float32 // of norm
	threads int
	reading Reading
	facts   []facts // of each image
	print   Fingerprint
}

// sample is one labelled image.
type sample struct {
	file  *file
	index int32 // of the record in a CIFAR file
	label int32
}

func (s sample) name() string {
	if s.file.records != nil {
		return fmt.Sprintf("%s#%d", s.file.name, s.index)
	}
	return s.file.name
}

// decode writes the image as planes (3,size,size), and the hash of its file to content, unless that is nil.
func (s sample) decode(size int, planes []uint8, reading Reading, content *digest) (facts, error) {
	if s.file.records != nil {
		record := make([]byte, s.file.records.bytes)
		if err := s.file.read(record, int64(s.index)*s.file.records.bytes); err != nil {
			return facts{}, err
		}
		if content != nil {
			*content = digestOf(record)
		}
		return decodeRecord(record, s.file.records.grey, size, planes), nil
	}
	b, err := s.file.bytes(maxFileBytes)
	if err != nil {
		return facts{}, err
	}
	if content != nil {
		*content = digestOf(b)
	}
	is, err := decode(b, size, planes, reading)
	if err != nil {
		return is, fmt.Errorf("images: %s: %w", s.file.where(), err)
	}
	return is, nil
}

// Len returns the number of images.
func (s *Set) Len() int { return len(s.samples) }

// Size returns the side S of the images in pixels.
func (s *Set) Size() int { return s.size }

// Classes returns the names of the classes, in the order of the labels.
func (s *Set) Classes() []string { return slices.Clone(s.classes) }

// Norm returns the normalisation of the pixels. Both sets of a Dataset have the
// training set's.
func (s *Set) Norm() Norm { return s.norm }

// Label returns the class of image i.
func (s *Set) Label(i int) int { return int(s.samples[i].label) }

// Name returns the path of image i in the folder or archive. A CIFAR record adds
// "#" and its number: "data_batch_1.bin#12".
func (s *Set) Name(i int) string { return s.samples[i].name() }

// Stored returns width and height of image i in its file, in pixels.
func (s *Set) Stored(i int) (width, height int) {
	return int(s.facts[i].width), int(s.facts[i].height)
}

// Place returns the path of image i for people, with its folder or archive.
func (s *Set) Place(i int) string {
	if at := s.samples[i]; at.file.records != nil {
		return fmt.Sprintf("%s#%d", at.file.path(), at.index)
	}
	return s.samples[i].file.path()
}

// Bytes returns the memory that the decoded images take; 0: they are decoded whenever they are read.
func (s *Set) Bytes() int64 { return int64(len(s.pixels)) }

// Fingerprint tells the set from others.
func (s *Set) Fingerprint() Fingerprint { return s.print }

// Kinds counts the images that are turned upright by their EXIF orientation, that are the first pictures of animations,
// and that are transparent, so that they lie on white.
func (s *Set) Kinds() (turned, animated, transparent int) {
	for _, f := range s.facts {
		turned += btoi(f.orientation > 1)
		animated += btoi(f.animated)
		transparent += btoi(f.clear)
	}
	return turned, animated, transparent
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// take makes room for so many bytes of pixels, outside Go's heap, which would grow to twice as much while images are
// decoded. The memory is given back when s is no longer used.
func (s *Set) take(bytes int64) error {
	if s.pixels = []uint8{}; bytes == 0 {
		return nil
	}
	mem, free, err := mmap.Memory(bytes)
	if err != nil {
		return fmt.Errorf("images: memory for %d decoded images: %w", len(s.samples), err)
	}
	s.pixels = mem
	runtime.AddCleanup(s, func(free func()) { free() }, free)
	return nil
}

// planes returns image i as (3,S,S): a slice of the set's memory, or scratch with
// the decoded image. The slice is good as long as s is in use.
func (s *Set) planes(i int, scratch []uint8) ([]uint8, error) {
	if s.pixels != nil {
		n := 3 * s.size * s.size
		return s.pixels[i*n : (i+1)*n], nil
	}
	_, err := s.samples[i].decode(s.size, scratch, s.reading, nil)
	return scratch, err
}

// Fill writes the images first..first+n-1 without augmentation: normalised pixels
// (n,3,S,S), labels (n). A range outside 0..Len and slices of other lengths are
// errors.
func (s *Set) Fill(first, n int, pixels []float32, labels []int32) error {
	if first < 0 || n < 0 || n > s.Len()-first {
		return fmt.Errorf("images: images %d..%d of %d", first, first+n-1, s.Len())
	}
	each := 3 * s.size * s.size
	if len(pixels) != n*each || len(labels) != n {
		return fmt.Errorf("images: %d images of %d values into %d values and %d labels", n, each, len(pixels), len(labels))
	}
	threads := s.threads
	if s.pixels != nil {
		threads = 1 // a look-up in memory
	}
	defer runtime.KeepAlive(s)
	return parallel(n, threads, func() func(i int) error {
		var scratch []uint8
		if s.pixels == nil {
			scratch = make([]uint8, each)
		}
		return func(i int) error {
			planes, err := s.planes(first+i, scratch)
			if err != nil {
				return err
			}
			normalise(s.table, planes, pixels[i*each:(i+1)*each])
			labels[i] = s.samples[first+i].label
			return nil
		}
	})
}
