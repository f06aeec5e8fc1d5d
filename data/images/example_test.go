package images_test

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/data/images"
)

// A folder with one folder of images for each class is a data set. Batches of its images are shuffled, and augmented
// if that is asked for.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "images-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	for class, c := range map[string]color.Gray{"day": {255}, "night": {0}} {
		for i := range 2 {
			img := image.NewGray(image.Rect(0, 0, 2, 2))
			for p := range img.Pix {
				img.Pix[p] = c.Y
			}
			save(filepath.Join(dir, class, fmt.Sprintf("%d.png", i)), img)
		}
	}
	set, err := images.Open(context.Background(), dir, images.Options{}, nil)
	if err != nil {
		panic(err)
	}
	defer set.Close()
	fmt.Println(set.Train.Len(), "images of", set.Train.Classes())
	batches, err := images.NewBatches(set.Train, images.BatchOptions{Batch: 4, Seed: 1})
	if err != nil {
		panic(err)
	}
	defer batches.Close()
	pixels, targets := make([]float32, 4*3*2*2), make([]float32, 4*2)
	if err := batches.Batch(1, 0, 4, pixels, targets); err != nil {
		panic(err)
	}
	fmt.Println(targets)
	// Output:
	// 4 images of [day night]
	// [0 1 0 1 1 0 1 0]
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
