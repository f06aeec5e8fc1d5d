package cpu

import (
	"sync/atomic"
	"unsafe"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/kernel"
	"github.com/bdia-go/bdia/tensor"
)

// raise makes *p the larger of itself and bits. The order of calls does not
// matter, so threads may race here and still give the same bits.
func raise(p *int32, bits uint32) {
	a := (*atomic.Uint32)(unsafe.Pointer(p))
	for old := a.Load(); bits > old && !a.CompareAndSwap(old, bits); old = a.Load() {
	}
}

// Quantise rounds x to the grid in place.
func (b *Backend) Quantise(x, peak tensor.Tensor, bits int) {
	b.eachSample(x, samples{peak: b.i32(peak), law: backend.Law{Bits: bits}, fn: func(isa kernel.ISA, s *samples, _, lo, hi int) uint32 {
		return isa.Quantise(s.y[lo:hi], s.law.Bits)
	}})
}

// AddQuantised writes y and rest = x + Q[h].
func (b *Backend) AddQuantised(y, rest, x, h, peak tensor.Tensor, bits int) {
	must(rest.Len() == y.Len(), "AddQuantised", y, rest, x, h)
	b.eachSample(y, samples{rest: b.u8(rest), x: b.f32(x), h: b.f32(h), peak: b.i32(peak), law: backend.Law{Bits: bits},
		fn: func(isa kernel.ISA, s *samples, _, lo, hi int) uint32 {
			return isa.AddQuantised(s.y[lo:hi], s.rest[lo:hi], s.x[lo:hi], s.h[lo:hi], s.law.Bits)
		}})
}

// QuantisedAdd writes y = Q[x+h].
func (b *Backend) QuantisedAdd(y, x, h, peak tensor.Tensor, bits int) {
	b.eachSample(y, samples{x: b.f32(x), h: b.f32(h), peak: b.i32(peak), law: backend.Law{Bits: bits},
		fn: func(isa kernel.ISA, s *samples, _, lo, hi int) uint32 {
			return isa.QuantisedAdd(s.y[lo:hi], s.x[lo:hi], s.h[lo:hi], s.law.Bits)
		}})
}

// Advance turns x_{k-1} into x_{k+1} in place.
func (b *Backend) Advance(xPrev, rest, x, h, side, gamma, peak tensor.Tensor, law backend.Law) {
	fn := func(isa kernel.ISA, s *samples, sample, lo, hi int) uint32 {
		return isa.AdvanceQuantised(s.y[lo:hi], s.rest[lo:hi], s.x[lo:hi], s.h[lo:hi], s.sideOf(sample, lo), s.planeStride(),
			s.gamma[sample], s.law.Planes, s.law.Bits)
	}
	if law.Bits == backend.NoGrid {
		fn = func(isa kernel.ISA, s *samples, sample, lo, hi int) uint32 {
			return isa.Advance(s.y[lo:hi], s.x[lo:hi], s.h[lo:hi], s.gamma[sample])
		}
	}
	b.reversible(fn, xPrev, rest, x, h, side, gamma, peak, law)
}

// Retreat turns x_{k+1} back into x_{k-1} in place.
func (b *Backend) Retreat(xNext, rest, x, h, side, gamma, peak tensor.Tensor, law backend.Law) {
	fn := func(isa kernel.ISA, s *samples, sample, lo, hi int) uint32 {
		return isa.RetreatQuantised(s.y[lo:hi], s.rest[lo:hi], s.x[lo:hi], s.h[lo:hi], s.sideOf(sample, lo), s.planeStride(),
			s.gamma[sample], s.law.Planes, s.law.Bits)
	}
	if law.Bits == backend.NoGrid {
		fn = func(isa kernel.ISA, s *samples, sample, lo, hi int) uint32 {
			return isa.Retreat(s.y[lo:hi], s.x[lo:hi], s.h[lo:hi], s.gamma[sample])
		}
	}
	b.reversible(fn, xNext, rest, x, h, side, gamma, peak, law)
}

func (b *Backend) reversible(fn func(kernel.ISA, *samples, int, int, int) uint32,
	y, rest, x, h, side, gamma, peak tensor.Tensor, law backend.Law) {
	B := y.Shape[0]
	must(x.Len() == y.Len() && h.Len() == y.Len() && gamma.Len() == B && peak.Len() == B &&
		(law.Bits == backend.NoGrid || rest.Len() == y.Len()) &&
		(!side.Valid() || side.Shape[0] == law.Planes && side.Shape[1] == B), "Advance", y, rest, x, h, side, gamma, peak)
	b.eachSample(y, samples{fn: fn, rest: b.u8(rest), x: b.f32(x), h: b.f32(h), side: b.u8(side), gamma: b.f32(gamma), peak: b.i32(peak), law: law})
}

// bytesPerSample is the length of one plane of one sample's side information.
func (s *samples) bytesPerSample() int { return (s.perSample + 7) / 8 }

// planeStride is the distance between two planes: all samples of one.
func (s *samples) planeStride() int { return len(s.gamma) * s.bytesPerSample() }

// sideOf returns the side information from element lo, of the given sample,
// onward; nil if none is kept.
func (s *samples) sideOf(sample, lo int) []byte {
	if s.side == nil {
		return nil
	}
	return s.side[sample*s.bytesPerSample()+(lo-sample*s.perSample)/8:]
}

// ScaleGrad writes dh = (1+gamma)*g.
func (b *Backend) ScaleGrad(dh, g, gamma tensor.Tensor) {
	must(dh.Len() == g.Len() && gamma.Len() == g.Shape[0], "ScaleGrad", dh, g, gamma)
	b.eachSample(dh, samples{x: b.f32(g), gamma: b.f32(gamma), fn: func(isa kernel.ISA, s *samples, sample, lo, hi int) uint32 {
		isa.Scale(s.y[lo:hi], s.x[lo:hi], 1+s.gamma[sample])
		return 0
	}})
}

// CompleteGrad completes dloss/dx_k and prepares the pending term for x_{k-1}.
func (b *Backend) CompleteGrad(dx, pending, g, gamma tensor.Tensor) {
	must(dx.Len() == g.Len() && pending.Len() == g.Len() && gamma.Len() == g.Shape[0], "CompleteGrad", dx, pending, g, gamma)
	b.eachSample(dx, samples{x: b.f32(pending), h: b.f32(g), gamma: b.f32(gamma), fn: func(isa kernel.ISA, s *samples, sample, lo, hi int) uint32 {
		isa.CompleteGrad(s.y[lo:hi], s.x[lo:hi], s.h[lo:hi], s.gamma[sample])
		return 0
	}})
}
