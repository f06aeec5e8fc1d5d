package bdia

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Drift shows why the grid is needed (paper, figure 2). Call it after a Forward
// without a grid. It reconstructs the states in floating point, from x_{K-2}
// down to x_0, each from the two reconstructed before. For each it reports the
// root mean square and the largest error against the state that Forward
// computed. The stack must keep its states (Store or Recompute), have no grid
// and a gamma other than 0.
func (s *Stack) Drift(report func(k int, rms, largest float64)) error {
	if s.opt.Memory == Reversible || s.opt.Grid != NoGrid || s.opt.Gamma == 0 {
		return fmt.Errorf("bdia: drift is measured without a grid, with stored states and a gamma other than 0")
	}
	K := len(s.blocks)
	next := s.be.Alloc(backend.States, tensor.F32, s.x(K).Shape)
	cur := s.be.Alloc(backend.States, tensor.F32, s.x(K).Shape)
	s.be.Copy(next, s.x(K))
	s.be.Copy(cur, s.x(K-1))
	for k := K - 1; k > s.Frozen; k-- {
		m := s.be.Mark()
		s.blocks[k].Forward(s.h, cur, s.pass)
		s.be.Retreat(next, tensor.Tensor{}, cur, s.h, tensor.Tensor{}, s.gammas.Index(k), s.peaks.Index(k-1), s.laws[k])
		s.be.Release(m)
		next, cur = cur, next // cur holds x_{k-1} now
		var e deviation
		e.add(s.be, cur, s.x(k-1))
		report(k-1, e.rms(), e.largest)
	}
	return nil
}

// deviation sums up the differences between reconstructed and true states.
type deviation struct {
	squares, largest float64
	n                int
}

func (e *deviation) add(be backend.Backend, got, want tensor.Tensor) {
	a, b := make([]float32, got.Len()), make([]float32, want.Len())
	be.Download(a, got)
	be.Download(b, want)
	for i := range a {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		e.squares += d * d
		e.largest = max(e.largest, d)
	}
	e.n += len(a)
}

// rms returns the root mean square.
func (e *deviation) rms() float64 { return math.Sqrt(e.squares / float64(e.n)) }
