package kernel

import (
	"math"
	"unsafe"
)

// advanceScalars holds the numbers that one BDIA update needs.
type advanceScalars struct {
	gamma, inverse, minus, plus float32 // gamma, 1/gamma, 1-gamma, 1+gamma
	scale, unit                 float32 // 2^bits, 2^-bits
	planes                      int
}

func newAdvanceScalars(gamma float32, planes, bits int) advanceScalars {
	s := advanceScalars{gamma: gamma, inverse: 1 / gamma, minus: 1 - gamma, plus: 1 + gamma, planes: planes}
	s.scale, s.unit = gridScale(bits)
	if planes < 0 || planes > 16 || planes > 0 && absf(gamma)*float32(int(1)<<planes) != 1 {
		panic("kernel: side information planes that do not match gamma: |gamma| must be 2^-planes")
	}
	return s
}

// vecPlanes is the largest number of planes that the assembly handles.
const vecPlanes = 3

// Assembly by planes.
var (
	advanceOps       = [vecPlanes + 1]vecOp{opAdvanceQuantised0, opAdvanceQuantised1, opAdvanceQuantised2, opAdvanceQuantised3}
	advanceNoSideOps = [vecPlanes + 1]vecOp{opAdvanceQuantised0, opAdvanceQuantised1NoSide, opAdvanceQuantised2NoSide, opAdvanceQuantised3NoSide}
	retreatOps       = [vecPlanes + 1]vecOp{opRetreatQuantised0, opRetreatQuantised1, opRetreatQuantised2, opRetreatQuantised3}
)

// args returns the arguments of the assembly.
func (s *advanceScalars) args(x0, x, h []float32) vecArgs {
	v := vecArgs{f: [8]float32{s.gamma, s.inverse, s.minus, s.plus, s.scale, s.unit, 2 * s.unit, 4 * s.unit}}
	v.p[0], v.p[1], v.p[2] = ptr(x0), ptr(x), ptr(h)
	return v
}

// runBits runs op, which reads or writes side information, on the whole groups
// of 16 elements and returns the number of elements done.
func (s *advanceScalars) runBits(isa ISA, op vecOp, v *vecArgs, side []byte, planeStride, n int) int {
	n &^= lanes - 1
	if n == 0 {
		return 0
	}
	for p := range s.planes {
		v.p[3+p] = unsafe.Pointer(&side[p*planeStride])
	}
	return isa.run(op, v, n)
}

// remainder returns (-n) mod 2^planes for the grid point x = n*2^-bits; n is
// -2^31 for values an int32 cannot hold.
func (s *advanceScalars) remainder(x float32) uint32 {
	n := int32(math.MinInt32)
	if f := x * s.scale; f > -(1<<31) && f < 1<<31 {
		n = int32(f)
	}
	return uint32(-n) & (1<<s.planes - 1)
}

func wantSide(side []byte, n, planeStride, planes int) {
	if planes > 0 && (len(side) < (planes-1)*planeStride+(n+7)/8 || planes > 1 && planeStride < (n+7)/8) {
		panic("kernel: side information too short")
	}
}

// AdvanceQuantised is one BDIA update on the grid (paper, eq. 21-23), in place on
// xPrev, which holds x_{k-1} and gets x_{k+1}; x is x_k, h is h_k(x_k):
//
//	m = 2^planes = 1/|gamma|, n = x_{k-1}*2^bits, s = (-n) mod m
//	q = Q[fma(1+gamma, h, (1-gamma)*x)]
//	x_{k+1} = gamma*(x_{k-1} + s*2^-bits) + q
//
// Bit p of s for element i goes to bit i%8 of side[p*planeStride+i/8]; whole
// bytes are written, unused bits as 0. With a nil side, s is used but not kept.
// With planes 0, s is 0 and gamma may have any value. maxBits covers q and
// x_{k+1}.
func (isa ISA) AdvanceQuantised(xPrev, x, h []float32, side []byte, planeStride int, gamma float32, planes, bits int) (maxBits uint32) {
	n := len(xPrev)
	wantLen(n, len(x), len(h))
	s := newAdvanceScalars(gamma, planes, bits)
	keep := side != nil && planes > 0
	if keep {
		wantSide(side, n, planeStride, planes)
	}
	v := s.args(xPrev, x, h)
	i := 0
	switch {
	case planes > vecPlanes:
	case keep:
		i = s.runBits(isa, advanceOps[planes], &v, side, planeStride, n)
		side = side[i/8:]
	default:
		i = isa.run(advanceNoSideOps[planes], &v, n)
	}
	if !keep {
		side = nil
	}
	return foldMax(&v.acc, advanceQuantisedGo(xPrev[i:], x[i:], h[i:], side, planeStride, &s))
}

