package images

import (
	"cmp"
	"fmt"
	"image"
	"image/draw"
	"math"
	"os"
	"path/filepath"

	scale "golang.org/x/image/draw"
)

// Images beyond these limits are rejected before memory is allocated for them.
const (
	maxPixels    = 1 << 25 // 33 million, more than an 8K frame
	maxFileBytes = 1 << 28 // of an image file
	maxSize      = 1 << 12 // side of the scaled images
)

// facts are what is known of an image beside its pixels.
type facts struct {
	width, height int32 // as stored
	orientation   uint8 // of EXIF, if it is applied; 0 and 1: as stored
	animated      bool  // the first of several pictures
	clear         bool  // some of it is transparent
}

// inspect returns the format of an image file and the size in its header, or an error if the size exceeds the limits.
func inspect(b []byte, reading Reading) (f format, width, height int, err error) {
	f = formatOf(b)
	if !reading.latest() && f > webpFormat {
		f = noFormat
	}
	config, err := f.header(b)
	if err == nil {
		err = f.check(b, reading)
	}
	if err != nil {
		return f, 0, 0, fmt.Errorf("%w: %v", ErrCorrupt, err)
	}
	w, h := config.Width, config.Height
	if w < 1 || h < 1 {
		return f, 0, 0, fmt.Errorf("%w: %d×%d pixels", ErrCorrupt, w, h)
	}
	if w > maxPixels/h {
		return f, 0, 0, fmt.Errorf("%w: %d×%d pixels; at most %d in all", ErrTooLarge, w, h, maxPixels)
	}
	return f, w, h, nil
}

// decode writes an image file as planes (3,size,size). Its errors do not name the file.
func decode(b []byte, size int, planes []uint8, reading Reading) (facts, error) {
	b = mended(b, reading)
	f, w, h, err := inspect(b, reading)
	if err != nil {
		return facts{}, err
	}
	m, err := f.decode(b, reading)
	if err != nil {
		return facts{}, fmt.Errorf("%w: %v", ErrCorrupt, err)
	}
	if got := m.Bounds(); got.Dx() != w || got.Dy() != h {
		return facts{}, fmt.Errorf("%w: %d×%d pixels, but its header says %d×%d", ErrCorrupt, got.Dx(), got.Dy(), w, h)
	}
	is := facts{width: int32(w), height: int32(h)}
	if reading.latest() {
		is.orientation, is.animated, is.clear = uint8(orientation(f, b)), animated(f, b), transparent(m)
	}
	square(m, int(is.orientation), size, planes)
	return is, nil
}

// transparent reports whether an image shows what lies below it.
func transparent(m image.Image) bool {
	switch m := m.(type) {
	case *image.NRGBA:
		return !m.Opaque()
	case *image.NRGBA64:
		return !m.Opaque()
	case *image.Paletted:
		return !m.Opaque()
	case webpColour:
		return m.alpha != nil && !m.alpha.Opaque()
	case onCanvas:
		return m.Image.Bounds() != m.canvas || transparent(m.Image)
	}
	return false
}

// square writes the centre square of m, turned upright, on white, scaled to planes (3,size,size).
func square(m image.Image, orientation, size int, planes []uint8) {
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	side := min(w, h)
	across, down := (w-side)/2, (h-side)/2
	if turned(orientation) { // the corner of the upright image, which is h wide
		across, down = (h-side)/2, (w-side)/2
	}
	x0, y0 := upright(orientation, w, h, across, down)
	x1, y1 := upright(orientation, w, h, across+side-1, down+side-1)
	r := image.Rect(x0, y0, x1, y1)
	r.Max = r.Max.Add(image.Pt(1, 1))
	rgba := turn(onWhite(m, r.Add(b.Min)), orientation)
	if side != size {
		scaled := image.NewRGBA(image.Rect(0, 0, size, size))
		scale.CatmullRom.Scale(scaled, scaled.Rect, rgba, rgba.Rect, scale.Src, nil)
		rgba = scaled
	}
	n := size * size
	for i := range n {
		planes[i], planes[n+i], planes[2*n+i] = rgba.Pix[4*i], rgba.Pix[4*i+1], rgba.Pix[4*i+2]
	}
}

