package text

import (
	"github.com/bdia-go/bdia/internal/traintest"
	"math"
	"testing"
)

// TestStates8Learn: moments of 8 bits change a run, and hardly what it learns.
func TestStates8Learn(t *testing.T) {
	t.Parallel()
	val := func(bits int) float64 {
		cfg := tinyConfig()
		cfg.Model.Width, cfg.Schedule.Steps = 48, 150 // tensors of more than 4096 elements
		cfg.Loop.EvalEvery, cfg.Loop.EvalSamples = 0, 0
		cfg.Data.Split = SplitEnd // what "hardly" is was measured so
		cfg.Optimizer.StateBits = bits
		return traintest.Trained(t, create(t, cfg), traintest.Listener{}).LastVal.Loss
	}
	wide, narrow := val(32), val(8)
	if d := math.Abs(narrow - wide); d == 0 || d > 0.05 || !(wide < 1.5) { // ln 16 = 2.8 at first
		t.Errorf("validation loss %v with 8 bits, %v with 32", narrow, wide)
	}
}
