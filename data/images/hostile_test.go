package images

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
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

// TestMemoryThatFits: images and archives that do not fit into memory are treated as beyond MaxMemory, and both count.
func TestMemoryThatFits(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{}
	for i := range 8 {
		files[fmt.Sprintf("%c/%d.png", 'a'+i%2, i)] = pngOf(t, pattern(4, 4, i))
	}
	archive := gzipOf(t, tarOf(t, files))
	pixels := int64(8 * 3 * 4 * 4)
	var asked []int64
	upTo := func(most int64) Options {
		asked = nil
		return Options{Fits: func(bytes int64) bool { asked = append(asked, bytes); return bytes <= most }}
	}
	want, _ := all(t, open(t, folder(t, files), Options{}).Train)
	for _, short := range []int64{1, 0} {
		dir := folder(t, files)
		most := pixels + open(t, dir, Options{}).Listed() - short
		d := open(t, dir, upTo(most))
		if got, _ := all(t, d.Train); !slices.Equal(got, want) || (d.Bytes() == pixels) != (short == 0) || !slices.Equal(asked, []int64{pixels + d.Listed()}) {
			t.Errorf("%d bytes: %d taken, asked for %d; the same images: %v", most, d.Bytes(), asked, slices.Equal(got, want))
		}
	}
	if _, err := Open(context.Background(), file1(t, "x.tgz", archive), upTo(unpackedPiece-1), nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("an archive that does not fit: %v", err)
	}
	d := open(t, file1(t, "x.tgz", archive), upTo(unpackedPiece))
	if got, _ := all(t, d.Train); !slices.Equal(got, want) || d.Bytes() != pixels || len(asked) != 2 || asked[1] <= pixels+d.Listed() {
		t.Errorf("an archive that fits: %d bytes at last, asked for %d; the archive counts beside the pixels, until they are decoded", d.Bytes(), asked)
	}
}
