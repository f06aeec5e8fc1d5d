package images

import (
	"math"

	"github.com/bdia-go/bdia/internal/pmath"
)

// RandAugment: Cubuk et al., "RandAugment: Practical Automated Data Augmentation
// with a Reduced Search Space", NeurIPS 2020. The 14 operations and their
// strengths are torchvision's (transforms.RandAugment with its 31 magnitudes,
// nearest neighbour, black outside the image), and every byte equals Pillow's.

const maxMagnitude = 30

// randOp is one operation. Its strength goes from 0 to most, or from -most to
// most for signed operations.
type randOp struct {
	name   string
	most   float32
	signed bool
	apply  func(p picture, m float64)
}

var randOps = [14]randOp{
	{"identity", 0, false, func(picture, float64) {}},
	{"shear_x", 0.3, true, func(p picture, m float64) { p.affine([6]float64{1, m, 0, 0, 1, 0}) }},
	{"shear_y", 0.3, true, func(p picture, m float64) { p.affine([6]float64{1, 0, 0, m, 1, 0}) }},
	{"translate_x", 150.0 / 331, true, func(p picture, m float64) { p.affine([6]float64{1, 0, -p.pixels(m), 0, 1, 0}) }},
	{"translate_y", 150.0 / 331, true, func(p picture, m float64) { p.affine([6]float64{1, 0, 0, 0, 1, -p.pixels(m)}) }},
	{"rotate", 30, true, func(p picture, m float64) { p.rotate(m) }},
	{"brightness", 0.9, true, func(p picture, m float64) { p.brightness(float32(1 + m)) }},
	{"color", 0.9, true, func(p picture, m float64) { p.color(float32(1 + m)) }},
	{"contrast", 0.9, true, func(p picture, m float64) { p.contrast(float32(1 + m)) }},
	{"sharpness", 0.9, true, func(p picture, m float64) { p.sharpness(float32(1 + m)) }},
	{"posterize", 4, false, func(p picture, m float64) { p.posterize(8 - int(math.RoundToEven(m))) }},
	{"solarize", 255, false, func(p picture, m float64) { p.solarize(255 - m) }},
	{"autocontrast", 0, false, func(p picture, _ float64) { p.autoContrast() }},
	{"equalize", 0, false, func(p picture, _ float64) { p.equalize() }},
}

// strength returns the strength for a magnitude 0..maxMagnitude, rounded like
// torch.linspace.
func (o randOp) strength(magnitude int) float64 {
	step := o.most / maxMagnitude
	if magnitude <= maxMagnitude/2 {
		return float64(step * float32(magnitude))
	}
	return float64(float32(float64(o.most) - float64(step)*float64(maxMagnitude-magnitude))) // the product is exact
}

// picture is an image (3,S,S) and a scratch image of the same size.
type picture struct {
	pix, tmp []uint8
	size     int
}

// vary applies an operation with a magnitude of 0..maxMagnitude.
func (p picture) vary(op randOp, magnitude int, negative bool) {
	m := op.strength(magnitude)
	if negative {
		m = -m
	}
	op.apply(p, m)
}

// pixels returns a share of the side in whole pixels.
func (p picture) pixels(share float64) float64 { return math.Trunc(share * float64(p.size)) }

// rotate turns by degrees counter-clockwise around the centre.
func (p picture) rotate(degrees float64) {
	angle := float64(degrees * (math.Pi / 180))
	sin, cos := pmath.Sin(angle), pmath.Cos(angle)
	c := float64(p.size) / 2
	p.affine([6]float64{cos, -sin, c - float64(cos*c) + float64(sin*c), sin, cos, c - float64(sin*c) - float64(cos*c)})
}

// affine sets every pixel (x,y) to the old pixel at (a0 x + a1 y + a2, a3 x + a4
// y + a5), computed from pixel centres with 16 fractional bits.
func (p picture) affine(a [6]float64) {
	fixed := func(v float64) int { return int(math.Floor(v*0x1p16 + 0.5)) }
	n, size := p.size*p.size, p.size
	dx, dy := fixed(a[0]), fixed(a[3])
	i := 0
	for y := range size {
		sx := fixed(a[2]+a[0]*0.5+a[1]*0.5) + y*fixed(a[1])
		sy := fixed(a[5]+a[3]*0.5+a[4]*0.5) + y*fixed(a[4])
		for range size {
			if x, y := sx>>16, sy>>16; uint(x) < uint(size) && uint(y) < uint(size) {
				j := y*size + x
				p.tmp[i], p.tmp[n+i], p.tmp[2*n+i] = p.pix[j], p.pix[n+j], p.pix[2*n+j]
			} else {
				p.tmp[i], p.tmp[n+i], p.tmp[2*n+i] = 0, 0, 0
			}
			i++
			sx += dx
			sy += dy
		}
	}
	copy(p.pix, p.tmp)
}

