package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func open(t testing.TB, path string, o Options) *Dataset {
	t.Helper()
	d, err := Open(context.Background(), path, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// folder writes files by their slash-separated names and returns their folder.
func folder(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tarOf archives files in an order that is not that of their names.
func tarOf(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	names := slices.Sorted(maps.Keys(files))
	slices.Reverse(names)
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(t testing.TB, b []byte) []byte {
	t.Helper()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}

func file1(t testing.TB, name string, b []byte) string {
	return filepath.Join(folder(t, map[string][]byte{name: b}), name)
}

// pattern is an image whose every pixel depends on tag.
func pattern(w, h, tag int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		m.SetRGBA(i%w, i/w, color.RGBA{uint8(tag), uint8(7*i + tag), uint8(i * i), 255})
	}
	return m
}

func pngOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// classes3 is a data set of three classes of n images each.
func classes3(t testing.TB, n, size int) map[string][]byte {
	files := map[string][]byte{}
	for c, class := range []string{"ant", "bee", "cat"} {
		for i := range n {
			files[class+"/"+string(rune('a'+i/26))+string(rune('a'+i%26))+".png"] = pngOf(t, pattern(size, size, 60*c+i))
		}
	}
	return files
}

// all returns every image of a set as pixels and labels.
func all(t testing.TB, s *Set) ([]float32, []int32) {
	t.Helper()
	pixels := make([]float32, s.Len()*3*s.Size()*s.Size())
	labels := make([]int32, s.Len())
	if err := s.Fill(0, s.Len(), pixels, labels); err != nil {
		t.Fatal(err)
	}
	return pixels, labels
}

// webpOf is a lossless WebP image of one colour, by the simplest prefix codes.
func webpOf(w, h int, c color.NRGBA) []byte {
	var bits []byte
	at := 0
	put := func(v, n int) {
		for i := range n {
			if at%8 == 0 {
				bits = append(bits, 0)
			}
			bits[at/8] |= byte(v>>i&1) << (at % 8)
			at++
		}
	}
	put(0x2f, 8)
	put(w-1, 14)
	put(h-1, 14)
	put(1, 1) // alpha is used
	put(0, 3) // version
	put(0, 3) // no transform, no colour cache, one group of codes
	for _, v := range []uint8{c.G, c.R, c.B, c.A, 0} {
		put(5, 3) // a simple code, of one symbol, of 8 bits
		put(int(v), 8)
	}
	return riff(chunk("VP8L", bits))
}

func chunk(id string, b []byte) []byte {
	c := append([]byte(id), byte(len(b)), byte(len(b)>>8), byte(len(b)>>16), byte(len(b)>>24))
	c = append(c, b...)
	if len(b)%2 == 1 {
		c = append(c, 0)
	}
	return c
}

func riff(chunks ...[]byte) []byte {
	b := bytes.Join(append([][]byte{[]byte("WEBP")}, chunks...), nil)
	return append(chunk("RIFF", nil)[:4], append([]byte{byte(len(b)), byte(len(b) >> 8), byte(len(b) >> 16), 0}, b...)...)
}

// canvas is the head of an extended WebP file.
func canvas(w, h int, flags byte) []byte {
	return chunk("VP8X", []byte{flags, 0, 0, 0, byte(w - 1), byte((w - 1) >> 8), 0, byte(h - 1), byte((h - 1) >> 8), 0})
}

// cifarRecords are records of the CIFAR-10 or, with coarse labels, CIFAR-100
// layout whose pixels depend on their number.
func cifarRecords(coarse bool, labels ...int) []byte {
	var b []byte
	for i, l := range labels {
		if coarse {
			b = append(b, byte(l/5))
		}
		b = append(b, byte(l))
		for p := range cifarPixels {
			b = append(b, byte(p*(i+1)+l))
		}
	}
	return b
}

func must(t testing.TB, r io.Reader) []byte {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