func advanceQuantisedGo(xPrev, x, h []float32, side []byte, planeStride int, s *advanceScalars) (maxBits uint32) {
	for i := range xPrev {
		if side != nil && i%8 == 0 {
			for p := range s.planes {
				side[p*planeStride+i/8] = 0
			}
		}
		r := s.remainder(xPrev[i])
		if side != nil {
			for p := range s.planes {
				side[p*planeStride+i/8] |= byte(r>>p&1) << (i % 8)
			}
		}
		q := quantise(fma(h[i], s.plus, float32(x[i]*s.minus)), s.scale, s.unit)
		y := float32((xPrev[i]+float32(float32(r)*s.unit))*s.gamma) + q
		xPrev[i] = y
		maxBits = max(maxBits, magnitude(q), magnitude(y))
	}
	return maxBits
}

// RetreatQuantised is the inverse of AdvanceQuantised (paper, eq. 24), exact on the
// grid, in place on xNext, which holds x_{k+1} and gets x_{k-1}:
//
//	x_{k-1} = ((x_{k+1}-q)*(1/gamma) - s*2^-bits) + 0
//
// with the same q and s from side. maxBits covers q and x_{k-1}.
func (isa ISA) RetreatQuantised(xNext, x, h []float32, side []byte, planeStride int, gamma float32, planes, bits int) (maxBits uint32) {
	n := len(xNext)
	wantLen(n, len(x), len(h))
	s := newAdvanceScalars(gamma, planes, bits)
	wantSide(side, n, planeStride, planes)
	v := s.args(xNext, x, h)
	i := 0
	switch {
	case planes > vecPlanes:
	case planes == 0:
		i = isa.run(retreatOps[0], &v, n)
	default:
		i = s.runBits(isa, retreatOps[planes], &v, side, planeStride, n)
		side = side[i/8:]
	}
	return foldMax(&v.acc, retreatQuantisedGo(xNext[i:], x[i:], h[i:], side, planeStride, &s))
}

func retreatQuantisedGo(xNext, x, h []float32, side []byte, planeStride int, s *advanceScalars) (maxBits uint32) {
	for i := range xNext {
		var r uint32
		for p := range s.planes {
			r |= uint32(side[p*planeStride+i/8]>>(i%8)&1) << p
		}
		q := quantise(fma(h[i], s.plus, float32(x[i]*s.minus)), s.scale, s.unit)
		y := float32((xNext[i]-q)*s.inverse) - float32(float32(r)*s.unit) + 0
		xNext[i] = y
		maxBits = max(maxBits, magnitude(q), magnitude(y))
	}
	return maxBits
}

// Advance is the update without a grid, in place on xPrev:
//
//	r = fma(1+gamma, h, (1-gamma)*x), x_{k+1} = gamma*x_{k-1} + r
//
// maxBits covers r and x_{k+1}.
func (isa ISA) Advance(xPrev, x, h []float32, gamma float32) (maxBits uint32) {
	wantLen(len(xPrev), len(x), len(h))
	s := newAdvanceScalars(gamma, 0, 0)
	v := s.args(xPrev, x, h)
	i := isa.run(opAdvance, &v, len(xPrev))
	return foldMax(&v.acc, advanceGo(xPrev[i:], x[i:], h[i:], &s))
}

func advanceGo(xPrev, x, h []float32, s *advanceScalars) (maxBits uint32) {
	for i := range xPrev {
		r := fma(h[i], s.plus, float32(x[i]*s.minus))
		y := float32(xPrev[i]*s.gamma) + r
		xPrev[i] = y
		maxBits = max(maxBits, magnitude(r), magnitude(y))
	}
	return maxBits
}

// Retreat inverts Advance up to rounding, in place on xNext:
// x_{k-1} = (x_{k+1}-r)*(1/gamma). maxBits covers r and x_{k-1}.
func (isa ISA) Retreat(xNext, x, h []float32, gamma float32) (maxBits uint32) {
	wantLen(len(xNext), len(x), len(h))
	s := newAdvanceScalars(gamma, 0, 0)
	v := s.args(xNext, x, h)
	i := isa.run(opRetreat, &v, len(xNext))
	return foldMax(&v.acc, retreatGo(xNext[i:], x[i:], h[i:], &s))
}

func retreatGo(xNext, x, h []float32, s *advanceScalars) (maxBits uint32) {
	for i := range xNext {
		r := fma(h[i], s.plus, float32(x[i]*s.minus))
		y := float32((xNext[i] - r) * s.inverse)
		xNext[i] = y
		maxBits = max(maxBits, magnitude(r), magnitude(y))
	}
	return maxBits
}
