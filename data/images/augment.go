package images

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia/internal/pmath"
)

// Augment sets the augmentation of training images. The zero value changes
// nothing. The order is: crop, flip, RandAugment, normalisation, erasing; then
// mixup or CutMix within the batch.
type Augment struct {
	Crop          int     `yaml:"crop"`           // random crop after padding each side with this many black pixels; 0: none
	Flip          bool    `yaml:"flip"`           // mirror left to right, half of the images
	RandOps       int     `yaml:"rand_ops"`       // RandAugment: operations on each image; 0: none
	RandMagnitude int     `yaml:"rand_magnitude"` // RandAugment: their strength, 0 to 30 (torchvision's 31 bins)
	Erase         float64 `yaml:"erase"`          // probability that a random rectangle becomes the mean colour
	Mixup         float64 `yaml:"mixup"`          // alpha of the Beta(alpha,alpha) share of another image; 0: none
	CutMix        float64 `yaml:"cutmix"`         // alpha of the Beta(alpha,alpha) area of another image; 0: none; with mixup too, each step uses one of them, at random
}

// DefaultAugment returns no augmentation, with the usual magnitude 9 for when
// RandOps is set.
func DefaultAugment() Augment { return Augment{RandMagnitude: 9} }

// Validate returns an error for the first invalid setting.
func (a Augment) Validate() error {
	switch {
	case a.Crop < 0 || a.Crop > maxSize:
		return fmt.Errorf("images: crop after padding by %d pixels; give 0 to %d", a.Crop, maxSize)
	case a.RandOps < 0 || a.RandOps > 16:
		return fmt.Errorf("images: RandAugment of %d operations; give 0 to 16", a.RandOps)
	case a.RandMagnitude < 0 || a.RandMagnitude > maxMagnitude:
		return fmt.Errorf("images: RandAugment of magnitude %d; give 0 to %d", a.RandMagnitude, maxMagnitude)
	case !(a.Erase >= 0 && a.Erase <= 1):
		return fmt.Errorf("images: erasing with probability %v; give 0 to 1", a.Erase)
	case a.Mixup != 0 && !(a.Mixup >= 0.001 && a.Mixup <= 1000):
		return fmt.Errorf("images: mixup with alpha %v; give 0 for none, or 0.001 to 1000", a.Mixup)
	case a.CutMix != 0 && !(a.CutMix >= 0.001 && a.CutMix <= 1000):
		return fmt.Errorf("images: CutMix with alpha %v; give 0 for none, or 0.001 to 1000", a.CutMix)
	}
	return nil
}

// apply writes src, augmented, to dst: the operations on bytes. src, dst and tmp
// (scratch) are (3,S,S).
func (a Augment) apply(src, dst, tmp []uint8, size int, seed uint64, epoch, image uint32) {
	var dx, dy int
	var mirror bool
	if a.Crop > 0 || a.Flip {
		draw := newStream(seed, epoch, image, forCrop)
		dx, dy = draw.below(2*a.Crop+1)-a.Crop, draw.below(2*a.Crop+1)-a.Crop
		mirror = a.Flip && draw.below(2) == 1
	}
	crop(src, dst, size, dx, dy, mirror)
	if a.RandOps > 0 {
		draw := newStream(seed, epoch, image, forRandAugment)
		p := picture{dst, tmp, size}
		for range a.RandOps {
			op := randOps[draw.below(len(randOps))]
			p.vary(op, a.RandMagnitude, op.signed && draw.below(2) == 1)
		}
	}
}

// crop copies the window of src that starts at column dx and row dy, black
// outside of src, and mirrors it left to right.
func crop(src, dst []uint8, size, dx, dy int, mirror bool) {
	x0, x1 := max(0, -dx), min(size, size-dx) // columns of dst inside src
	for row := range 3 * size {
		to := dst[row*size : (row+1)*size]
		y := row%size + dy
		if y < 0 || y >= size || x0 >= x1 {
			clear(to)
			continue
		}
		clear(to[:x0])
		copy(to[x0:x1], src[(row+dy)*size+x0+dx:])
		clear(to[x1:])
		if mirror {
			for i, j := 0, size-1; i < j; i, j = i+1, j-1 {
				to[i], to[j] = to[j], to[i]
			}
		}
	}
}

// box is a rectangle of columns x0..x1-1 and rows y0..y1-1.
type box struct{ x0, y0, x1, y1 int }

// erasure draws the rectangle of an image to erase, perhaps an empty one: Zhong
// et al., "Random Erasing Data Augmentation", AAAI 2020, algorithm 1, with the
// bounds of torchvision: area 2% to 33%, height to width 0.3 to 3.3.
func (a Augment) erasure(size int, seed uint64, epoch, image uint32) box {
	draw := newStream(seed, epoch, image, forErase)
	if draw.float64() >= a.Erase {
		return box{}
	}
	for range 10 {
		area := draw.between(0.02, 0.33) * float64(size*size)
		ratio := pmath.Exp(draw.between(pmath.Log(0.3), pmath.Log(3.3)))
		h, w := int(math.RoundToEven(math.Sqrt(area*ratio))), int(math.RoundToEven(math.Sqrt(area/ratio)))
		if h < size && w < size {
			x, y := draw.below(size-w+1), draw.below(size-h+1)
			return box{x, y, x + w, y + h}
		}
	}
	return box{}
}

// mixture describes how each image of a step's batch is mixed with its partner:
// the image before it or, for the first image, the last.
type mixture struct {
	share float32 // of the image itself; 1: no mixing
	paste bool    // CutMix: the partner's pixels within box; else mixup: a weighted sum
	box   box
}

// mixture draws the mixture of a step: Zhang et al., "mixup: Beyond Empirical
// Risk Minimization", ICLR 2018; Yun et al., "CutMix", ICCV 2019, algorithm 1.
func (a Augment) mixture(size int, seed uint64, step uint32) mixture {
	if a.Mixup == 0 && a.CutMix == 0 {
		return mixture{share: 1}
	}
	draw := newStream(seed, step, 0, forMix)
	if coin := draw.below(2) == 1; a.CutMix == 0 || a.Mixup > 0 && coin {
		return mixture{share: draw.beta(a.Mixup)}
	}
	share := draw.beta(a.CutMix)
	x, y := draw.below(size), draw.below(size)
	half := int(0.5 * math.Sqrt(1-float64(share)) * float64(size))
	b := box{max(x-half, 0), max(y-half, 0), min(x+half, size), min(y+half, size)}
	cut := (b.x1 - b.x0) * (b.y1 - b.y0)
	return mixture{share: 1 - float32(cut)/float32(size*size), paste: true, box: b}
}

// apply mixes the normalised images own and partner, both (3,S,S), into own.
func (m mixture) apply(own, partner []float32, size int) {
	if !m.paste {
		rest := 1 - m.share
		for i, p := range partner {
			own[i] = float32(m.share*own[i]) + float32(rest*p)
		}
		return
	}
	for c := range 3 {
		for y := m.box.y0; y < m.box.y1; y++ {
			row := (c*size + y) * size
			copy(own[row+m.box.x0:row+m.box.x1], partner[row+m.box.x0:])
		}
	}
}