// blend returns a + f*(v-a), bounded to 0..255 and without its fraction; f > 1
// goes past v.
func blend(a, v uint8, f float32) uint8 {
	x := float32(a) + float32(f*float32(int(v)-int(a)))
	return uint8(min(max(x, 0), 255))
}

// look replaces every byte of a channel by its entry in the table.
func look(pix []uint8, table *[256]uint8) {
	for i, v := range pix {
		pix[i] = table[v]
	}
}

// blendAll blends every byte with one value.
func (p picture) blendAll(a uint8, f float32) {
	var table [256]uint8
	for v := range table {
		table[v] = blend(a, uint8(v), f)
	}
	look(p.pix, &table)
}

func (p picture) brightness(f float32) { p.blendAll(0, f) }

// luma returns the grey value of pixel i (ITU-R 601-2).
func (p picture) luma(i int) uint8 {
	n := p.size * p.size
	return uint8((19595*uint32(p.pix[i]) + 38470*uint32(p.pix[n+i]) + 7471*uint32(p.pix[2*n+i]) + 0x8000) >> 16)
}

// color blends with the grey image.
func (p picture) color(f float32) {
	n := p.size * p.size
	for i := range n {
		grey := p.luma(i)
		for c := range 3 {
			p.pix[c*n+i] = blend(grey, p.pix[c*n+i], f)
		}
	}
}

// contrast blends with the mean grey value.
func (p picture) contrast(f float32) {
	n, sum := p.size*p.size, 0
	for i := range n {
		sum += int(p.luma(i))
	}
	p.blendAll(uint8((2*sum+n)/(2*n)), f)
}

// sharpness blends with a smoothed image; the 3×3 filter has a five in the
// centre and ones around it. The border stays.
func (p picture) sharpness(f float32) {
	size := p.size
	copy(p.tmp, p.pix)
	for c := range 3 {
		in, out := p.tmp[c*size*size:(c+1)*size*size], p.pix[c*size*size:(c+1)*size*size]
		for y := 1; y < size-1; y++ {
			for x := 1; x < size-1; x++ {
				i := y*size + x
				sum := 4 * int(in[i])
				for j := i - size - 1; j <= i+size-1; j += size {
					sum += int(in[j]) + int(in[j+1]) + int(in[j+2])
				}
				out[i] = blend(uint8((2*sum+13)/26), in[i], f)
			}
		}
	}
}

// posterize keeps the upper bits.
func (p picture) posterize(bits int) {
	mask := ^uint8(0) << (8 - bits)
	for i := range p.pix {
		p.pix[i] &= mask
	}
}

// solarize inverts bytes at or above the threshold.
func (p picture) solarize(threshold float64) {
	for i, v := range p.pix {
		if float64(v) >= threshold {
			p.pix[i] = 255 - v
		}
	}
}

// autoContrast stretches each channel over 0..255.
func (p picture) autoContrast() {
	n := p.size * p.size
	for c := range 3 {
		channel := p.pix[c*n : (c+1)*n]
		lo, hi := uint8(255), uint8(0)
		for _, v := range channel {
			lo, hi = min(lo, v), max(hi, v)
		}
		if hi <= lo {
			continue
		}
		scale := 255 / float64(hi-lo)
		offset := float64(-float64(lo) * scale)
		var table [256]uint8
		for v := range table {
			table[v] = uint8(min(max(float64(float64(v)*scale)+offset, 0), 255))
		}
		look(channel, &table)
	}
}

// equalize makes the distribution of each channel's values as even as it can.
func (p picture) equalize() {
	n := p.size * p.size
	for c := range 3 {
		channel := p.pix[c*n : (c+1)*n]
		var count [256]int
		top := uint8(0)
		for _, v := range channel {
			count[v]++
			top = max(top, v)
		}
		step := (n - count[top]) / 255
		if step == 0 {
			continue
		}
		var table [256]uint8
		sum := step / 2
		for v := range table {
			table[v] = uint8(min(sum/step, 255))
			sum += count[v]
		}
		look(channel, &table)
	}
}
