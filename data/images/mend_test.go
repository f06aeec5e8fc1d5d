package images

import (
	"bytes"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// chunkOf is a chunk of PNG with a wrong checksum.
func chunkOf(name, content string) []byte {
	b := append([]byte{0, 0, 0, byte(len(content))}, name...)
	return append(append(b, content...), 1, 2, 3, 4)
}

// TestDamageAroundPixels: files are read if all of their pixels are there, and refused otherwise.
func TestDamageAroundPixels(t *testing.T) {
	t.Parallel()
	whole := pngOf(t, pattern(9, 9, 1))
	var b bytes.Buffer
	if err := jpeg.Encode(&b, pattern(32, 32, 1), nil); err != nil {
		t.Fatal(err)
	}
	photo := b.Bytes()
	ihdr, idat := 8+25, len(whole)-12 // behind the first chunk and the last pixels
	join := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	for name, c := range map[string]struct{ damaged, whole []byte }{
		"text":              {join(whole[:ihdr], chunkOf("tEXt", "a\x00b"), whole[ihdr:]), whole},
		"two texts":         {join(whole[:ihdr], chunkOf("tEXt", "a"), chunkOf("iTXt", ""), whole[ihdr:idat], chunkOf("tIME", "x"), whole[idat:]), whole},
		"no end":            {whole[:idat], whole},
		"half an end":       {whole[:idat+9], whole},
		"a byte of an end":  {whole[:idat+1], whole},
		"text and no end":   {join(whole[:ihdr], chunkOf("tEXt", "a"), whole[ihdr:idat]), whole},
		"bytes behind":      {join(whole, []byte("more")), whole},
		"JPEG":              {photo[:len(photo)-2], photo},
		"JPEG, half an end": {photo[:len(photo)-1], photo},
	} {
		want, got := make([]uint8, 3*64), make([]uint8, 3*64)
		if _, err := decode(c.whole, 8, want, LatestReading); err != nil {
			t.Fatal(err)
		}
		before := slices.Clone(c.damaged)
		if _, err := decode(c.damaged, 8, got, LatestReading); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Equal(before, c.damaged) {
			t.Errorf("%s: the file has changed", name)
		}
	}
	wrong := slices.Clone(whole)
	wrong[idat-1] ^= 1
	for name, damaged := range map[string][]byte{
		"pixels":              whole[:idat-5],
		"checksum of pixels":  wrong,
		"no pixels":           whole[:ihdr],
		"transparency":        join(whole[:ihdr], chunkOf("tRNS", "\x00\x01"), whole[ihdr:]),
		"half a JPEG":         photo[:len(photo)/2],
		"most of a JPEG":      photo[:len(photo)-8],
		"half a header":       whole[:20],
		"a long chunk":        join(whole[:ihdr], []byte("\xff\xff\xff\xfftEXt"), whole[ihdr:]),
		"only marks of JPEG":  []byte("\xff\xd8"),
		"a chunk of no bytes": join(whole[:idat], make([]byte, 12)),
	} {
		if _, err := decode(damaged, 8, make([]uint8, 3*64), LatestReading); err == nil {
			t.Errorf("%s: it is read", name)
		}
	}
}

// TestPixelsAreAsElsewhere: libjpeg-turbo and libwebp read the same pixels, within the rounding of JPEG's transform.
// testdata/smooth.mjs says how the files were made.
func TestPixelsAreAsElsewhere(t *testing.T) {
	t.Parallel()
	for kind, most := range map[string]int{"jpg": 2, "webp": 0} {
		read := func(name string) *image.RGBA {
			b, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			m, err := formatOf(b).decode(b, LatestReading)
			if err != nil {
				t.Fatal(err)
			}
			return onWhite(m, m.Bounds())
		}
		got, want := read("smooth."+kind), read("smooth-"+kind+".png")
		if got.Rect != want.Rect {
			t.Fatalf("%s: %v, want %v", kind, got.Rect, want.Rect)
		}
		for i, v := range want.Pix {
			if d := int(got.Pix[i]) - int(v); d < -most || d > most {
				t.Fatalf("%s: pixel %d, channel %d: %d, want %d", kind, i/4, i%4, got.Pix[i], v)
			}
		}
	}
}
