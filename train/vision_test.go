package train

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/bdia-go/bdia/data/images"
)

// TestPick: a part of a set is spread over it, and is not one class of a set whose
// classes alternate; all of it is all of it.
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

// TestOpenHeldOut: those to learn from, here one that is damaged, are not looked at
// before they are asked for.
func TestOpenHeldOut(t *testing.T) {
	t.Parallel()
	cfg := tinyImageConfig()
	cfg.Images.Path = imageFolder(t, 4)
	r := create(t, cfg)
	held, damaged := r.Images.Set(false).Len(), filepath.Join(cfg.Images.Path, r.Images.Set(true).Name(0))
	good, err := os.ReadFile(damaged)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(damaged, good[:20], 0o666); err != nil {
		t.Fatal(err)
	}
	r = open(t, r.Dir)
	if err := r.Images.OpenHeldOut(t.Context()); err != nil || r.Images.Set(false).Len() != held || r.Images.Set(true) != nil {
		t.Fatalf("%v", err)
	}
	if err := r.Images.Open(t.Context(), nil); !errors.Is(err, images.ErrCorrupt) {
		t.Fatalf("a damaged image: %v", err)
	}
	if err := os.WriteFile(damaged, good, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := r.Images.Open(t.Context(), nil); err != nil || r.Images.Set(true) == nil {
		t.Errorf("%v", err)
	}
}
