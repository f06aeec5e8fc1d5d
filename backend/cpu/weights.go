package cpu

import (
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/kernel"
	"github.com/bdia-go/bdia/tensor"
)

// weights are the elements of a tensor of F32, or of BF16; the zero value is none.
type weights struct {
	floats []float32
	halves []uint16
}

func (b *Backend) weightsOf(t tensor.Tensor) weights {
	if t.DType == tensor.BF16 {
		return weights{halves: b.bf16(t)}
	}
	return weights{floats: b.f32(t)}
}

// none reports the weights of no tensor.
func (w weights) none() bool { return w.floats == nil && w.halves == nil }

// get returns elements lo..hi-1 in float32: as they lie there, or widened at the start of scratch.
func (w weights) get(isa kernel.ISA, lo, hi int, scratch []float32) []float32 {
	if w.halves == nil {
		return w.floats[lo:hi]
	}
	isa.Widen(scratch[:hi-lo], w.halves[lo:hi])
	return scratch[:hi-lo]
}

// updated is a parameter that an optimiser changes, a chunk at a time: get gives its values, and put keeps them after
// the update, BF16 rounded stochastically.
type updated struct {
	weights
	key rng.Key
}

func (b *Backend) updated(p tensor.Tensor, r backend.Rounding) updated {
	return updated{b.weightsOf(p), rng.Key{Seed: r.Seed, Step: uint32(r.Step), Sample: uint32(r.Param), Site: rng.SiteRounding}}
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
