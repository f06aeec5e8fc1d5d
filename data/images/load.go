package images

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"slices"
	"sync"
)

// maxNamed is the number of undecodable images that are reported by name.
const maxNamed = 10

// load decodes both parts (val may be nil) into the sets of d.
func (d *Dataset) load(ctx context.Context, train, val *part, o Options, progress func(string, int64, int64)) (err error) {
	l := loader{Options: o.beside(d.unpacked + d.listed), left: o.MaxMemory, progress: progress}
	if l.Size == 0 {
		if l.Size, err = firstSize(train.samples, o); err != nil {
			return err
		}
	}
	norm := o.Norm
	if o.HeldOut && val != nil && !norm.IsZero() {
		train = nil
	}
	for _, p := range []*part{train, val} {
		if p != nil {
			l.total += int64(len(p.samples))
		}
	}
	if train != nil {
		if d.Train, err = l.load(ctx, train); err != nil {
			return err
		}
	}
	if norm.IsZero() {
		norm = l.sums.norm(int64(d.Train.Len()) * int64(l.Size) * int64(l.Size))
	}
	if val != nil {
		if d.Val, err = l.load(ctx, val); err != nil {
			return err
		}
	}
	cached := true
	for _, s := range []*Set{d.Train, d.Val} {
		if s != nil {
			s.norm, s.table = norm, norm.table()
			cached = cached && s.pixels != nil
		}
	}
	d.Skipped, d.Corrupt = l.skipped, l.named
	d.filesUsed = filesOf(d.Train, d.Val)
	if cached {
		return d.Close()
	}
	return nil
}

// filesOf counts the files of sets, which may be nil.
func filesOf(sets ...*Set) (n int64) {
	for _, s := range sets {
		var before *file
		for i := 0; s != nil && i < len(s.samples); i++ {
			if f := s.samples[i].file; f != before { // the records of a file follow each other
				n, before = n+1, f
			}
		}
	}
	return n
}

// firstSize returns the shorter side of the first image that can be decoded.
func firstSize(samples []sample, o Options) (int, error) {
	if f := samples[0].file; f.records != nil && f.records.grey != (image.Point{}) {
		return min(f.records.grey.X, f.records.grey.Y), nil
	} else if f.records != nil {
		return cifarSize, nil
	}
	for _, s := range samples {
		b, err := s.file.bytes(maxFileBytes)
		if err != nil {
			return 0, err
		}
		_, w, h, err := inspect(mended(b, o.Reading), o.Reading)
		if err == nil {
			return min(w, h, maxSize), nil
		}
		if o.OnCorrupt != Skip {
			return 0, fmt.Errorf("images: %s: %w", s.file.where(), err)
		}
	}
	return 0, fmt.Errorf("images: %w: none of %d images can be decoded; the first is %s", ErrCorrupt, len(samples), samples[0].file.where())
}

// sums holds, for each channel, the sum of the bytes and of their squares. They
// are integers, so the order of adding does not matter.
type sums struct{ first, second [3]uint64 }

func (s *sums) add(planes []uint8) {
	n := len(planes) / 3
	for c := range 3 {
		var a, b uint64
		for _, v := range planes[c*n : (c+1)*n] {
			a += uint64(v)
			b += uint64(v) * uint64(v)
		}
		s.first[c] += a
		s.second[c] += b
	}
}

func (s *sums) addAll(o sums) {
	for c := range 3 {
		s.first[c] += o.first[c]
		s.second[c] += o.second[c]
	}
}

// norm returns mean and standard deviation over n pixels of each channel. A
// constant channel gets standard deviation 1.
func (s *sums) norm(n int64) (norm Norm) {
	for c := range 3 {
		mean := float64(s.first[c]) / float64(n)
		variance := float64(s.second[c])/float64(n) - float64(mean*mean)
		norm.Mean[c] = mean / 255
		norm.Std[c] = math.Sqrt(max(variance, 0)) / 255
		if norm.Std[c] < 1e-6 {
			norm.Std[c] = 1
		}
	}
	return norm
}

