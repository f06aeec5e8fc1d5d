package images

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	scale "golang.org/x/image/draw"
	"golang.org/x/image/webp"
)

// Images beyond these limits are rejected before memory is allocated for them.
const (
	maxPixels    = 1 << 25 // 33 million, more than an 8K frame
	maxFileBytes = 1 << 28 // of an image file
	maxSize      = 1 << 12 // side of the scaled images
)

// codec decodes one format.
type codec struct {
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

var errFormat = errors.New("neither PNG, JPEG nor WebP")

// codecOf finds the format by the first bytes of a file, not by its name.
func codecOf(b []byte) (codec, error) {
	switch {
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return codec{png.DecodeConfig, png.Decode}, nil
	case bytes.HasPrefix(b, []byte("\xff\xd8")):
		return codec{jpeg.DecodeConfig, jpeg.Decode}, nil
	case len(b) >= 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP":
		return codec{webp.DecodeConfig, decodeWebP}, checkWebP(b)
	}
	return codec{}, errFormat
}

// checkWebP checks that the frame of an extended WebP file is as large as its canvas.
// The decoder sizes transparency by the canvas, but memory and colour by the frame.
func checkWebP(b []byte) error {
	if len(b) < 16 || string(b[12:16]) != "VP8X" {
		return nil
	}
	canvas, err := webp.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return err
	}
	for at := 12; len(b)-at >= 8; {
		id, length := string(b[at:at+4]), int64(binary.LittleEndian.Uint32(b[at+4:]))
		if id == "VP8 " || id == "VP8L" {
			head := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(b)-at))
			head = append(head, "WEBP"...)
			frame, err := webp.DecodeConfig(io.MultiReader(bytes.NewReader(head), bytes.NewReader(b[at:])))
			if err != nil {
				return err
			}
			if frame.Width != canvas.Width || frame.Height != canvas.Height {
				return fmt.Errorf("webp: a frame of %d×%d on a canvas of %d×%d", frame.Width, frame.Height, canvas.Width, canvas.Height)
			}
			return nil
		}
		if length += 8 + length&1; length > int64(len(b)-at) {
			break
		}
		at += int(length)
	}
	return errors.New("webp: no image") // animations, for example
}

// decodeWebP decodes like webp.Decode and corrects the range of lossy images:
// webp.Decode returns video range (ITU-R BT.601, black is 16) in types that mean JPEG
// range (black is 0).
func decodeWebP(r io.Reader) (image.Image, error) {
	m, err := webp.Decode(r)
	if err != nil {
		return nil, err
	}
	var video *image.YCbCr
	opacity := func(x, y int) uint8 { return 255 }
	switch m := m.(type) {
	case *image.YCbCr:
		video = m
	case *image.NYCbCrA:
		video = &m.YCbCr
		opacity = func(x, y int) uint8 { return m.A[m.AOffset(x, y)] }
	default:
		return m, nil
	}
	rgb := image.NewNRGBA(video.Rect)
	for y := video.Rect.Min.Y; y < video.Rect.Max.Y; y++ {
		for x := video.Rect.Min.X; x < video.Rect.Max.X; x++ {
			c := video.YCbCrAt(x, y)
			luma, cb, cr := 298*(int(c.Y)-16), int(c.Cb)-128, int(c.Cr)-128 // in 256ths
			rgb.SetNRGBA(x, y, color.NRGBA{
				byteOf(luma + 409*cr), byteOf(luma - 100*cb - 208*cr), byteOf(luma + 517*cb), opacity(x, y)})
		}
	}
	return rgb, nil
}

// byteOf rounds v/256 to a byte.
func byteOf(v int) uint8 { return uint8(min(max((v+128)>>8, 0), 255)) }

// inspect returns the format of an image file and the size in its header, or an error
// if the size exceeds the limits.
func inspect(b []byte) (c codec, width, height int, err error) {
	if c, err = codecOf(b); err != nil {
		return c, 0, 0, fmt.Errorf("%w: %v", ErrCorrupt, err)
	}
	config, err := c.config(bytes.NewReader(b))
	if err != nil {
		return c, 0, 0, fmt.Errorf("%w: %v", ErrCorrupt, err)
	}
	w, h := config.Width, config.Height
	if w < 1 || h < 1 {
		return c, 0, 0, fmt.Errorf("%w: %d×%d pixels", ErrCorrupt, w, h)
	}
	if w > maxPixels/h {
		return c, 0, 0, fmt.Errorf("%w: %d×%d pixels; at most %d in all", ErrTooLarge, w, h, maxPixels)
	}
	return c, w, h, nil
}

// decode writes an image file as planes (3,size,size). Its errors do not name the
// file.
func decode(b []byte, size int, planes []uint8) error {
	c, w, h, err := inspect(b)
	if err != nil {
		return err
	}
	m, err := c.decode(bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("%w: %v", ErrCorrupt, err)
	}
	if got := m.Bounds(); got.Dx() != w || got.Dy() != h {
		return fmt.Errorf("%w: %d×%d pixels, but its header says %d×%d", ErrCorrupt, got.Dx(), got.Dy(), w, h)
	}
	square(m, size, planes)
	return nil
}

// square writes the centre square of m on white, scaled to planes (3,size,size).
func square(m image.Image, size int, planes []uint8) {
	b := m.Bounds()
	side := min(b.Dx(), b.Dy())
	corner := b.Min.Add(image.Pt((b.Dx()-side)/2, (b.Dy()-side)/2))
	rgba := image.NewRGBA(image.Rect(0, 0, side, side))
	draw.Draw(rgba, rgba.Rect, image.White, image.Point{}, draw.Src)
	draw.Draw(rgba, rgba.Rect, m, corner, draw.Over)
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

// decodeRecord writes the pixels of a CIFAR record as planes (3,size,size).
func decodeRecord(record []byte, size int, planes []uint8) {
	record = record[len(record)-cifarPixels:]
	if size == cifarSize {
		copy(planes, record)
		return
	}
	const n = cifarSize * cifarSize
	m := image.NewRGBA(image.Rect(0, 0, cifarSize, cifarSize))
	for i := range n {
		m.Pix[4*i], m.Pix[4*i+1], m.Pix[4*i+2], m.Pix[4*i+3] = record[i], record[n+i], record[2*n+i], 255
	}
	square(m, size, planes)
}

// ReadFile decodes the PNG, JPEG or WebP image in a file and scales it to size×size
// as Open does. With 0 < crop < 1 it scales to side ⌊size/crop⌋ instead and returns
// the centre, as in timm's transforms for evaluation. It returns planes
// (3,size,size), red first. An image that cannot be decoded is ErrCorrupt or
// ErrTooLarge.
func ReadFile(path string, size int, crop float64) ([]uint8, error) {
	if err := checkSize(size); err != nil {
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
	s := sample{file: &file{root: filepath.Dir(path), name: filepath.Base(path), size: info.Size()}}
	planes := make([]uint8, 3*whole*whole)
	if err := s.decode(whole, planes); err != nil || whole == size {
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

// Find lists the images at path for ReadFile: the file itself, or the PNG, JPEG and
// WebP files of a folder and its sub-folders in lexical order, without hidden ones
// and links. If there are none, the error is ErrNoImages.
func Find(path string) ([]string, error) {
	root, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("images: %w", err)
	}
	var found []string
	err = filepath.WalkDir(root, func(at string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case at != root && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.Type().IsRegular() && (at == root || isImage(at)):
			found = append(found, at)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("images: list %s: %w", path, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("images: %w in %s: it has no PNG, JPEG or WebP files", ErrNoImages, path)
	}
	return found, nil
}
