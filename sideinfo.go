package bdia

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// SideInfo is the side information of one pass: for each state x_k that the
// reverse walk has to rebuild, log2(1/|gamma|) bits per activation, packed eight
// to a byte, lowest first (paper, eq. 18). These are x_0 to x_{K-3}, since
// x_{K-1} and x_{K-2} are kept whole. Frozen first blocks need none.
type SideInfo struct {
	first  int             // first state with side information
	planes []tensor.Tensor // [k-first] is (planes, B, ceil(T*C/8)) bytes for x_k; of a ramp, at its smallest |gamma|
}

// Side returns the side information of the current pass, for inspection.
func (s *Stack) Side() SideInfo { return s.side }

// allocSideInfo lays out the side information of states [first,end). Block k+1 writes the side information of x_k.
func allocSideInfo(s SideInfo, be backend.Backend, first, end int, gamma course, x tensor.Shape) SideInfo {
	B := x[0]
	perSample := (x.Len()/B + 7) / 8
	s.first, s.planes = first, s.planes[:0]
	for k := first; k < end; k++ {
		s.planes = append(s.planes, be.Alloc(backend.SideBits, tensor.U8, tensor.Shape{gamma.planes(k + 1), B, perSample}))
	}
	return s
}

// Of returns the side information of state x_k, or no tensor if none is kept.
func (s SideInfo) Of(k int) tensor.Tensor {
	if k < s.first || k >= s.first+len(s.planes) {
		return tensor.Tensor{}
	}
	return s.planes[k-s.first]
}

// under returns as many planes of the side information of state x_k as a law uses.
func (s SideInfo) under(law backend.Law, k int) tensor.Tensor {
	side := s.Of(k)
	if side.Valid() {
		side.Shape[0] = law.Planes
	}
	return side
}