// loader decodes the parts of a data set, one after the other.
type loader struct {
	Options
	left     int64 // bytes of pixels that still fit into MaxMemory
	taken    int64 // bytes of pixels
	total    int64 // images of all parts
	progress func(string, int64, int64)
	done     int64
	sums     sums // of the images of the last part
	skipped  int
	named    []string
}

// load decodes every image of a part once, collects the undecodable ones, and
// keeps the pixels if they fit into MaxMemory.
func (l *loader) load(ctx context.Context, p *part) (*Set, error) {
	type failure struct {
		at  int
		err error
	}
	var (
		mu   sync.Mutex
		bad  []failure
		size = 3 * l.Size * l.Size
		set  = &Set{classes: p.classes, samples: p.samples, size: l.Size, threads: l.Threads, reading: l.Reading, facts: make([]facts, len(p.samples))}
		hash = make([]digest, len(p.samples))
	)
	l.sums = sums{}
	if bytes := int64(len(p.samples)) * int64(size); bytes <= min(l.left, math.MaxInt) && (l.Fits == nil || l.Fits(l.taken+bytes)) {
		if err := set.take(bytes); err != nil {
			return nil, err
		}
		l.left, l.taken = l.left-bytes, l.taken+bytes
	}
	err := parallel(len(p.samples), l.Threads, func() func(i int) error {
		scratch := make([]uint8, size)
		return func(i int) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			planes := scratch
			if set.pixels != nil {
				planes = set.pixels[i*size : (i+1)*size]
			}
			var err error
			set.facts[i], err = p.samples[i].decode(l.Size, planes, l.Reading, &hash[i])
			var own sums
			switch damaged := errors.Is(err, ErrCorrupt) || errors.Is(err, ErrTooLarge); {
			case err == nil:
				own.add(planes)
			case !damaged:
				return err
			case l.OnCorrupt != Skip:
				return &DamagedError{err}
			}
			mu.Lock()
			defer mu.Unlock()
			l.sums.addAll(own)
			if err != nil {
				bad = append(bad, failure{i, err})
			}
			if l.done++; l.progress != nil && (l.done%64 == 0 || l.done == l.total) {
				l.progress("decoding", l.done, l.total)
			}
			return nil
		}
	})
	if err != nil {
		return nil, err
	}
	if len(bad) == 0 {
		set.print = fingerprint(set.classes, set.samples, hash)
		return set, nil
	}
	slices.SortFunc(bad, func(a, b failure) int { return a.at - b.at })
	if len(bad) == len(p.samples) {
		return nil, fmt.Errorf("images: none of %d images can be decoded: %w", len(bad), bad[0].err)
	}
	// Close the gaps.
	n, lost := bad[0].at, map[int32]bool{} // classes of the images that are left out
	for i := n; i < len(set.samples); i++ {
		if len(bad) > 0 && bad[0].at == i {
			if l.skipped++; len(l.named) < maxNamed {
				l.named = append(l.named, bad[0].err.Error())
			}
			lost[set.samples[i].label] = true
			bad = bad[1:]
			continue
		}
		set.samples[n], set.facts[n], hash[n] = set.samples[i], set.facts[i], hash[i]
		if set.pixels != nil {
			copy(set.pixels[n*size:(n+1)*size], set.pixels[i*size:])
		}
		n++
	}
	set.samples, set.facts = set.samples[:n], set.facts[:n]
	set.print = fingerprint(set.classes, set.samples, hash)
	if l.Reading.latest() {
		for k := range lost {
			if !slices.ContainsFunc(set.samples, func(s sample) bool { return s.label == k }) {
				return nil, fmt.Errorf("images: %w: of class %.80q no image can be decoded", ErrCorrupt, set.classes[k])
			}
		}
	}
	if set.pixels != nil {
		set.pixels = set.pixels[:n*size]
	}
	return set, nil
}
