package images

import (
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/verify"
)

// TestCheck checks initial weights on random images; the two-stream model drifts.
func TestCheck(t *testing.T) {
	t.Parallel()
	task := New(tinyImageConfig())
	c, err := task.Check(1, "")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := c.Run(verify.NoFault); err != nil || !r.Exact() || r.ReconstructedActivations == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if c, err = task.CheckTwoStream(1, ""); err != nil {
		t.Fatal(err)
	}
	var most float64
	if err := c.Drift(func(_ int, _, largest float64) { most = max(most, largest) }); err != nil || most == 0 {
		t.Errorf("largest error %v of a two-stream model, %v", most, err)
	}
	if task.Settings.ViT.TwoStream || task.Settings.Method.Grid == bdia.NoGrid {
		t.Error("a check changed the settings")
	}
}