// onWhite returns a rectangle of m on white.
func onWhite(m image.Image, r image.Rectangle) *image.RGBA {
	if m, ok := m.(cropper); ok {
		return m.crop(r)
	}
	rgba := image.NewRGBA(image.Rect(0, 0, r.Dx(), r.Dy()))
	draw.Draw(rgba, rgba.Rect, image.White, image.Point{}, draw.Src)
	draw.Draw(rgba, rgba.Rect, m, r.Min, draw.Over)
	return rgba
}

// turn returns the upright image of a square one.
func turn(m *image.RGBA, orientation int) *image.RGBA {
	if orientation <= 1 {
		return m
	}
	side := m.Rect.Dx()
	out := image.NewRGBA(m.Rect)
	for y := range side {
		for x := range side {
			fromX, fromY := upright(orientation, side, side, x, y)
			copy(out.Pix[4*(y*side+x):][:4], m.Pix[4*(fromY*side+fromX):])
		}
	}
	return out
}

// decodeRecord writes the pixels of a record as planes (3,size,size): of a grey image of the given size, or else
// CIFAR's.
func decodeRecord(record []byte, grey image.Point, size int, planes []uint8) facts {
	if grey != (image.Point{}) {
		square(&image.Gray{Pix: record, Stride: grey.X, Rect: image.Rectangle{Max: grey}}, 1, size, planes)
		return facts{width: int32(grey.X), height: int32(grey.Y)}
	}
	record = record[len(record)-cifarPixels:]
	is := facts{width: cifarSize, height: cifarSize}
	if size == cifarSize {
		copy(planes, record)
		return is
	}
	const n = cifarSize * cifarSize
	m := image.NewRGBA(image.Rect(0, 0, cifarSize, cifarSize))
	for i := range n {
		m.Pix[4*i], m.Pix[4*i+1], m.Pix[4*i+2], m.Pix[4*i+3] = record[i], record[n+i], record[2*n+i], 255
	}
	square(m, 1, size, planes)
	return is
}

// ReadFile decodes the image in a file and scales it to size×size as Open does. With 0 < crop < 1 it scales to side
// ⌊size/crop⌋ instead and returns the centre, as in timm's transforms for evaluation. It returns planes
// (3,size,size), red first. An image that cannot be decoded is ErrCorrupt or ErrTooLarge.
func ReadFile(path string, size int, crop float64, reading Reading) ([]uint8, error) {
	if err := cmp.Or(checkSize(size), reading.Validate()); err != nil {
		return nil, err
	}
	whole := size
	if crop > 0 && crop < 1 {
		side := float64(size) / crop
		if side > maxSize {
			return nil, fmt.Errorf("images: the centre, %v of the side, of images scaled to more than %d×%[2]d pixels; give a larger crop", crop, maxSize)
		}
		whole = int(side)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("images: %s: %w: no ordinary file", path, ErrNoImages)
	}
	s := sample{file: &file{place: &place{root: filepath.Dir(path)}, name: filepath.Base(path), size: info.Size()}}
	planes := make([]uint8, 3*whole*whole)
	if _, err := s.decode(whole, planes, reading, nil); err != nil || whole == size {
		return planes, err
	}
	centre := make([]uint8, 0, 3*size*size)
	corner := int(math.RoundToEven(float64(whole-size) / 2))
	for c := range 3 {
		for y := range size {
			row := planes[(c*whole+corner+y)*whole+corner:]
			centre = append(centre, row[:size]...)
		}
	}
	return centre, nil
}

func checkSize(size int) error {
	if size < 1 || size > maxSize {
		return fmt.Errorf("images: images of %d×%d pixels; give a side from 1 to %d", size, size, maxSize)
	}
	return nil
}
