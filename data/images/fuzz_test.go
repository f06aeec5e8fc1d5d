package images

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
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
	for _, name := range []string{"cmyk.jpg", "lossy.webp", "transparent.webp", "grey-alpha.png", "smooth.jpg", "smooth.webp"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, r := range []Reading{FirstReading, LatestReading} {
			if _, w, h, err := inspect(mended(b, r), r); err == nil && w*h > 1<<20 {
				t.Skip("slow")
			}
			_, err := decode(b, 8, make([]byte, 3*64), r)
			testkit.Refused(t, err)
		}
	})
}

// fuzzed opens a tree in memory and reads its first set.
func fuzzed(t *testing.T, files *tree) {
	train, val, err := files.sets(1 << 20)
	if err == nil {
		err = checkClasses("path", train, val, nil)
	}
	testkit.Refused(t, err)
	if err != nil {
		return
	}
	d := &Dataset{}
	o := Options{Size: 2, OnCorrupt: Skip, MaxMemory: 1 << 20, Threads: 1}
	if err := d.load(context.Background(), train, val, o, nil); err != nil {
		testkit.Refused(t, err)
		return
	}
	_, labels := all(t, d.Train)
	for _, l := range labels {
		if l < 0 || int(l) >= len(d.Train.Classes()) {
			t.Errorf("label %d of %d classes", l, len(d.Train.Classes()))
		}
	}
}

// Whatever the archive, it gives a set that can be read or an error.
func FuzzTar(f *testing.F) {
	f.Add(tarOf(f, map[string][]byte{"a/a.png": pngOf(f, pattern(1, 1, 1)), "b/a.png": pngOf(f, pattern(1, 1, 2))}))
	f.Add(tarOf(f, map[string][]byte{"train/a/a.png": nil, "test/b/a.png": nil}))
	f.Add(tarOf(f, map[string][]byte{"test.bin": cifarRecords(false, 1)}))
	for _, name := range testkit.Longer("train/a/b/c.png") {
		f.Add(tarOf(f, map[string][]byte{name: pngOf(f, pattern(1, 1, 1)), "x" + name: nil, name + ".csv": []byte("id,label")}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		files := newTree("a.tar", &ledger{}, LatestReading)
		err := files.openTar(context.Background(), bytes.NewReader(b), int64(len(b)))
		testkit.Refused(t, err)
		if err == nil {
			fuzzed(t, files)
		}
	})
}

// Whatever the bytes of a CIFAR file and of its names, every label has a class.
func FuzzCIFAR(f *testing.F) {
	f.Add(cifarRecords(false, 1), []byte(nil))
	f.Add(cifarRecords(true, 99), []byte(nil))
	f.Add(cifarRecords(false, 1), []byte("a\r\nb\n"))
	for _, names := range testkit.Longer("a\na\n") {
		f.Add(cifarRecords(false, 1), []byte(names))
	}
	f.Fuzz(func(t *testing.T, b, names []byte) {
		files := newTree("", &ledger{}, LatestReading)
		files.files = []*file{{name: "a.bin", place: &place{in: bytes.NewReader(b)}, size: int64(len(b))}}
		if len(names) > 0 {
			files.files = append(files.files, &file{name: cifar10Names, place: &place{in: bytes.NewReader(names)}, size: int64(len(names))})
		}
		fuzzed(t, files)
	})
}

// Whatever the archive, it gives a set that can be read or an error.
func FuzzZip(f *testing.F) {
	f.Add(zipOf(f, map[string][]byte{"a/a.png": pngOf(f, pattern(1, 1, 1)), "b/a.png": pngOf(f, pattern(1, 1, 2))}, zip.Deflate))
	f.Add(zipOf(f, map[string][]byte{"train/a/a.png": nil, "../b/a.png": nil, "x.csv": []byte("id,label\na,b")}, zip.Store))
	for _, name := range testkit.Longer("train/a/b/c.png") {
		f.Add(zipOf(f, map[string][]byte{name: pngOf(f, pattern(1, 1, 1)), "x" + name: nil}, zip.Deflate))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		files := newTree("a.zip", &ledger{}, LatestReading)
		err := files.openZip(context.Background(), bytes.NewReader(b), int64(len(b)), Options{MaxMemory: 1 << 20})
		testkit.Refused(t, err)
		if err == nil {
			fuzzed(t, files)
		}
	})
}

// Whatever the bytes of a table, every label has a class.
func FuzzLabels(f *testing.F) {
	for _, table := range []string{"id,label\na,x\nb,y\n", "\ufefffilename;class\na.png;x\n\"b.png;y", "image\tcategory\n../a\t\n", "id,label\na"} {
		f.Add([]byte(table))
		for _, longer := range testkit.Longer([]byte(table)) {
			f.Add(longer)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		files := newTree("", &ledger{}, LatestReading)
		png := pngOf(t, pattern(1, 1, 1))
		for _, name := range []string{"a.png", "b.png"} {
			files.add(&file{name: name, place: &place{in: bytes.NewReader(png)}, size: int64(len(png))})
		}
		files.add(&file{name: "labels.csv", place: &place{in: bytes.NewReader(b)}, size: int64(len(b))})
		fuzzed(t, files)
	})
}

// Whatever the bytes of MNIST's files, every label has a class.
func FuzzIdx(f *testing.F) {
	f.Add([]byte("\x00\x00\x08\x03\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x01ab"), []byte("\x00\x00\x08\x01\x00\x00\x00\x02\x00\x01"), false)
	f.Add([]byte(nil), []byte(nil), true)
	f.Fuzz(func(t *testing.T, pixels, labels []byte, packed bool) {
		files, end := newTree("", &ledger{}, LatestReading), ""
		if packed {
			end = ".gz"
		}
		files.add(&file{name: "train-images-idx3-ubyte" + end, place: &place{in: bytes.NewReader(pixels)}, size: int64(len(pixels))})
		files.add(&file{name: "train-labels-idx1-ubyte" + end, place: &place{in: bytes.NewReader(labels)}, size: int64(len(labels))})
		fuzzed(t, files)
	})
}

// Whatever the bytes, there is an orientation.
func FuzzEXIF(f *testing.F) {
	f.Add(exifOf(binary.LittleEndian, 6))
	f.Add(withEXIF([]byte("\xff\xd8\xff\xd9"), exifOf(binary.BigEndian, 3)))
	f.Fuzz(func(t *testing.T, b []byte) {
		for kind := pngFormat; kind <= tiffFormat; kind++ {
			if o := orientation(kind, b); o < 1 || o > 8 {
				t.Errorf("orientation %d", o)
			}
			animated(kind, b)
		}
	})
}
