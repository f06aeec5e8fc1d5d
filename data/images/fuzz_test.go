package images

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
	"path/filepath"
	"testing"
)

// Whatever the bytes, decoding gives an image or an error.
func FuzzDecode(f *testing.F) {
	var jpg bytes.Buffer
	if err := jpeg.Encode(&jpg, pattern(9, 7, 1), nil); err != nil {
		f.Fatal(err)
	}
	f.Add(jpg.Bytes())
	f.Add(pngOf(f, pattern(5, 6, 2)))
	f.Add(pngOf(f, fill(image.NewNRGBA(image.Rect(0, 0, 3, 3)), color.NRGBA{1, 2, 3, 4})))
	f.Add(webpOf(4, 5, color.NRGBA{1, 2, 3, 4}))
	f.Add(riff(canvas(4, 4, 0), webpOf(4, 4, color.NRGBA{1, 2, 3, 255})[12:]))
	f.Add(riff(canvas(4, 4, 16), chunk("ALPH", make([]byte, 17)), webpOf(4, 4, color.NRGBA{1, 2, 3, 255})[12:]))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, w, h, err := inspect(b); err == nil && w*h > 1<<20 {
			t.Skip("slow")
		}
		_ = decode(b, 8, make([]byte, 3*64))
	})
}

// Whatever the archive, opening it gives a set that can be read or an error.
func FuzzTar(f *testing.F) {
	f.Add(tarOf(f, classes3(f, 1, 2)))
	f.Add(tarOf(f, map[string][]byte{"test.bin": cifarRecords(false, 1, 2)}))
	f.Add(gzipOf(f, tarOf(f, classes3(f, 1, 2))))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, name := range []string{"a.tar", "a.tgz"} {
			d, err := Open(context.Background(), file1(t, name, b), Options{Size: 2, OnCorrupt: Skip, MaxMemory: 1 << 22, Threads: 1}, nil)
			if err != nil {
				continue
			}
			if pixels, labels := all(t, d.Train); len(pixels) != 12*len(labels) {
				t.Errorf("%d values of %d images", len(pixels), len(labels))
			}
			d.Close()
		}
	})
}

// Whatever the bytes of a CIFAR file and of its names, every label has a class.
func FuzzCIFAR(f *testing.F) {
	f.Add(cifarRecords(false, 1, 2), []byte(nil))
	f.Add(cifarRecords(true, 1, 99), []byte(nil))
	f.Add(cifarRecords(false, 1, 0), []byte("a\r\nb\n"))
	f.Fuzz(func(t *testing.T, b, names []byte) {
		files := map[string][]byte{"a.bin": b}
		if len(names) > 0 {
			files[cifar10Names] = names
		}
		d, err := Open(context.Background(), filepath.Join(folder(t, files), "a.bin"), Options{Threads: 1}, nil)
		if err != nil {
			return
		}
		for i := range d.Train.Len() {
			if l := d.Train.Label(i); l < 0 || l >= len(d.Train.Classes()) {
				t.Errorf("label %d of %d classes", l, len(d.Train.Classes()))
			}
		}
	})
}
