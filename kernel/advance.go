package kernel

import "math"

// advanceScalars holds the numbers that one BDIA update needs.
type advanceScalars struct {
	gamma, inverse, minus, plus float32 // gamma, 1/gamma, 1-gamma, 1+gamma
	scale, unit                 float32 // 2^bits, 2^-bits
	planes                      int
}

func newAdvanceScalars(gamma float32, bits int) advanceScalars {
	s := advanceScalars{gamma: gamma, inverse: 1 / gamma, minus: 1 - gamma, plus: 1 + gamma}
	s.scale, s.unit = gridScale(bits)
	return s
}

// newQuantisedScalars is newAdvanceScalars for an update of whole numbers.
func newQuantisedScalars(gamma float32, planes, bits int) advanceScalars {
	if planes < 1 || planes > 16 || absf(gamma)*float32(int(1)<<planes) != 1 {
		panic("kernel: side information planes that do not match gamma: |gamma| must be 2^-planes")
	}
	s := newAdvanceScalars(gamma, bits)
	s.planes = planes
	return s
}

// vecPlanes is the largest number of planes that the assembly handles.
const vecPlanes = 3

// Assembly by planes.
var (
	advanceOps       = [vecPlanes + 1]vecOp{1: opAdvanceQuantised1, opAdvanceQuantised2, opAdvanceQuantised3}
	advanceNoSideOps = [vecPlanes + 1]vecOp{1: opAdvanceQuantised1NoSide, opAdvanceQuantised2NoSide, opAdvanceQuantised3NoSide}
	retreatOps       = [vecPlanes + 1]vecOp{1: opRetreatQuantised1, opRetreatQuantised2, opRetreatQuantised3}
)

// args returns the arguments of the assembly.
func (s *advanceScalars) args(x0, x, h []float32) vecArgs {
	v := vecArgs{f: [8]float32{s.gamma, s.inverse, s.minus, s.plus, s.scale, s.unit}}
	v.p[0], v.p[1], v.p[2] = ptr(x0), ptr(x), ptr(h)
	return v
}

// runWhole runs op[planes], an update of whole numbers, on the whole groups of 16 elements and returns the number of
// elements done.
func (s *advanceScalars) runWhole(isa ISA, op *[vecPlanes + 1]vecOp, v *vecArgs, rest, side []byte, planeStride int) int {
	if s.planes > vecPlanes {
		return 0
	}
	allOnes := math.Float32frombits(math.MaxUint32)
	if s.gamma > 0 {
		v.f[6] = allOnes
	} else {
		v.f[7] = allOnes
	}
	v.p[3], v.p[4], v.ld = bytePtr(side), bytePtr(rest), planeStride
	return isa.run(op[s.planes], v, len(rest)&^(lanes-1))
}

// divide returns gamma*(n+s) and s = (-n) mod m. For example n = 7 and gamma = -1/2 give -4 and 1.
func (s *advanceScalars) divide(n int32) (quotient int32, remainder uint32) {
	quotient, remainder = -(-n >> s.planes), uint32(-n)&(1<<s.planes-1)
	if s.gamma < 0 {
		quotient = -quotient
	}
	return quotient, remainder
}

// multiply is the inverse of divide.
func (s *advanceScalars) multiply(quotient int32, remainder uint32) (n int32) {
	if s.gamma < 0 {
		quotient = -quotient
	}
	return quotient<<s.planes - int32(remainder)
}

// units returns Q[(1-gamma)*x + (1+gamma)*h] as a whole number of units, and its magnitude.
func (s *advanceScalars) units(x, h float32) (q int32, magnitudeBits uint32) {
	v := quantise(fma(h, s.plus, float32(x*s.minus)), s.scale, s.unit)
	return toInt(v * s.scale), magnitude(v)
}

func wantSide(side []byte, n, planeStride, planes int) {
	if len(side) < (planes-1)*planeStride+(n+7)/8 || planes > 1 && planeStride < (n+7)/8 {
		panic("kernel: side information too short")
	}
}

