package images

import (
	"context"
	"math"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
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

// The statistics are those published with the reference data.
func TestCIFAR10FromPNG(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("decodes 60,000 images")
	}
	d := open(t, testkit.SharedPath(t, "data", "cifar10-png"), Options{})
	if d.Train.Len() != 50000 || d.Val.Len() != 10000 || d.Train.Size() != 32 || len(d.Train.Classes()) != 10 {
		t.Fatalf("%d and %d images of size %d, classes %v", d.Train.Len(), d.Val.Len(), d.Train.Size(), d.Train.Classes())
	}
	want := Norm{Mean: [3]float64{0.49140, 0.48216, 0.44653}, Std: [3]float64{0.24703, 0.24349, 0.26159}}
	got := d.Train.Norm()
	for c := range 3 {
		if math.Abs(got.Mean[c]-want.Mean[c]) > 5.1e-6 || math.Abs(got.Std[c]-want.Std[c]) > 5.1e-6 {
			t.Errorf("channel %d: mean %.6f deviation %.6f, want %.5f %.5f", c, got.Mean[c], got.Std[c], want.Mean[c], want.Std[c])
		}
	}
	if d.Val.Norm() != got {
		t.Error("the validation set is normalised otherwise")
	}
}
