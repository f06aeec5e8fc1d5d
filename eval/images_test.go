package eval

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/metric"
	"github.com/bdia-go/bdia/model"
)

// TestPick checks that a part of a set is spread over it and does not keep to one class
// when classes alternate, and that the whole of it is each sample in order.
func TestPick(t *testing.T) {
	t.Parallel()
	const n, all, classes = 100, 1000, 10
	var of [classes]int
	last := -1
	for i := range n {
		at := pick(i, n, all)
		if at <= last || at/(all/n) != i {
			t.Fatalf("sample %d of %d is %d of %d, after %d", i, n, at, all, last)
		}
		last = at
		of[at%classes]++
	}
	for class, count := range of {
		if count < 2 || count > 25 {
			t.Errorf("%d of %d samples are of class %d: %v", count, n, class, of)
		}
	}
	for i := range all {
		if at := pick(i, all, all); at != i {
			t.Errorf("sample %d of all is %d", i, at)
		}
	}
}

// imageSet returns n images of 8x8 pixels in each of three classes.
func imageSet(t *testing.T, n int) *images.Set {
	t.Helper()
	dir := t.TempDir()
	for class := range 3 {
		sub := filepath.Join(dir, fmt.Sprintf("class%d", class))
		if err := os.MkdirAll(sub, 0o777); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			m := image.NewRGBA(image.Rect(0, 0, 8, 8))
			for at := range 64 {
				m.Set(at%8, at/8, color.RGBA{uint8(80 * class), uint8(7 * i), uint8(at * 3), 255})
			}
			var b bytes.Buffer
			if err := png.Encode(&b, m); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("%02d.png", i)), b.Bytes(), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	d, err := images.Open(t.Context(), dir, images.Options{Size: 8, OnCorrupt: images.Fatal, Threads: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d.Train
}

// TestImages compares batches of four with one image at a time, on a grid and in
// float32, and reads the report of both.
func TestImages(t *testing.T) {
	t.Parallel()
	c := model.ViTConfig{Image: 8, Patch: 4, Classes: 3, Layers: 2, Heads: 2, Width: 8}
	var m *model.ViT
	var buf Buffers
	be, err := backend.Fit(backend.Options{Threads: 1}, func(be backend.Backend) (err error) {
		m, err = model.NewViT(be, c, bdia.Options{Memory: bdia.Store, Grid: bdia.DefaultGrid})
		return err
	}, func() error {
		buf = NewBuffers(c, 4)
		return m.Logits(buf.Logits, buf.Images, bdia.DefaultGrid, 0.25)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	m.Init(1)
	set := imageSet(t, 5)
	ways := []Inference{{bdia.DefaultGrid, 0}, {bdia.NoGrid, 0}, {bdia.DefaultGrid, 0.25}}
	all, err := Images(t.Context(), m, set, 0, buf, ways...)
	if err != nil {
		t.Fatal(err)
	}
	single, one := NewBuffers(c, 1), make([]int32, 1)
	for i, way := range ways {
		want := metric.NewClassification(3)
		for k := range set.Len() {
			if err := set.Fill(k, 1, single.Images.Pixels, one); err != nil {
				t.Fatal(err)
			}
			if err := m.Logits(single.Logits, single.Images, way.Grid, way.Gamma); err != nil {
				t.Fatal(err)
			}
			want.Add(single.Logits, int(one[0]))
		}
		if all[i].Samples != 15 || all[i].Top1 != want.Top1 || all[i].LossSum != want.LossSum {
			t.Errorf("%+v: %d of %d right, loss %v; one by one %d, %v", way, all[i].Top1, all[i].Samples, all[i].LossSum, want.Top1, want.LossSum)
		}
	}
	some, err := Images(t.Context(), m, set, 7, buf, ways[0])
	if err != nil || some[0].Samples != 7 {
		t.Errorf("7 of 15 images: %+v, %v", some, err)
	}
	r := NewImageReport(bdia.DefaultGrid, all[0], all[1], []string{"red", "green"})
	if r.Images != 15 || r.Loss != all[0].Loss() || r.FloatLoss != all[1].Loss() || len(r.Classes) != 3 || r.Classes[1].Name != "green" || r.Classes[2].Name != "2" || len(r.Confusion) != 3 {
		t.Errorf("report %+v", r)
	}
	points := Sweep(ways, all)
	if len(points) != 3 || points[2].Gamma != 0.25 || points[2].Accuracy != all[2].Accuracy() {
		t.Errorf("sweep %+v", points)
	}
}