// AdvanceQuantised is one BDIA update on the grid (paper, eq. 21-23), in place on xPrev and rest, which hold x_{k-1}
// and get x_{k+1}; x is x_k, h is h_k(x_k):
//
//	m = 2^planes = 1/|gamma|, n = x_{k-1}*2^bits, s = (-n) mod m
//	q = Q[fma(1+gamma, h, (1-gamma)*x)]
//	x_{k+1} = gamma*(x_{k-1} + s*2^-bits) + q
//
// Bit p of s for element i goes to bit i%8 of side[p*planeStride+i/8]; whole
// bytes are written, unused bits as 0. With a nil side, s is used but not kept.
// maxBits covers q and x_{k+1}.
func (isa ISA) AdvanceQuantised(xPrev []float32, rest []byte, x, h []float32, side []byte, planeStride int, gamma float32, planes, bits int) (maxBits uint32) {
	n := len(xPrev)
	wantLen(n, len(rest), len(x), len(h))
	s := newQuantisedScalars(gamma, planes, bits)
	op := &advanceNoSideOps
	if side != nil {
		wantSide(side, n, planeStride, planes)
		op = &advanceOps
	}
	v := s.args(xPrev, x, h)
	i := s.runWhole(isa, op, &v, rest, side, planeStride)
	if side != nil {
		side = side[i/8:]
	}
	return foldMax(&v.acc, advanceQuantisedGo(xPrev[i:], rest[i:], x[i:], h[i:], side, planeStride, &s))
}

func advanceQuantisedGo(xPrev []float32, rest []byte, x, h []float32, side []byte, planeStride int, s *advanceScalars) (maxBits uint32) {
	for i := range xPrev {
		if side != nil && i%8 == 0 {
			for p := range s.planes {
				side[p*planeStride+i/8] = 0
			}
		}
		n, r := s.divide(whole(xPrev[i], rest[i], s.scale))
		if side != nil {
			for p := range s.planes {
				side[p*planeStride+i/8] |= byte(r>>p&1) << (i % 8)
			}
		}
		q, top := s.units(x[i], h[i])
		xPrev[i], rest[i] = parts(n+q, s.unit)
		maxBits = max(maxBits, top, magnitude(xPrev[i]))
	}
	return maxBits
}

// RetreatQuantised is the inverse of AdvanceQuantised (paper, eq. 24), exact on the
// grid, in place on xNext and rest, which hold x_{k+1} and get x_{k-1}:
//
//	x_{k-1} = (x_{k+1}-q)/gamma - s*2^-bits
//
// with the same q and s from side. maxBits covers q and x_{k-1}.
func (isa ISA) RetreatQuantised(xNext []float32, rest []byte, x, h []float32, side []byte, planeStride int, gamma float32, planes, bits int) (maxBits uint32) {
	n := len(xNext)
	wantLen(n, len(rest), len(x), len(h))
	s := newQuantisedScalars(gamma, planes, bits)
	wantSide(side, n, planeStride, planes)
	v := s.args(xNext, x, h)
	i := s.runWhole(isa, &retreatOps, &v, rest, side, planeStride)
	return foldMax(&v.acc, retreatQuantisedGo(xNext[i:], rest[i:], x[i:], h[i:], side[i/8:], planeStride, &s))
}

func retreatQuantisedGo(xNext []float32, rest []byte, x, h []float32, side []byte, planeStride int, s *advanceScalars) (maxBits uint32) {
	for i := range xNext {
		var r uint32
		for p := range s.planes {
			r |= uint32(side[p*planeStride+i/8]>>(i%8)&1) << p
		}
		q, top := s.units(x[i], h[i])
		n := s.multiply(whole(xNext[i], rest[i], s.scale)-q, r)
		xNext[i], rest[i] = parts(n, s.unit)
		maxBits = max(maxBits, top, magnitude(xNext[i]))
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
	s := newAdvanceScalars(gamma, 0)
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
	s := newAdvanceScalars(gamma, 0)
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
