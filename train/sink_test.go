package train

import (
	"errors"
	"math"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
)

// TestInfiniteGradientNorm: clipping by an infinite norm would turn the
// infinite entries into NaN weights, so the step must fail instead.
func TestInfiniteGradientNorm(t *testing.T) {
	t.Parallel()
	o := ownOptions()
	o.Loop.Clip = 1
	s, be := ownSession(t, ownLearner, o)
	s.sink.Begin(1, 1e-3)
	p := s.Params()[2]
	grad, before, after := make([]float32, p.Grad.Len()), make([]float32, p.Value.Len()), make([]float32, p.Value.Len())
	grad[0] = float32(math.Inf(1))
	be.Upload(p.Grad, grad)
	be.Download(before, p.Value)
	if norm, err := s.sink.End(); !errors.Is(err, model.ErrDiverged) {
		t.Errorf("norm %v, error %v; want ErrDiverged", norm, err)
	}
	be.Download(after, p.Value)
	testkit.EqualBits(t, p.Name, after, before)
}
