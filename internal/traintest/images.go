package traintest

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

// Stripes are the classes of ImageFolder, which differ in the direction of their
// stripes.
var Stripes = []string{"across", "diagonal", "upright"}

// ImageFolder writes a folder of n images of 8x8 pixels for each class.
func ImageFolder(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	for class, name := range Stripes {
		if err := os.Mkdir(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			m := image.NewNRGBA(image.Rect(0, 0, 8, 8))
			for y := range 8 {
				for x := range 8 {
					at := []int{y, x + y, x}[class]
					m.Set(x, y, color.NRGBA{uint8(at / 2 % 2 * 200), uint8(60 + 7*i%150), uint8(i * 37), 255})
				}
			}
			f, err := os.Create(filepath.Join(dir, name, fmt.Sprintf("%03d.png", i)))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(png.Encode(f, m), f.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}
