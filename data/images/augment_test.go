package images

import (
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// numbered is a picture whose channel c holds 1..S*S, plus 20*c.
func numbered(size int) picture {
	n := size * size
	p := picture{make([]uint8, 3*n), make([]uint8, 3*n), size}
	for i := range p.pix {
		p.pix[i] = uint8(i%n + 1 + 20*(i/n))
	}
	return p
}

// flat is a picture with the given values in every channel.
func flat(values ...uint8) picture {
	size := int(math.Sqrt(float64(len(values))))
	return picture{slices.Repeat(values, 3), make([]uint8, 3*len(values)), size}
}

func op(t *testing.T, name string) randOp {
	t.Helper()
	i := slices.IndexFunc(randOps[:], func(o randOp) bool { return o.name == name })
	if i < 0 {
		t.Fatalf("no operation %s", name)
	}
	return randOps[i]
}

// Geometric operations on the 4×4 image 1..16, worked out by hand; 0 is outside.
func TestGeometricOps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		negative bool
		want     []uint8
	}{
		{"identity", false, []uint8{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
		// The source of column x in row y is floor(x + 0.5 + 0.3 (y + 0.5)).
		{"shear_x", false, []uint8{1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 0, 14, 15, 16, 0}},
		{"shear_x", true, []uint8{1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 10, 11, 0, 13, 14, 15}},
		{"shear_y", false, []uint8{1, 2, 7, 8, 5, 6, 11, 12, 9, 10, 15, 16, 13, 14, 0, 0}},
		{"shear_y", true, []uint8{1, 2, 0, 0, 5, 6, 3, 4, 9, 10, 7, 8, 13, 14, 11, 12}},
		// 150/331 of 4 pixels is 1.8: one pixel.
		{"translate_x", false, []uint8{0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15}},
		{"translate_x", true, []uint8{2, 3, 4, 0, 6, 7, 8, 0, 10, 11, 12, 0, 14, 15, 16, 0}},
		{"translate_y", false, []uint8{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
		{"translate_y", true, []uint8{5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 0, 0, 0}},
		// 30 degrees counter-clockwise: the source is (0.866 dx - 0.5 dy, 0.5 dx + 0.866 dy) from the centre.
		{"rotate", false, []uint8{0, 3, 4, 0, 1, 6, 7, 12, 5, 10, 11, 16, 0, 13, 14, 0}},
		{"rotate", true, []uint8{0, 1, 2, 0, 9, 6, 7, 4, 13, 10, 11, 8, 0, 15, 16, 0}},
	} {
		p := numbered(4)
		p.vary(op(t, c.name), maxMagnitude, c.negative)
		for i, v := range p.pix {
			want := c.want[i%16]
			if want > 0 {
				want += uint8(20 * (i / 16))
			}
			if v != want {
				t.Errorf("%s (negative %v): %v, want %v in each channel, plus 20 for each", c.name, c.negative, p.pix, c.want)
				break
			}
		}
		still := numbered(4)
		still.vary(op(t, c.name), 0, c.negative)
		if !slices.Equal(still.pix, numbered(4).pix) {
			t.Errorf("%s of magnitude 0 changes the image", c.name)
		}
	}
}

// Operations on values, worked out by hand; the factor of the enhancing ones is
// 1.9 or 0.1.
func TestColourOps(t *testing.T) {
	t.Parallel()
	many := func(runs ...int) (values []uint8) { // value, times, ...
		for i := 0; i < len(runs); i += 2 {
			values = append(values, slices.Repeat([]uint8{uint8(runs[i])}, runs[i+1])...)
		}
		return values
	}
	for _, c := range []struct {
		name      string
		magnitude int
		negative  bool
		in, want  []uint8
	}{
		{"brightness", 30, false, []uint8{0, 100, 134, 200}, []uint8{0, 190, 254, 255}},
		{"brightness", 30, true, []uint8{0, 99, 100, 255}, []uint8{0, 9, 10, 25}},
		{"brightness", 10, false, []uint8{0, 10, 100, 200}, []uint8{0, 13, 130, 255}},
		{"contrast", 30, true, []uint8{0, 0, 100, 200}, []uint8{67, 67, 77, 87}}, // around the mean, 75
		{"contrast", 30, false, []uint8{0, 0, 100, 200}, []uint8{0, 0, 122, 255}},
		{"color", 30, false, []uint8{0, 0, 100, 200}, []uint8{0, 0, 100, 200}}, // grey already
		// The middle is smoothed to (5·100+8·10)/13 = 45 first; the border stays.
		{"sharpness", 30, false, []uint8{10, 10, 10, 10, 100, 10, 10, 10, 10}, []uint8{10, 10, 10, 10, 149, 10, 10, 10, 10}},
		{"sharpness", 30, true, []uint8{10, 10, 10, 10, 100, 10, 10, 10, 10}, []uint8{10, 10, 10, 10, 50, 10, 10, 10, 10}},
		{"sharpness", 30, true, []uint8{1, 2, 3, 4}, []uint8{1, 2, 3, 4}},
		{"posterize", 30, false, []uint8{0xab, 0x0f, 0xff, 0x10}, []uint8{0xa0, 0x00, 0xf0, 0x10}},
		{"posterize", 9, false, []uint8{0xab, 0x0f, 0xff, 0x10}, []uint8{0xaa, 0x0e, 0xfe, 0x10}},
		{"posterize", 0, false, []uint8{0xab, 0x0f, 0xff, 0x10}, []uint8{0xab, 0x0f, 0xff, 0x10}},
		{"solarize", 30, false, []uint8{0, 1, 254, 255}, []uint8{255, 254, 1, 0}},
		{"solarize", 15, false, []uint8{0, 127, 128, 255}, []uint8{0, 127, 127, 0}}, // threshold 127.5
		{"solarize", 0, false, []uint8{0, 127, 128, 255}, []uint8{0, 127, 128, 0}},
		{"autocontrast", 3, false, []uint8{100, 110, 120, 151}, []uint8{0, 50, 100, 255}},
		{"autocontrast", 3, false, []uint8{7, 7, 7, 7}, []uint8{7, 7, 7, 7}},
		// Steps of floor(512/255) = 2 values: (1+256)/2 = 128, (1+512)/2 = 256.
		{"equalize", 3, false, many(100, 256, 150, 256, 200, 512), many(0, 256, 128, 256, 255, 512)},
		{"equalize", 3, false, []uint8{1, 2, 3, 4}, []uint8{1, 2, 3, 4}}, // no whole step
	} {
		p := flat(c.in...)
		p.vary(op(t, c.name), c.magnitude, c.negative)
		if want := slices.Repeat(c.want, 3); !slices.Equal(p.pix, want) {
			t.Errorf("%s of magnitude %d (negative %v) of %v: %v, want %v", c.name, c.magnitude, c.negative, c.in, p.pix, want)
		}
	}
	// Grey of (200,100,50) is 124.
	for _, c := range []struct {
		negative bool
		want     []uint8
	}{{false, []uint8{255, 78, 0}}, {true, []uint8{131, 121, 116}}} {
		p := picture{[]uint8{200, 100, 50}, make([]uint8, 3), 1}
		p.vary(op(t, "color"), maxMagnitude, c.negative)
		if !slices.Equal(p.pix, c.want) {
			t.Errorf("color (negative %v): %v, want %v", c.negative, p.pix, c.want)
		}
	}
}

// All 14 operations are drawn, and strength grows with magnitude.
func TestRandAugmentDrawsEveryOp(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for image := range uint32(400) {
		draw := newStream(1, 0, image, forRandAugment)
		seen[draw.below(len(randOps))] = true
	}
	if len(seen) != 14 {
		t.Errorf("%d operations are drawn", len(seen))
	}
}

func TestCrop(t *testing.T) {
	t.Parallel()
	src := numbered(3).pix
	for _, c := range []struct {
		dx, dy int
		mirror bool
		want   []uint8
	}{
		{0, 0, false, []uint8{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{0, 0, true, []uint8{3, 2, 1, 6, 5, 4, 9, 8, 7}},
		{1, -1, false, []uint8{0, 0, 0, 2, 3, 0, 5, 6, 0}},
		{-2, 1, false, []uint8{0, 0, 4, 0, 0, 7, 0, 0, 0}},
		{-2, 1, true, []uint8{4, 0, 0, 7, 0, 0, 0, 0, 0}},
		{5, 0, false, make([]uint8, 9)},
		{0, -5, true, make([]uint8, 9)},
	} {
		dst := slices.Repeat([]uint8{99}, 27)
		crop(src, dst, 3, c.dx, c.dy, c.mirror)
		for i, v := range dst {
			want := c.want[i%9]
			if want > 0 {
				want += uint8(20 * (i / 9))
			}
			if v != want {
				t.Errorf("crop by %d, %d, mirrored %v: %v, want %v", c.dx, c.dy, c.mirror, dst, c.want)
				break
			}
		}
	}
}

// Over many images every window is drawn about as often as the others, and half
// of the images are mirrored.
func TestCropIsUniform(t *testing.T) {
	t.Parallel()
	const size, draws = 5, 18000
	src := numbered(size).pix
	dst, tmp := make([]uint8, len(src)), make([]uint8, len(src))
	a := Augment{Crop: 1, Flip: true}
	count := map[[2]uint8]int{}
	for image := range uint32(draws) {
		a.apply(src, dst, tmp, size, 3, 0, image)
		count[[2]uint8{dst[11], dst[12]}]++ // tells window and mirroring
	}
	if len(count) != 18 {
		t.Fatalf("%d windows", len(count))
	}
	for w, n := range count {
		if n < 850 || n > 1150 { // 1000 ± 4.8 deviations
			t.Errorf("window %v: %d of %d", w, n, draws)
		}
	}
}

func TestErasure(t *testing.T) {
	t.Parallel()
	const size, draws = 32, 4000
	a := Augment{Erase: 0.25}
	erased, area := 0, 0.0
	for image := range uint32(draws) {
		b := a.erasure(size, 1, 2, image)
		if b == (box{}) {
			continue
		}
		erased++
		w, h := b.x1-b.x0, b.y1-b.y0
		share := float64(w*h) / (size * size)
		area += share
		if b.x0 < 0 || b.y0 < 0 || b.x1 > size || b.y1 > size || w < 1 || h < 1 {
			t.Fatalf("image %d: %v is not inside the image", image, b)
		}
		// Rounding a side of 5 or more moves an area or ratio by up to 20%.
		if share < 0.02*0.8 || share > 0.33*1.2 || float64(h) > 3.3*1.3*float64(w) || float64(w) > 3.4*1.3*float64(h) {
			t.Errorf("image %d: %d×%d", image, w, h)
		}
	}
	if erased < 880 || erased > 1120 {
		t.Errorf("%d of %d images with probability 0.25", erased, draws)
	}
	if mean := area / float64(erased); mean < 0.16 || mean > 0.19 { // (0.02+0.33)/2
		t.Errorf("mean area %v", mean)
	}
}

// Mean 1/2 and variance 1/(4(2 alpha+1)) of Beta(alpha,alpha).
func TestBeta(t *testing.T) {
	t.Parallel()
	for _, alpha := range []float64{0.001, 0.2, 1, 4, 100} {
		const n = 20000
		var sum, squares float64
		for i := range uint32(n) {
			draw := newStream(9, i, 0, forMix)
			x := float64(draw.beta(alpha))
			if !(x >= 0 && x <= 1) {
				t.Fatalf("alpha %v: %v", alpha, x)
			}
			sum += x
			squares += (x - 0.5) * (x - 0.5)
		}
		want := 1 / (4 * (2*alpha + 1))
		if mean, variance := sum/n, squares/n; math.Abs(mean-0.5) > 5*math.Sqrt(want/n) || math.Abs(variance/want-1) > 0.06 {
			t.Errorf("alpha %v: mean %v, variance %v, want 0.5, %v", alpha, mean, variance, want)
		}
	}
}

func TestMixture(t *testing.T) {
	t.Parallel()
	const size = 4
	own, partner := make([]float32, 48), make([]float32, 48)
	for i := range own {
		own[i], partner[i] = float32(i), -100
	}
	mix := slices.Clone(own)
	mixture{share: 0.75}.apply(mix, partner, size)
	for i, v := range mix {
		if want := 0.75*float32(i) - 25; v != want {
			t.Fatalf("mixup: value %d is %v, want %v", i, v, want)
		}
	}
	cut := slices.Clone(own)
	mixture{share: 0.875, paste: true, box: box{1, 2, 3, 3}}.apply(cut, partner, size)
	for i, v := range cut {
		want := float32(i)
		if x, y := i%4, i/4%4; y == 2 && (x == 1 || x == 2) {
			want = -100
		}
		if v != want {
			t.Errorf("CutMix: value %d is %v, want %v", i, v, want)
		}
	}
	kinds := map[bool]int{}
	for step := range uint32(1000) {
		m := Augment{Mixup: 1, CutMix: 1}.mixture(size, 1, step)
		kinds[m.paste]++
		inside := m.box.x0 >= 0 && m.box.y0 >= 0 && m.box.x1 <= size && m.box.y1 <= size
		area := (m.box.x1 - m.box.x0) * (m.box.y1 - m.box.y0)
		if !inside || m.paste && m.share != 1-float32(area)/16 {
			t.Fatalf("step %d: %+v", step, m)
		}
	}
	if kinds[true] < 420 || kinds[false] < 420 {
		t.Errorf("CutMix %d and mixup %d of 1000 steps", kinds[true], kinds[false])
	}
	if m := (Augment{}).mixture(size, 1, 1); m != (mixture{share: 1}) {
		t.Errorf("without mixing: %+v", m)
	}
}

func TestAugmentValidate(t *testing.T) {
	t.Parallel()
	for says, a := range map[string]Augment{
		"crop":        {Crop: -1},
		"operations":  {RandOps: 100},
		"magnitude":   {RandMagnitude: 31},
		"erasing":     {Erase: math.NaN()},
		"mixup":       {Mixup: -0.1},
		"CutMix with": {CutMix: math.Inf(1)},
	} {
		if err := a.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v", a, err)
		}
	}
	if err := DefaultAugment().Validate(); err != nil {
		t.Error(err)
	}
}

// Every operation, magnitude and sign gives what torchvision does on PIL images,
// byte for byte.
func TestRandAugmentIsPillows(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "randaugment.txt"))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var name string
		var magnitude, sign, size int
		var want uint32
		if _, err := fmt.Sscanf(line, "%s %d %d %d %x", &name, &magnitude, &sign, &size, &want); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		n := size * size
		p := picture{make([]uint8, 3*n), make([]uint8, 3*n), size}
		for c := range 3 {
			for i := range n {
				p.pix[c*n+i] = uint8(40 + (i*i*7+i*(13+c)+(i>>3))%(160+20*c))
			}
		}
		p.vary(op(t, name), magnitude, sign < 0)
		if got := crc32.ChecksumIEEE(p.pix); got != want {
			t.Errorf("%s, magnitude %d, sign %d, %d×%d: CRC-32 %08x, want %08x", name, magnitude, sign, size, size, got, want)
		}
		lines++
	}
	if lines != 2*(3+2*31+9*2*31) {
		t.Errorf("%d lines", lines)
	}
}
