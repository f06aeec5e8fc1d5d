package images

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"testing"
)

// TestZipSizes: sizes that a zip archive only claims are refused before memory is made for them.
func TestZipSizes(t *testing.T) {
	t.Parallel()
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		for _, name := range []string{"a/a.png", "a/notes.weird", "labels.csv"} {
			var b bytes.Buffer
			z := zip.NewWriter(&b)
			h := &zip.FileHeader{Name: name, Method: method, CompressedSize64: 17e15, UncompressedSize64: 1<<63 + 1}
			if _, err := z.CreateRaw(h); err != nil {
				t.Fatal(err)
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(context.Background(), file1(t, "x.zip", b.Bytes()), Options{}, nil); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s by method %d: %v", name, method, err)
			}
		}
	}
}

// TestZipInZip: an archive among the images of an archive is counted, not unpacked, however large it is.
func TestZipInZip(t *testing.T) {
	t.Parallel()
	const memory = 1 << 16
	files := map[string][]byte{"a/a.png": pngOf(t, pattern(4, 4, 1)), "b/b.png": pngOf(t, pattern(4, 4, 2)), "more.zip": make([]byte, 2*memory)}
	d := open(t, file1(t, "x.zip", zipOf(t, files, zip.Deflate)), Options{MaxMemory: memory})
	if out := d.LeftOut(); d.Train.Len() != 2 || len(out) != 1 || out[0].What != "archives" || out[0].Count != 1 {
		t.Errorf("%d images, and left out %v", d.Train.Len(), out)
	}
}
