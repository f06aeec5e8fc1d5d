package bdia

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Infer runs the blocks on x (B,T,C) in place, at inference. Gamma 0, the mean of the
// draws in training, is the ordinary transformer:
//
//	x_{k+1} = x_k + h_k(x_k)
//
// Another gamma is one value for all samples and blocks (paper, figure 1):
//
//	x_{k+1} = gamma x_{k-1} + (1-gamma) x_k + (1+gamma) h_k(x_k), x_1 = x_0 + h_0(x_0)
//
// Each state is rounded to the grid unless grid is NoGrid. It is a float32, without a rest: nothing is inverted here.
func (s *Stack) Infer(x tensor.Tensor, grid Grid, gamma float64) {
	be, B := s.be, x.Shape[0]
	m := be.Mark()
	h := be.Alloc(backend.Activation, tensor.F32, x.Shape)
	peak := be.Alloc(backend.Data, tensor.I32, tensor.Shape{B})
	cur := x
	var prev, gammas tensor.Tensor
	if gamma != 0 {
		prev = be.Alloc(backend.States, tensor.F32, x.Shape)
		gammas = be.Alloc(backend.Data, tensor.F32, tensor.Shape{B})
		host := make([]float32, B)
		for i := range host {
			host[i] = float32(gamma)
		}
		be.Upload(gammas, host)
	}
	if grid != NoGrid {
		be.Quantise(x, peak, int(grid))
	}
	for k, block := range s.blocks {
		tape := be.Mark()
		block.Forward(h, cur, backend.Pass{})
		be.Release(tape)
		if k == 0 && gamma != 0 {
			be.Copy(prev, cur)
		}
		switch {
		case k > 0 && gamma != 0:
			be.Advance(prev, tensor.Tensor{}, cur, h, tensor.Tensor{}, gammas, peak, backend.Law{Bits: backend.NoGrid})
			cur, prev = prev, cur
			if grid != NoGrid {
				be.Quantise(cur, peak, int(grid))
			}
		case grid == NoGrid:
			be.Add(cur, cur, h)
		default:
			be.QuantisedAdd(cur, cur, h, peak, int(grid))
		}
		if s.Observe != nil {
			s.Observe(k+1, cur)
		}
	}
	if cur != x {
		be.Copy(x, cur)
	}
	be.Release(m)
}
