package bdia

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// SideInfo is the side information of one pass: for each state x_k that the
// reverse walk has to rebuild, log2(1/|gamma|) bits per activation, packed eight
// to a byte, lowest first (paper, eq. 18). There are K-2 of them, since x_{K-1}
// and x_{K-2} are kept whole.
type SideInfo struct {
	planes []tensor.Tensor // [k] is (planes, B, ceil(T*C/8)) bytes for x_k
}

// allocSideInfo lays out n states' worth of side information.
func allocSideInfo(s SideInfo, be backend.Backend, n, planes int, x tensor.Shape) SideInfo {
	B := x[0]
	perSample := (x.Len()/B + 7) / 8
	s.planes = s.planes[:0]
	for range n {
		s.planes = append(s.planes, be.Alloc(backend.SideBits, tensor.U8, tensor.Shape{planes, B, perSample}))
	}
	return s
}

// Of returns the side information of state x_k, or no tensor where none is kept.
func (s SideInfo) Of(k int) tensor.Tensor {
	if k < 0 || k >= len(s.planes) {
		return tensor.Tensor{}
	}
	return s.planes[k]
}
