package images

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// format is a format of image files that is read.
type format int

const (
	noFormat format = iota
	pngFormat
	jpegFormat
	webpFormat
	bmpFormat
	gifFormat
	tiffFormat
)

// formatError says what a file is that has no format that is read.
func formatError(b []byte) error {
	switch {
	case len(b) == 0:
		return errors.New("it is empty")
	case foreignOf(b) != "":
		return fmt.Errorf("it is %s, which is not read: convert it to PNG or JPEG", foreignOf(b))
	case bytes.HasPrefix(b, []byte("version https://git-lfs")):
		return errors.New("it is a pointer of Git LFS: fetch the images with git lfs pull")
	case bytes.HasPrefix(bytes.TrimSpace(b[:min(len(b), 64)]), []byte("<")):
		return errors.New("it is text, perhaps a web page")
	}
	if link := string(b); len(b) < 256 && IsImage(link) && strings.Contains(link, "/") && !strings.ContainsAny(link, "\n\x00") {
		return fmt.Errorf("it has only the text %q: perhaps a symbolic link that Git or an archive made a file", link)
	}
	return errors.New("neither PNG, JPEG, WebP, BMP, GIF nor TIFF")
}

// formatOf finds the format by the first bytes of a file, not by its name.
func formatOf(b []byte) format {
	switch {
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return pngFormat
	case bytes.HasPrefix(b, []byte("\xff\xd8")):
		return jpegFormat
	case len(b) >= 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP":
		return webpFormat
	case bytes.HasPrefix(b, []byte("GIF87a")), bytes.HasPrefix(b, []byte("GIF89a")):
		return gifFormat
	case bytes.HasPrefix(b, []byte("II*\x00")), bytes.HasPrefix(b, []byte("MM\x00*")):
		return tiffFormat
	case len(b) >= 14 && b[0] == 'B' && b[1] == 'M' && bytes.Equal(b[6:10], make([]byte, 4)): // reserved bytes
		return bmpFormat
	}
	return noFormat
}

// header returns the size in the header of a file of the format f.
func (f format) header(b []byte) (c image.Config, err error) {
	r := bytes.NewReader(b)
	switch f {
	case pngFormat:
		return png.DecodeConfig(r)
	case jpegFormat:
		return jpeg.DecodeConfig(r)
	case webpFormat:
		return webp.DecodeConfig(r)
	case bmpFormat:
		return bmp.DecodeConfig(r)
	case gifFormat:
		return gif.DecodeConfig(r)
	case tiffFormat:
		return tiff.DecodeConfig(r)
	}
	return c, formatError(b)
}

// decode decodes a file of the format f; of several pictures, the first.
func (f format) decode(b []byte, reading Reading) (image.Image, error) {
	r := bytes.NewReader(b)
	switch f {
	case pngFormat:
		return png.Decode(r)
	case jpegFormat:
		m, err := jpeg.Decode(r)
		if colour, ok := m.(*image.YCbCr); ok && reading.latest() {
			return jpegColour{colour}, err
		}
		return m, err
	case webpFormat:
		if reading.latest() {
			return decodeWebP(b)
		}
		return firstWebP(r)
	case bmpFormat:
		return bmp.Decode(r)
	case gifFormat:
		return decodeGIF(r)
	}
	return tiff.Decode(r)
}

// decodeGIF decodes the first picture, which may be smaller than its canvas.
func decodeGIF(r *bytes.Reader) (image.Image, error) {
	canvas, err := gif.DecodeConfig(r)
	if err != nil {
		return nil, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	m, err := gif.Decode(r)
	if err != nil {
		return nil, err
	}
	return onCanvas{m, image.Rect(0, 0, canvas.Width, canvas.Height)}, nil
}

// onCanvas is an image that lies on a larger, transparent one.
type onCanvas struct {
	image.Image
	canvas image.Rectangle
}

func (m onCanvas) Bounds() image.Rectangle { return m.canvas }

func (m onCanvas) At(x, y int) color.Color {
	if !(image.Point{X: x, Y: y}).In(m.Image.Bounds()) {
		return color.Transparent
	}
	return m.Image.At(x, y)
}

// decodeWebP decodes a WebP file; of an animation, the first picture on its canvas.
func decodeWebP(b []byte) (image.Image, error) {
	still, canvas, at := b, image.Config{}, image.Point{}
	if animated(webpFormat, b) {
		var err error
		if still, at, err = firstFrame(b); err != nil {
			return nil, err
		}
		if canvas, err = webp.DecodeConfig(bytes.NewReader(b)); err != nil {
			return nil, err
		}
	}
	m, err := webp.Decode(bytes.NewReader(still))
	if err != nil {
		return nil, err
	}
	var shown image.Image = m
	switch m := m.(type) {
	case *image.YCbCr:
		shown = webpColour{m, nil}
	case *image.NYCbCrA:
		shown = webpColour{&m.YCbCr, m}
	}
	if canvas.Width == 0 {
		return shown, nil
	}
	frame := m.Bounds()
	if c, ok := shown.(cropper); ok {
		shown = c.crop(frame)
	}
	return onCanvas{moved{shown, at}, image.Rect(0, 0, canvas.Width, canvas.Height)}, nil
}

// moved is an image at another place.
type moved struct {
	image.Image
	by image.Point
}

func (m moved) Bounds() image.Rectangle { return m.Image.Bounds().Add(m.by) }
func (m moved) At(x, y int) color.Color { return m.Image.At(x-m.by.X, y-m.by.Y) }

// check refuses files that would make a decoder take more memory than their headers say.
func (f format) check(b []byte, reading Reading) error {
	if f != webpFormat {
		return nil
	}
	if !reading.latest() || !animated(f, b) {
		return checkWebP(b)
	}
	canvas, err := webp.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return err
	}
	still, at, err := firstFrame(b)
	if err != nil {
		return err
	}
	if err := checkWebP(still); err != nil {
		return err
	}
	frame, err := webp.DecodeConfig(bytes.NewReader(still))
	if err == nil && (at.X+frame.Width > canvas.Width || at.Y+frame.Height > canvas.Height) {
		err = fmt.Errorf("webp: a frame of %d×%d at %v on a canvas of %d×%d", frame.Width, frame.Height, at, canvas.Width, canvas.Height)
	}
	return err
}

// animated reports whether a file holds several pictures, of which the first is read.
func animated(f format, b []byte) bool {
	switch f {
	case pngFormat: // a chunk before the pixels says so
		for at := 8; len(b)-at >= 12; {
			id, n := string(b[at+4:at+8]), int64(binary.BigEndian.Uint32(b[at:]))
			if id == "acTL" || id == "IDAT" || n > int64(len(b)-at-12) {
				return id == "acTL"
			}
			at += 12 + int(n)
		}
	case webpFormat:
		return len(b) > 20 && string(b[12:16]) == "VP8X" && b[20]&2 != 0
	case gifFormat:
		return gifPictures(b) > 1
	}
	return false
}

// gifPictures counts the pictures of a GIF file, up to 2.
func gifPictures(b []byte) (n int) {
	if len(b) < 13 {
		return 0
	}
	palette := func(flags byte) int { return int(flags>>7) * 3 << (flags&7 + 1) }
	for at := 13 + palette(b[10]); at < len(b); {
		switch b[at] {
		case 0x21: // an extension
			at += 2
		case 0x2c:
			if n++; n > 1 || len(b)-at < 10 {
				return n
			}
			at += 11 + palette(b[at+9])
		default:
			return n
		}
		for at < len(b) && b[at] != 0 { // blocks of bytes
			at += 1 + int(b[at])
		}
		at++
	}
	return n
}
