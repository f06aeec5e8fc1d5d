package images

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"slices"
	"testing"
)

// exifOf is EXIF of one tag, the orientation.
func exifOf(order binary.AppendByteOrder, orientation uint16) []byte {
	b := []byte("II")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		b = []byte("MM")
	}
	b = order.AppendUint32(order.AppendUint16(b, 42), 8)
	b = order.AppendUint16(order.AppendUint16(order.AppendUint16(b, 1), 0x112), 3)
	return order.AppendUint32(order.AppendUint16(order.AppendUint16(order.AppendUint32(b, 1), orientation), 0), 0)
}

// withEXIF puts EXIF into a JPEG file.
func withEXIF(jpg, exif []byte) []byte {
	data := append([]byte("Exif\x00\x00"), exif...)
	head := binary.BigEndian.AppendUint16([]byte{0xff, 0xd8, 0xff, 0xe1}, uint16(len(data)+2))
	return slices.Concat(head, data, jpg[2:])
}

// TestEXIF: of a wide image with one dark corner, each orientation puts the corner where EXIF says.
func TestEXIF(t *testing.T) {
	t.Parallel()
	m := image.NewGray(image.Rect(0, 0, 21, 16)) // stored; the odd difference rounds the centre
	for i := range m.Pix {
		m.Pix[i] = uint8(5*(i%21) + 7*(i/21))
	}
	var jpg bytes.Buffer
	if err := jpeg.Encode(&jpg, m, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	stored, err := jpeg.Decode(&jpg)
	if err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&jpg, m, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	// Transposing first, then mirroring: how the stored image becomes upright.
	for orientation, do := range map[uint16]struct{ transpose, mirror, flip bool }{
		1: {}, 2: {mirror: true}, 3: {mirror: true, flip: true}, 4: {flip: true},
		5: {transpose: true}, 6: {transpose: true, mirror: true}, 7: {transpose: true, mirror: true, flip: true}, 8: {transpose: true, flip: true},
	} {
		w, h := 21, 16
		if do.transpose {
			w, h = h, w
		}
		want := image.NewGray(image.Rect(0, 0, w, h))
		for y := range h {
			for x := range w {
				sx, sy := x, y
				if do.mirror {
					sx = w - 1 - x
				}
				if do.flip {
					sy = h - 1 - y
				}
				if do.transpose {
					sx, sy = sy, sx
				}
				want.Set(x, y, stored.At(sx, sy))
			}
		}
		expected := make([]uint8, 3*16*16)
		square(want, 1, 16, expected)
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			exif := exifOf(order, orientation)
			file := withEXIF(jpg.Bytes(), exif)
			got := make([]uint8, 3*16*16)
			is, err := decode(file, 16, got, LatestReading)
			if err != nil || !slices.Equal(got, expected) || is.orientation != uint8(orientation) || is.width != 21 {
				t.Errorf("orientation %d: error %v, or other pixels", orientation, err)
			}
			first := slices.Clone(got)
			if _, err := decode(file, 16, first, FirstReading); err != nil || orientation > 1 && slices.Equal(first, expected) {
				t.Errorf("orientation %d is applied in the first version", orientation)
			}
		}
	}
	exif := exifOf(binary.LittleEndian, 6)
	png := pngOf(t, m)
	at := 8 + 25 // after IHDR
	chunkOf := slices.Concat(binary.BigEndian.AppendUint32(nil, uint32(len(exif))), []byte("eXIf"), exif, make([]byte, 4))
	for name, c := range map[string]struct {
		f format
		b []byte
	}{
		"png":  {pngFormat, slices.Concat(png[:at], chunkOf, png[at:])},
		"webp": {webpFormat, riff(canvas(4, 4, 8), webpOf(4, 4, color.NRGBA{})[12:], chunk("EXIF", exif))},
		"tiff": {tiffFormat, exif},
	} {
		if got := orientation(c.f, c.b); got != 6 {
			t.Errorf("%s: orientation %d", name, got)
		}
	}
}

// TestColourIsInterpolated: the values are those of libjpeg's and libwebp's formulas, by hand.
func TestColourIsInterpolated(t *testing.T) {
	t.Parallel()
	m := image.NewYCbCr(image.Rect(0, 0, 8, 4), image.YCbCrSubsampleRatio420)
	for i := range m.Y {
		m.Y[i] = 128
	}
	copy(m.Cr, []uint8{128, 128, 160, 160, 128, 128, 200, 200})
	for i := range m.Cb {
		m.Cb[i] = 128
	}
	row := func(y int) []uint8 { // red above 128 is 1.402 of Cr
		u := newUpsampler(m, m.Rect)
		_, cr := u.rows(y)
		return slices.Clone(cr[:8])
	}
	// Row 0 has the first line alone, row 1 three quarters of it and one of the second.
	for y, want := range [][]uint8{
		{128, 128, 128, 136, 152, 160, 160, 160},
		{128, 128, 128, 138, 160, 170, 170, 170}, // sums 512 512 680 680: (3*512+680+7)/16 = 138, (3*680+512+8)/16 = 160
	} {
		if got := row(y); !slices.Equal(got, want) {
			t.Errorf("JPEG row %d: %v, want %v", y, got, want)
		}
	}
	whole := jpegColour{m}.crop(m.Rect)
	for _, r := range []image.Rectangle{image.Rect(1, 1, 5, 4), image.Rect(2, 0, 7, 3), image.Rect(3, 2, 4, 3)} {
		part := jpegColour{m}.crop(r)
		for y := range r.Dy() {
			for x := range r.Dx() {
				if part.RGBAAt(x, y) != whole.RGBAAt(r.Min.X+x, r.Min.Y+y) {
					t.Fatalf("cut %v: pixel (%d,%d) is another than in the whole", r, x, y)
				}
			}
		}
	}
	if got := whole.RGBAAt(6, 0); got != (color.RGBA{173, 105, 128, 255}) { // Cr - 128 = 32: 128+44.9, 128-22.9
		t.Errorf("colour %v", got)
	}
	out := make([]uint8, 8)
	webpRow(out, m.Cr[:4], m.Cr[4:])
	// 9, 3, 3 and 1 sixteenths: (9*128 + 3*160 + 3*128 + 200)/16 is 138.5, and up.
	if want := []uint8{128, 128, 128, 139, 160, 170, 170, 170}; !slices.Equal(out, want) {
		t.Errorf("WebP row %v, want %v", out, want)
	}
	black := webpColour{m, nil}
	for i := range m.Y {
		m.Y[i] = 16
	}
	copy(m.Cr, slices.Repeat([]uint8{128}, 8))
	if got := black.crop(m.Rect).RGBAAt(3, 3); got != (color.RGBA{0, 0, 0, 255}) {
		t.Errorf("black of video range is %v", got)
	}
}
