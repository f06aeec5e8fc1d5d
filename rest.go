package bdia

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// A state on the grid is a whole number n of units, below 2^30. It is held as float32(n) 2^-L, which a block reads as
// it is, and the rest: 0 up to 2^24 units, then 1 at most, and so on up to 32. The next two steps alone need a rest,
// whatever is kept of the states, so all rests together take half the memory of one state.
//
// Rejected: states as 32-bit integers, with a float32 copy of the one that a block reads. The values are the same, but
// the copy takes the memory of a whole state, and to make it takes another pass over memory for each block.

// allocRests allocates memory for the rests of two states of the given shape. The rest of x_K, where the two before are
// needed still, lies in idle: no later step reads it.
func allocRests(be backend.Backend, shape tensor.Shape, idle tensor.Tensor) (rests [3]tensor.Tensor) {
	for i := range 2 {
		rests[i] = be.Alloc(backend.States, tensor.U8, shape)
	}
	be.Zero(rests[0]) // of x_0
	rests[2] = idle.View(tensor.U8, idle.Shape)
	return rests
}

// rest returns the buffer of the rest of x_k, none if states are float32s.
func (s *Stack) rest(k int) tensor.Tensor {
	return s.rests[s.opt.Memory.restSlot(k, len(s.blocks), s.Frozen)]
}

// keptRest is rest in the reverse walk: none of stored states, for which it has no use.
func (s *Stack) keptRest(k int) tensor.Tensor {
	if s.opt.Memory != Reversible {
		return tensor.Tensor{}
	}
	return s.rest(k)
}

// Rest returns what float32 rounds off x_k: signed bytes (B,T,C), in units of 2^-L. With x from Observe the state is
// x 2^L + rest units. It holds only while Observe looks at x_k, and is none without a grid and with gamma 0, where x_k
// itself is the state.
func (s *Stack) Rest(k int) tensor.Tensor { return s.rest(k) }
