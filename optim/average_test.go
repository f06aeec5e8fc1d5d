package optim_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/tensor"
)

// TestAverage compares the average at each step with its definition in float64, and
// shows that Swap exchanges the two and back. The decay of the first 7 steps is below
// 0.5, for they forget the initial weights sooner.
func TestAverage(t *testing.T) {
	t.Parallel()
	be := newCPU(t)
	p := param(be, "w", 1, -2, 0)
	a := optim.NewAverage(be, []*tensor.Param{p}, 0.5)
	a.Start()
	want := []float64{1, -2, 0}
	for step := 1; step <= 20; step++ {
		w := []float32{float32(step), float32(math.Sin(float64(step))), -3}
		be.Upload(p.Value, w)
		a.Update(step)
		d := min(0.5, float64(1+step)/float64(10+step))
		for i := range want {
			want[i] = d*want[i] + (1-d)*float64(w[i])
		}
		a.Swap()
		near(t, fmt.Sprintf("step %d: average", step), values(be, p.Value), 1e-5, want...)
		a.Swap()
		near(t, fmt.Sprintf("step %d: parameter", step), values(be, p.Value), 1e-6, float64(step), math.Sin(float64(step)), -3)
	}
}
