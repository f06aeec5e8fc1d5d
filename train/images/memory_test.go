package images

import (
	"context"
	"errors"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/sysmem"
	"github.com/bdia-go/bdia/train"
)

// TestImagesAreCounted: decoded images are in what a run takes, also before they are decoded again.
func TestImagesAreCounted(t *testing.T) {
	t.Parallel()
	r := create(t, tinyImageConfig())
	task, side := task(r), int64(tinyImageConfig().ViT.Image)
	want := 3 * side * side * int64(task.Set(true).Len()+task.Set(false).Len())
	if h := train.HostOf(task); h.Images != want || h.Lists <= 0 || h.Total() != want+h.Lists+backend.ProgramBytes {
		t.Errorf("%+v, want %d bytes of images", h, want)
	}
	again, err := train.Open(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if h := train.HostOf(again.Task); h.Images != want {
		t.Errorf("before they are decoded: %+v, want %d bytes of images", h, want)
	}
}

// TestTooLargeIsRefusedFirst: a run that the machine has not the memory for is refused before images are decoded.
func TestTooLargeIsRefusedFirst(t *testing.T) {
	t.Parallel()
	if sysmem.Now().Free == 0 {
		t.Skip("this system does not tell")
	}
	c := tinyImageConfig()
	c.Images.Path = imageFolder(t, 20)
	c.ViT.Layers, c.ViT.Width, c.ViT.Heads = 90, 1<<15, 1<<8 // 4 TiB
	decoded := false
	_, err := train.Create(context.Background(), t.TempDir(), New(c), func(string, int64, int64) { decoded = true })
	if !errors.As(err, new(*backend.MemoryError)) || decoded {
		t.Errorf("%v, decoded %v; want a MemoryError before", err, decoded)
	}
}
