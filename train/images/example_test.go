package images_test

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"

	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/images"
)

// A vision transformer learns to tell bright images from dark ones.
func Example() {
	dir, err := os.MkdirTemp("", "images-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	for i := range 40 {
		img := image.NewGray(image.Rect(0, 0, 8, 8))
		class := []string{"dark", "bright"}[i%2]
		for p := range img.Pix {
			img.Pix[p] = uint8(i%2*150 + (i*p)%80)
		}
		save(filepath.Join(dir, "data", class, fmt.Sprintf("%d.png", i)), img)
	}
	c := images.Default()
	c.Images.Path, c.Images.Epochs, c.Images.ValFraction = filepath.Join(dir, "data"), 10, 0.2
	c.ViT.Image, c.ViT.Patch, c.ViT.Layers, c.ViT.Heads, c.ViT.Width = 8, 4, 2, 2, 16
	c.Loop.Batch, c.Schedule.Warmup = 8, 5
	run, err := train.Create(context.Background(), filepath.Join(dir, "run"), images.New(c), nil)
	if err != nil {
		panic(err)
	}
	defer run.Close()
	sum, err := run.Train(context.Background(), nil)
	fmt.Printf("accuracy %.0f%%, %v\n", 100*sum.LastVal.Accuracy, err)
	// Output: accuracy 100%, <nil>
}

// save writes an image.
func save(path string, img image.Image) {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		panic(err)
	}
	f, err := os.Create(path)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		panic(err)
	}
}
