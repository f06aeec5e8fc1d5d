// Package bdia is exact reversible back-propagation for transformers.
//
// It implements Zhang, Lewis and Kleijn, "On Exact Bit-level Reversible Transformers
// Without Changing Architectures", ICML 2025 (arXiv 2407.09093). This file is the
// paper: its equations stand above the code that computes them.
//
// # The method
//
// A block k of a transformer adds h_k(x_k) to the residual stream: one Euler
// step of an ordinary differential equation. In training, BDIA averages the
// step forward from x_k and the step back to x_{k-1}:
//
//	x_1     = x_0 + Q[h_0(x_0)]
//	x_{k+1} = gamma (x_{k-1} + s_{k-1} 2^-L) + Q[(1-gamma) x_k + (1+gamma) h_k(x_k)]
//
// with gamma = ±1/2 drawn for every sample and block, Q rounding to multiples
// of 2^-L, and s_{k-1} the parity of x_{k-1} in units of 2^-L: the one bit that
// halving would lose. The update is linear in x_{k-1}, so it can be solved for it:
//
//	x_{k-1} = (x_{k+1} - Q[(1-gamma) x_k + (1+gamma) h_k(x_k)]) / gamma - s_{k-1} 2^-L
//
// Every state is a whole number n of units of 2^-L, and so is every Q. Below 2^30 units all
// sums are exact in 32-bit integers, so the solution is exact to the bit. A block reads
// x = float32(n) 2^-L. What this rounds off, n - x 2^L, is the state's rest: a byte beside
// it, 0 below 2^24 units. At inference E[gamma] = 0 leaves the ordinary transformer.
//
// # The invariant
//
// The reverse walk feeds the same bits to the same kernels as back-propagation with
// stored activations, and adds in the same order. So the gradients agree bit for bit,
// and a test can demand it.
//
// Rejected: reconstruction in floating point (no grid). It multiplies the error
// by about 1/|gamma| a block (figure 2 of the paper; see Drift).
package bdia

