package cpu

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/kernel"
	"github.com/bdia-go/bdia/tensor"
)

// elements are those of a tensor of F32, or of BF16; the zero value is none. Operations compute in float32: get widens
// BF16, and put rounds it.
type elements struct {
	floats []float32
	halves []uint16
}

func (b *Backend) elements(t tensor.Tensor) elements {
	if t.DType == tensor.BF16 {
		return elements{halves: b.bf16(t)}
	}
	return elements{floats: b.f32(t)}
}

// none reports the elements of no tensor.
func (e elements) none() bool { return e.floats == nil && e.halves == nil }

func (e elements) len() int { return max(len(e.floats), len(e.halves)) }

// from is e from element i on.
func (e elements) from(i int) elements {
	if e.halves != nil {
		return elements{halves: e.halves[i:]}
	}
	return elements{floats: e.floats[i:]}
}

// get returns elements lo..hi-1 in float32: as they lie there, or widened at the start of scratch.
func (e elements) get(isa kernel.ISA, lo, hi int, scratch []float32) []float32 {
	if e.halves == nil {
		return e.floats[lo:hi]
	}
	isa.Widen(scratch[:hi-lo], e.halves[lo:hi])
	return scratch[:hi-lo]
}

// room is where elements lo..hi-1 are written before put: where they lie, or the start of scratch.
func (e elements) room(lo, hi int, scratch []float32) []float32 {
	if e.halves == nil {
		return e.floats[lo:hi]
	}
	return scratch[:hi-lo]
}

// put keeps what was written in room, from element lo on: BF16 is rounded to nearest, ties to even.
func (e elements) put(isa kernel.ISA, lo int, values []float32) {
	if e.halves != nil {
		isa.RoundNearest(e.halves[lo:lo+len(values)], values)
	}
}

// pieceLen is the number of elements of BF16 that an operation has as float32 at a time, so that they stay in the
// first-level cache.
const pieceLen = 4096

// pieces calls f for the elements of task in pieces of which scratch holds one for each of several operands; for
// operands of F32 alone, as one piece.
func pieces(task int, y, x elements, f func(lo, hi int)) {
	lo, hi := chunkOf(task, y.len())
	piecesOf(lo, hi, y, x, f)
}

// piecesOf is pieces of elements lo..hi-1, at most chunkLen of them.
func piecesOf(lo, hi int, y, x elements, f func(lo, hi int)) {
	step := chunkLen
	if y.halves != nil || x.halves != nil {
		step = pieceLen
	}
	for ; lo < hi; lo += step {
		f(lo, min(lo+step, hi))
	}
}

// updated is a parameter that an optimiser changes, a chunk at a time: get gives its values, and put keeps them after
// the update, BF16 rounded stochastically.
type updated struct {
	elements
	key rng.Key
}

func (b *Backend) updated(p tensor.Tensor, r backend.Rounding) updated {
	return updated{b.elements(p), rng.Key{Seed: r.Seed, Step: uint32(r.Step), Sample: uint32(r.Param), Site: rng.SiteRounding}}
}

func (u updated) put(isa kernel.ISA, lo int, values []float32) {
	if u.halves != nil {
		isa.RoundStochastic(u.halves[lo:lo+len(values)], values, u.key, lo)
	}
}

// Neither compiles unless a chunk fits into the scratch buffer, and whole draws into a chunk.
const (
	_ = uint(kernel.ScratchFloats - chunkLen)
	_ = -uint(chunkLen % 8)
)
