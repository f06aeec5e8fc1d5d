package images

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pixel returns column x, row y of planes (3,size,size).
func pixel(planes []uint8, size, x, y int) [3]uint8 {
	i := y*size + x
	return [3]uint8{planes[i], planes[size*size+i], planes[2*size*size+i]}
}

// Every kind of image becomes RGB on white.
func TestColourModels(t *testing.T) {
	t.Parallel()
	rect := image.Rect(3, 5, 5, 7) // images need not start at the origin
	for name, c := range map[string]struct {
		m    image.Image
		want [3]uint8
	}{
		"grey":        {fill(image.NewGray(rect), color.Gray{77}), [3]uint8{77, 77, 77}},
		"grey16":      {fill(image.NewGray16(rect), color.Gray16{0x4dff}), [3]uint8{0x4d, 0x4d, 0x4d}},
		"palette":     {fill(image.NewPaletted(rect, color.Palette{color.Black, color.RGBA{1, 2, 3, 255}}), color.RGBA{1, 2, 3, 255}), [3]uint8{1, 2, 3}},
		"transparent": {fill(image.NewNRGBA(rect), color.NRGBA{9, 9, 9, 0}), [3]uint8{255, 255, 255}},
		"half":        {fill(image.NewNRGBA(rect), color.NRGBA{0, 100, 200, 128}), [3]uint8{127, 177, 228}},
		"opaque":      {fill(image.NewNRGBA(rect), color.NRGBA{7, 100, 200, 255}), [3]uint8{7, 100, 200}},
		"rgba64":      {fill(image.NewRGBA64(rect), color.RGBA64{0x07ff, 0x6400, 0xc880, 0xffff}), [3]uint8{7, 100, 200}},
		"cmyk":        {fill(image.NewCMYK(rect), color.CMYK{255, 0, 51, 0}), [3]uint8{0, 255, 204}},
	} {
		planes := make([]uint8, 12)
		square(c.m, 1, 2, planes)
		for i := range 4 {
			if got := pixel(planes, 2, i%2, i/2); got != c.want {
				t.Errorf("%s: pixel %d is %v, want %v", name, i, got, c.want)
			}
		}
	}
}

type settable interface {
	image.Image
	Set(x, y int, c color.Color)
}

func fill(m settable, c color.Color) image.Image {
	b := m.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			m.Set(x, y, c)
		}
	}
	return m
}

func TestFormats(t *testing.T) {
	t.Parallel()
	red := color.NRGBA{200, 30, 60, 255}
	m := fill(image.NewNRGBA(image.Rect(0, 0, 16, 16)), red)
	var jpg, grey bytes.Buffer
	if err := jpeg.Encode(&jpg, m, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&grey, fill(image.NewGray(image.Rect(0, 0, 16, 16)), color.Gray{90}), nil); err != nil {
		t.Fatal(err)
	}
	extended := riff(canvas(16, 16, 0), webpOf(16, 16, red)[12:])
	for name, c := range map[string]struct {
		b    []byte
		want [3]uint8
	}{
		"png":           {pngOf(t, m), [3]uint8{200, 30, 60}},
		"jpeg":          {jpg.Bytes(), [3]uint8{200, 30, 60}},
		"grey jpeg":     {grey.Bytes(), [3]uint8{90, 90, 90}},
		"webp":          {webpOf(16, 16, red), [3]uint8{200, 30, 60}},
		"webp on white": {webpOf(16, 16, color.NRGBA{200, 30, 60, 0}), [3]uint8{255, 255, 255}},
		"extended webp": {extended, [3]uint8{200, 30, 60}},
	} {
		p := file1(t, "a.file", c.b) // the bytes tell the format
		planes, err := ReadFile(p, 16, 0, LatestReading)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := pixel(planes, 16, 8, 8)
		for i := range 3 {
			if math.Abs(float64(got[i])-float64(c.want[i])) > 2 {
				t.Errorf("%s: pixel %v, want %v", name, got, c.want)
				break
			}
		}
	}
}

// Images by another program, of formats that Go cannot write.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	white := [3]uint8{255, 255, 255}
	for name, want := range map[string][2][3]uint8{ // left and right
		"cmyk.jpg":         {{0, 255, 204}, {0, 255, 204}},
		"lossy.webp":       {{200, 30, 60}, {200, 30, 60}},
		"transparent.webp": {white, {200, 30, 60}},
		"grey-alpha.png":   {{172, 172, 172}, {172, 172, 172}},
	} {
		planes, err := ReadFile(filepath.Join("testdata", name), 16, 0, LatestReading)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for side, x := range []int{2, 13} {
			got := pixel(planes, 16, x, 8)
			for c := range 3 {
				if math.Abs(float64(got[c])-float64(want[side][c])) > 3 {
					t.Errorf("%s: column %d is %v, want %v", name, x, got, want[side])
					break
				}
			}
		}
	}
}

