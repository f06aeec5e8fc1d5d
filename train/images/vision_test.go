package images

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/internal/traintest"
)

// TestOpenHeldOut: those to learn from, here one that is damaged, are not looked at
// before they are asked for.
func TestOpenHeldOut(t *testing.T) {
	t.Parallel()
	cfg := tinyImageConfig()
	cfg.Images.Path = imageFolder(t, 4)
	r := create(t, cfg)
	held, damaged := task(r).Set(false).Len(), filepath.Join(cfg.Images.Path, task(r).Set(true).Name(0))
	good, err := os.ReadFile(damaged)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(damaged, good[:20], 0o666); err != nil {
		t.Fatal(err)
	}
	r = traintest.Open(t, r.Dir)
	if err := task(r).OpenHeldOut(t.Context()); err != nil || task(r).Set(false).Len() != held || task(r).Set(true) != nil {
		t.Fatalf("%v", err)
	}
	if err := task(r).Open(t.Context(), nil); !errors.Is(err, images.ErrCorrupt) {
		t.Fatalf("a damaged image: %v", err)
	}
	if err := os.WriteFile(damaged, good, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := task(r).Open(t.Context(), nil); err != nil || task(r).Set(true) == nil {
		t.Errorf("%v", err)
	}
}

// TestReadingOf: a run keeps the version of how images are read that it began with.
func TestReadingOf(t *testing.T) {
	t.Parallel()
	for asked, kept := range map[images.Reading]images.Reading{0: images.LatestReading, images.FirstReading: images.FirstReading} {
		cfg := tinyImageConfig()
		cfg.Images.Reading = asked
		if got, err := ReadingOf(create(t, cfg).Dir); err != nil || got != kept {
			t.Errorf("version %d: %d, %v", asked, got, err)
		}
	}
}
