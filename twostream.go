package bdia

import (
	"fmt"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// TwoStream is RevViT, the reversible transformer that BDIA is compared with
// (Gomez et al., arXiv 1707.04585; Mangalam et al., arXiv 2302.04869). Pairs of
// branches F and G work on two residual streams in turn,
//
//	y1 = x1 + F(x2)    x2 = y2 - G(y1)
//	y2 = x2 + G(y1)    x1 = y1 - F(x2)
//
// Number the states in the order of computation: y_0 and y_1 are the two streams
// at the start, and B_0, B_1, ... are the branches F, G, F, G, .... Then both
// lines are one recurrence:
//
//	y_{j+2} = y_j + B_j(y_{j+1})    y_j = y_{j+2} - B_j(y_{j+1})
//
// Both streams start as the embedding and their mean is the result, so the rest
// of the model is the same as around a Stack. The inverse is exact in theory but
// rounds: see Drift.
type TwoStream struct {
	be     backend.Backend
	blocks []Block // B_j
	memory Memory

	// Observe, if set, is called with every state y_j when Forward has computed
	// it and again when Reverse has rebuilt it.
	Observe func(j int, y tensor.Tensor)

	stop    stopper
	pass    backend.Pass
	states  []tensor.Tensor  // buffers of y_j, see state
	h       tensor.Tensor    // B_j(y_{j+1}), then its gradient
	digests digests          // of a checked pass, see SetCheck
	g       [2]tensor.Tensor // dloss/dy_j for the latest even and odd j
	tapes   []backend.Mark   // [j]: top of the arena under B_j's tape
}

// ValidateTwoStream returns an error for a choice that a TwoStream does not
// support.
func (o Options) ValidateTwoStream() error {
	if o.Gamma != 0 || o.Grid != NoGrid {
		return &OptionsError{Options: o, TwoStream: true}
	}
	if o.Memory == Reversible {
		return nil // two streams need no grid
	}
	return o.Validate()
}

// NewTwoStream returns a stack of pairs of branches on be: F_0, G_0, F_1, G_1 and
// so on. Any memory mode will do, but gamma must be 0 and the grid NoGrid.
func NewTwoStream(be backend.Backend, blocks []Block, opt Options) (*TwoStream, error) {
	if err := opt.ValidateTwoStream(); err != nil {
		return nil, err
	}
	if len(blocks) == 0 || len(blocks)%2 != 0 {
		return nil, fmt.Errorf("bdia: two residual streams need pairs of branches, not %d branches", len(blocks))
	}
	return &TwoStream{be: be, blocks: blocks, memory: opt.Memory, tapes: make([]backend.Mark, len(blocks))}, nil
}

// Begin allocates a pass over samples of the given shape (B,T,C) and returns y_0,
// for the caller to fill with the embedding; see Stack.Begin.
func (s *TwoStream) Begin(shape tensor.Shape, pass backend.Pass) tensor.Tensor {
	s.pass = pass
	s.states = s.states[:0]
	slots := 2
	if s.memory != Reversible {
		slots = len(s.blocks) + 2
	}
	for range slots {
		s.states = append(s.states, s.be.Alloc(backend.States, tensor.F32, shape))
	}
	for _, t := range []*tensor.Tensor{&s.h, &s.g[0], &s.g[1]} {
		*t = s.be.Alloc(backend.Activation, tensor.F32, shape)
	}
	s.digests.begin(s.be, len(s.blocks)+2, shape[0])
	return s.state(0)
}

// state returns the buffer of y_j. A reversible pass has one for each stream.
func (s *TwoStream) state(j int) tensor.Tensor {
	if s.memory == Reversible {
		j %= 2
	}
	return s.states[j]
}

// Forward runs the branches on y_0 = y_1 and returns the mean of the streams at
// the end. It fails only when it is stopped (SetStop).
func (s *TwoStream) Forward() (tensor.Tensor, error) {
	n := len(s.blocks)
	s.be.Copy(s.state(1), s.state(0))
	s.computed(0)
	s.computed(1)
	for j, block := range s.blocks {
		s.tapes[j] = s.be.Mark()
		block.Forward(s.h, s.state(j+1), s.pass)
		s.digests.take(left, j, s.state(j), tensor.Tensor{})
		s.be.Add(s.state(j+2), s.state(j), s.h)
		s.computed(j + 2)
		if !s.memory.keepsTape(j, n) {
			s.be.Release(s.tapes[j])
		}
		if err := s.stop.asked(); err != nil {
			return s.state(j + 2), err
		}
	}
	out := s.g[1] // not in use before Reverse
	mean(s.be, out, s.state(n), s.state(n+1))
	return out, nil
}

// Grad is the buffer (B,T,C) for the gradient of Forward's result. After Reverse
// it holds the gradient of the embedding.
func (s *TwoStream) Grad() tensor.Tensor { return s.g[0] }

// Reverse walks the branches back from the gradient in Grad, and hands each one's
// parameter gradients to sink. It fails only when it is stopped (SetStop). With
// g_j = dloss/dy_j:
//
//	g_{j+1} += J_jᵀ g_{j+2}, g_j = g_{j+2}
func (s *TwoStream) Reverse(sink Sink) error {
	n := len(s.blocks)
	s.be.Scale(s.g[0], 0.5)
	s.be.Copy(s.g[1], s.g[0])
	for j := n - 1; j >= 0; j-- {
		if err := s.stop.asked(); err != nil {
			return err
		}
		block, x := s.blocks[j], s.state(j+1)
		s.digests.take(found, j+1, x, tensor.Tensor{})
		if !s.memory.keepsTape(j, n) {
			s.tapes[j] = s.be.Mark()
			block.Forward(s.h, x, s.pass)
		}
		if s.memory == Reversible {
			subtract(s.be, s.state(j+2), s.h)
			s.observe(j)
		}
		dy, dx := s.g[j%2], s.g[(j+1)%2]
		s.be.Copy(s.h, dy)
		sink.Open(block.Params())
		block.Backward(s.h, x)
		s.be.Add(dx, dx, s.h)
		sink.Close(block.Params())
		s.be.Release(s.tapes[j])
	}
	s.be.Add(s.g[0], s.g[0], s.g[1])
	kept := 1
	if s.memory == Reversible {
		kept = n // the others have been rebuilt, and rounded
	}
	return s.digests.compare(kept, n+1, s.pass)
}

// Infer runs the branches on x (B,T,C) in place, without training.
func (s *TwoStream) Infer(x tensor.Tensor) {
	m := s.be.Mark()
	h := s.be.Alloc(backend.Activation, tensor.F32, x.Shape)
	y := [2]tensor.Tensor{x, s.be.Alloc(backend.Activation, tensor.F32, x.Shape)}
	s.be.Copy(y[1], x)
	for j, block := range s.blocks {
		tape := s.be.Mark()
		block.Forward(h, y[(j+1)%2], backend.Pass{})
		s.be.Add(y[j%2], y[j%2], h)
		s.be.Release(tape)
	}
	mean(s.be, x, y[0], y[1])
	s.be.Release(m)
}

// MaxAbs returns 0, since there is no grid with a limited range.
func (s *TwoStream) MaxAbs() float64 { return 0 }

// Drift reconstructs the states of the latest Forward in floating point, pair by
// pair from the last to the first, as Reverse does. For each pair k it reports
// the root mean square and the largest error of the streams before it. The states
// must be kept (Store or Recompute).
func (s *TwoStream) Drift(report func(k int, rms, largest float64)) error {
	if s.memory == Reversible {
		return fmt.Errorf("bdia: drift is measured against stored states; use memory store or recompute")
	}
	n := len(s.blocks)
	var y [2]tensor.Tensor // the latest reconstructed y_j, for even and odd j
	for i := range y {
		y[i] = s.be.Alloc(backend.States, tensor.F32, s.h.Shape)
		s.be.Copy(y[i], s.state(n+i)) // n is even
	}
	for j := n - 1; j >= 0; j-- {
		m := s.be.Mark()
		s.blocks[j].Forward(s.h, y[(j+1)%2], s.pass)
		s.be.Release(m)
		subtract(s.be, y[j%2], s.h)
		if j%2 == 0 {
			var e deviation
			e.add(s.be, y[0], s.state(j))
			e.add(s.be, y[1], s.state(j+1))
			report(j/2, e.rms(), e.largest)
		}
	}
	return nil
}

func (s *TwoStream) computed(j int) {
	s.digests.take(computed, j, s.state(j), tensor.Tensor{})
	s.observe(j)
}

func (s *TwoStream) observe(j int) {
	if s.Observe != nil {
		s.Observe(j, s.state(j))
	}
}

// mean writes y = (a+b)/2.
func mean(be backend.Backend, y, a, b tensor.Tensor) {
	be.Add(y, a, b)
	be.Scale(y, 0.5)
}

// subtract writes y = y - h. It spoils h.
func subtract(be backend.Backend, y, h tensor.Tensor) {
	be.Scale(h, -1)
	be.Add(y, y, h)
}