// A WebP file with a small canvas may hold a frame that takes a gigabyte, or
// less transparency than pixels.
func TestHostileWebP(t *testing.T) {
	t.Parallel()
	frame := webpOf(1<<14, 1<<14, color.NRGBA{A: 255})
	for name, c := range map[string]struct {
		b  []byte
		is error
	}{
		"frame":        {frame, ErrTooLarge},
		"small canvas": {riff(canvas(16, 16, 0), frame[12:]), ErrCorrupt},
		"no frame":     {riff(canvas(16, 16, 0)), ErrCorrupt},
		"long chunk":   {append(riff(canvas(16, 16, 0)), "ABCD\xff\xff\xff\xff"...), ErrCorrupt},
		"cut":          {frame[:20], ErrCorrupt},
	} {
		if _, err := decode(c.b, 4, make([]uint8, 48), LatestReading); !errors.Is(err, c.is) {
			t.Errorf("%s: error %v, want %v", name, err, c.is)
		}
	}
}

func TestScaling(t *testing.T) {
	t.Parallel()
	// Of the size wanted: untouched.
	m := pattern(6, 6, 3)
	planes := make([]uint8, 3*36)
	square(m, 1, 6, planes)
	for i := range 36 {
		if c := m.RGBAAt(i%6, i/6); pixel(planes, 6, i%6, i/6) != [3]uint8{c.R, c.G, c.B} {
			t.Fatalf("pixel %d changed", i)
		}
	}
	// The centre square of a wide and of a high image: columns or rows 2 and 3 of 6.
	for _, wide := range []bool{true, false} {
		m := image.NewRGBA(image.Rect(0, 0, 6, 2))
		if !wide {
			m = image.NewRGBA(image.Rect(0, 0, 2, 6))
		}
		for i := range 12 {
			x, y := i%m.Rect.Dx(), i/m.Rect.Dx()
			m.SetRGBA(x, y, color.RGBA{uint8(10 * max(x*btoi(wide), y*btoi(!wide))), 0, 0, 255})
		}
		planes := make([]uint8, 12)
		square(m, 1, 2, planes)
		got := []uint8{planes[0], planes[1], planes[2], planes[3]}
		want := []uint8{20, 30, 20, 30}
		if !wide {
			want = []uint8{20, 20, 30, 30}
		}
		if !slices.Equal(got, want) {
			t.Errorf("wide %v: red %v, want %v", wide, got, want)
		}
	}
	// Catmull-Rom keeps a constant image, smaller and larger, and a CIFAR record
	// is scaled like any image.
	record := bytes.Repeat([]byte{83}, cifar10Bytes)
	for _, size := range []int{1, 7, 45} {
		planes := make([]uint8, 3*size*size)
		decodeRecord(record, image.Point{}, size, planes)
		if slices.Min(planes) != 83 || slices.Max(planes) != 83 {
			t.Errorf("size %d: values %d..%d of a constant image of 83", size, slices.Min(planes), slices.Max(planes))
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string][]byte{"b/2.JPG": nil, "a.png": nil, "b/1.webp": nil, "notes.txt": nil, ".git/x.png": nil})
	found, _, err := Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range found {
		found[i], _ = filepath.Rel(dir, p)
	}
	if want := []string{"a.png", filepath.Join("b", "1.webp"), filepath.Join("b", "2.JPG")}; !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
	if _, _, err := Find(t.TempDir()); !errors.Is(err, ErrNoImages) {
		t.Errorf("an empty folder: %v", err)
	}
	if _, _, err := Find(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent path: %v", err)
	}
	if _, err := ReadFile(dir, 4, 0, LatestReading); !errors.Is(err, ErrNoImages) {
		t.Errorf("a folder read as an image: %v", err)
	}
}

// A crop gives the centre of the image scaled to more.
func TestReadFileCrops(t *testing.T) {
	t.Parallel()
	m := image.NewNRGBA(image.Rect(0, 0, 50, 40))
	for i := range 2000 {
		m.Set(i%50, i/50, color.NRGBA{uint8(5 * (i % 50)), uint8(6 * (i / 50)), uint8(i), 255})
	}
	p := file1(t, "a.png", pngOf(t, m))
	read := func(size int, crop float64) []uint8 {
		planes, err := ReadFile(p, size, crop, LatestReading)
		if err != nil {
			t.Fatal(err)
		}
		return planes
	}
	for crop, c := range map[float64]struct{ whole, corner int }{0: {10, 0}, 1: {10, 0}, 0.5: {20, 5}, 0.9: {11, 0}, 0.7: {14, 2}, 0.75: {13, 2}, 0.25: {40, 15}} {
		got, whole := read(10, crop), read(c.whole, 0)
		for i := range 100 {
			x, y := i%10, i/10
			if a, b := pixel(got, 10, x, y), pixel(whole, c.whole, c.corner+x, c.corner+y); len(got) != 300 || a != b {
				t.Fatalf("crop %v: pixel (%d,%d) is %v, want %v", crop, x, y, a, b)
			}
		}
	}
	if _, err := ReadFile(p, 10, 1e-9, LatestReading); err == nil || !strings.Contains(err.Error(), "give a larger crop") {
		t.Errorf("a speck: %v", err)
	}
}