import (
	"fmt"
	"slices"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// Block is one residual function h_k of the stack; B, T, C are batch, time, channels.
// A Block remembers the intermediates ("tape") of its latest Forward, in arena memory
// that it allocates during Forward.
type Block interface {
	// Forward writes h_k(x) to h. x and h are (B,T,C). The same pass and x give
	// the same bits, dropout included.
	Forward(h, x tensor.Tensor, pass backend.Pass)
	// Backward follows Forward with the same x. It turns g, holding dh, into
	// dx = J_kᵀ dh in place and adds to the gradients of Params.
	Backward(g, x tensor.Tensor)
	// Params lists the trainable parameters of the block.
	Params() []*tensor.Param
}

// Sink takes the gradients from back-propagation. It decides what to do with them:
// accumulate, reduce over ranks, or update the parameters at once.
type Sink interface {
	// Open provides a Grad for each of the parameters, before their backward pass.
	Open(params []*tensor.Param)
	// Close takes their gradients, now complete for this pass.
	Close(params []*tensor.Param)
}

// AllocGrads allocates a zero gradient for each parameter in the arena. It is the
// Open of a Sink that needs gradients only until the pass is over.
func AllocGrads(be backend.Backend, params []*tensor.Param) {
	for _, p := range params {
		p.Grad, p.Lookups = be.Alloc(backend.Gradients, tensor.F32, p.Value.Shape), nil
		be.Zero(p.Grad)
	}
}

// Stack is K blocks and the law of the steps between them.
type Stack struct {
	be     backend.Backend
	blocks []Block
	opt    Options
	gamma  course
	laws   []backend.Law // [k]: of block k in the pass at hand

	// Observe, if set, is called with every state x_k when Forward has computed it
	// and again when Reverse has rebuilt it: for tests and verification.
	Observe func(k int, x tensor.Tensor)

	// FirstBlock is the number of the stack's first block in a model of several stacks, so
	// that their random draws differ.
	FirstBlock int
	// DropTape is for a stack with other work between Forward and Reverse: it keeps the
	// intermediates of no block over that time, not even of the last.
	DropTape bool

	// Frozen is the number of first blocks without trainable parameters. Reverse ends
	// above them, and their states are not kept.
	Frozen int

	draw    func(gammas []float32, first, B int, pass backend.Pass)
	stop    stopper
	pass    backend.Pass
	states  []tensor.Tensor  // buffers of x_k, see Memory.slot
	rests   [3]tensor.Tensor // buffers of their rests, see Memory.restSlot
	gammas  tensor.Tensor    // (K,B)
	peaks   tensor.Tensor    // (K+1,B) largest |x_k| of each sample, as bits
	side    SideInfo
	digests digests        // of a checked pass, see SetCheck
	h       tensor.Tensor  // h_k(x_k), then dh, then dloss/dx_k
	g       tensor.Tensor  // dloss/dx_{k+1}
	tapes   []backend.Mark // [k]: top of the arena under block k's tape
	host    struct {
		gammas []float32
		peaks  []int32
	}
}

// NewStack returns a stack of blocks on be. It fails for invalid options.
func NewStack(be backend.Backend, blocks []Block, opt Options) (*Stack, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	if len(blocks) == 0 {
		return nil, fmt.Errorf("bdia: a stack needs at least one block")
	}
	gamma := newCourse(opt, len(blocks))
	return &Stack{be: be, blocks: blocks, opt: opt, gamma: gamma, draw: gamma.draw,
		laws: make([]backend.Law, len(blocks)), tapes: make([]backend.Mark, len(blocks))}, nil
}

// Begin allocates a pass over samples of the given shape (B,T,C) and returns x_0, for
// the caller to fill with the embedding. All memory of the pass comes from the arena:
// the caller takes a Mark before Begin and releases it after Reverse. On a grid with
// gamma, Begin panics unless pass.Train: at inference there is no gamma to undo, and
// Infer runs the blocks.
func (s *Stack) Begin(shape tensor.Shape, pass backend.Pass) tensor.Tensor {
	if !pass.Train && s.opt.Gamma != 0 && s.opt.Grid != NoGrid {
		panic("bdia: a pass with gamma on a grid that is not in training: set Pass.Train, or call Infer")
	}
	K, B := len(s.blocks), shape[0]
	s.pass = pass
	s.states = s.states[:0]
	for range s.opt.Memory.slots(K, s.Frozen) {
		s.states = append(s.states, s.be.Alloc(backend.States, tensor.F32, shape))
	}
	if s.opt.Memory == Reversible {
		s.side = allocSideInfo(s.side, s.be, s.Frozen, K-2, s.gamma, shape)
	}
	s.h = s.be.Alloc(backend.Activation, tensor.F32, shape)
	s.g = s.be.Alloc(backend.Activation, tensor.F32, shape)
	if s.opt.Grid != NoGrid && s.opt.Gamma != 0 {
		s.rests = allocRests(s.be, shape, s.g) // s.g is free until there is a gradient
	}
	s.gammas = s.be.Alloc(backend.Data, tensor.F32, tensor.Shape{K, B})
	s.peaks = s.be.Alloc(backend.Data, tensor.I32, tensor.Shape{K + 1, B})
	s.be.Zero(s.peaks)
	s.digests.begin(s.be, K+1, B)
	if len(s.host.gammas) != K*B { // micro-batches of several sizes share the memory
		s.host.gammas, s.host.peaks = slices.Grow(s.host.gammas[:0], K*B)[:K*B], slices.Grow(s.host.peaks[:0], (K+1)*B)[:(K+1)*B]
		clear(s.host.gammas)
		clear(s.host.peaks)
	}
	for k := range s.laws {
		s.laws[k] = s.gamma.law(s.gamma.at(pass.Step, k))
	}
	s.draw(s.host.gammas, s.FirstBlock, B, pass)
	s.be.Upload(s.gammas, s.host.gammas)
	return s.x(0)
}

// Forward runs the blocks on x_0 and returns x_K. It fails with a RangeError if a
// state is beyond the range in which the grid is exact, and when it is stopped (SetStop).
func (s *Stack) Forward() (tensor.Tensor, error) {
	K := len(s.blocks)
	if s.opt.Grid != NoGrid {
		s.be.Quantise(s.x(0), s.peaks.Index(0), int(s.opt.Grid)) // float32s, so that their rest is 0
	}
	s.computed(0)
	for k, block := range s.blocks {
		s.tapes[k] = s.be.Mark()
		block.Forward(s.h, s.x(k), s.pass)
		if k > 0 {
			s.digests.take(left, k-1, s.x(k-1), s.rest(k-1))
		}
		s.step(k)
		s.computed(k + 1)
		if !s.keepsTape(k) {
			s.be.Release(s.tapes[k])
		}
		if err := s.stop.asked(); err != nil {
			return s.x(k + 1), err
		}
	}
	return s.x(K), s.checkRange()
}

// step computes x_{k+1} from x_{k-1}, x_k and h_k.
func (s *Stack) step(k int) {
	next, rest, cur, peak := s.x(k+1), s.rest(k+1), s.x(k), s.peaks.Index(k+1)
	switch {
	case s.opt.Gamma == 0 && s.opt.Grid == NoGrid, k == 0 && s.opt.Grid == NoGrid:
		s.be.Add(next, cur, s.h) // Euler step: the ordinary transformer
	case s.opt.Gamma == 0:
		s.be.QuantisedAdd(next, cur, s.h, peak, int(s.opt.Grid))
	case k == 0:
		s.be.AddQuantised(next, rest, cur, s.h, peak, int(s.opt.Grid)) // x_1 = x_0 + Q[h_0]
	default:
		s.move(next, s.x(k-1))
		s.move(rest, s.rest(k-1))
		s.be.Advance(next, rest, cur, s.h, s.side.under(s.laws[k], k-1), s.gammas.Index(k), peak, s.laws[k])
		if s.laws[k].Bits != int(s.opt.Grid) {
			s.be.Quantise(next, peak, int(s.opt.Grid))
			s.be.Zero(rest)
		}
	}
}

// move copies what the next step changes in place, if it has to remain.
func (s *Stack) move(to, from tensor.Tensor) {
	if to != from {
		s.be.Copy(to, from)
	}
}

// Grad is the buffer (B,T,C) for dloss/dx_K, which the caller fills between Forward
// and Reverse. After Reverse it holds dloss/dx_k for the first trainable block k (0
// unless blocks are frozen).
func (s *Stack) Grad() tensor.Tensor { return s.g }

// Reverse walks the stack back from dloss/dx_K, in Grad, and hands each block's
// parameter gradients to sink. A Reversible stack holds only two states, the side
// information and one block's intermediates at a time. It fails when it is stopped
// (SetStop), and when a checked pass finds a state changed (SetCheck).
//
// With g_{k+1} = dloss/dx_{k+1}, and gamma_0 = 0:
//
//	g_k = ((1-gamma_k) g_{k+1} + J_kᵀ((1+gamma_k) g_{k+1})) + gamma_{k+1} g_{k+2}
func (s *Stack) Reverse(sink Sink) error {
	K := len(s.blocks)
	pending := s.x(K) // gamma_{k+1} g_{k+2}; x_K itself is not needed any more
	s.be.Zero(pending)
	for k := K - 1; k >= s.Frozen; k-- {
		if err := s.stop.asked(); err != nil {
			return err
		}
		block, gamma := s.blocks[k], s.gammas.Index(k)
		s.digests.take(found, k, s.x(k), s.keptRest(k))
		if !s.keepsTape(k) {
			s.tapes[k] = s.be.Mark()
			block.Forward(s.h, s.x(k), s.pass)
		}
		if s.opt.Memory.rebuilds(k, K, s.Frozen) {
			s.be.Retreat(s.x(k+1), s.rest(k+1), s.x(k), s.h, s.side.under(s.laws[k], k-1), gamma, s.peaks.Index(k-1), s.laws[k])
			s.observe(k - 1)
		}
		s.be.ScaleGrad(s.h, s.g, gamma)
		sink.Open(block.Params())
		block.Backward(s.h, s.x(k))
		s.be.CompleteGrad(s.h, pending, s.g, gamma)
		s.g, s.h = s.h, s.g
		sink.Close(block.Params())
		s.be.Release(s.tapes[k])
	}
	return s.digests.compare(s.Frozen, K, s.pass)
}

// x returns the buffer of state x_k.
func (s *Stack) x(k int) tensor.Tensor {
	return s.states[s.opt.Memory.slot(k, len(s.blocks), s.Frozen)]
}

// keepsTape reports whether block k's intermediates are kept after the forward pass.
func (s *Stack) keepsTape(k int) bool {
	return k >= s.Frozen && (s.opt.Memory == Store || !s.DropTape && s.opt.Memory.keepsTape(k, len(s.blocks)))
}

func (s *Stack) computed(k int) {
	s.digests.take(computed, k, s.x(k), s.rest(k))
	s.observe(k)
}

func (s *Stack) observe(k int) {
	if s.Observe != nil {
		s.Observe(k, s.x(k))
	}
}
