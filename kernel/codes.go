package kernel

import (
	"math"
	"unsafe"
)

// CodeGroup is the number of elements that share one absmax in AdamW8: 2048, as
// in Dettmers et al. (Later versions of their program use 256, which trained no
// better when tried and is slower.) Work on one tensor may be split at multiples
// of it.
const CodeGroup = 2048

// AdamW8 is AdamW with moments of 8 bits (Dettmers et al., "8-bit Optimizers via
// Block-wise Quantization", ICLR 2022, arXiv 2110.02861): a group of CodeGroup
// elements is decoded, updated as AdamW does, and encoded again. m and v hold one
// code for each element of p, mMax and vMax one absmax for each group. If a
// group's absmax is 0, its elements are 0, whatever their codes.
func (isa ISA) AdamW8(p, g []float32, m, v []byte, mMax, vMax []float32, a AdamWScalars) {
	wantLen(len(p), len(g), len(m), len(v))
	wantLen((len(p)+CodeGroup-1)/CodeGroup, len(mMax), len(vMax))
	var b momentGroup
	for k := range mMax {
		n := min(CodeGroup, len(p))
		b.mMax, b.vMax = mMax[k], vMax[k]
		args := vecArgs{f: a.factors()}
		args.p[4], args.p[5] = unsafe.Pointer(&b), unsafe.Pointer(&momentCodes)
		args.p[0], args.p[1], args.p[2], args.p[3] = ptr(p), ptr(g), bytePtr(m), bytePtr(v)
		i := isa.run(opAdamW8, &args, n&^(lanes-1))
		momentCodes[0].decode(b.m[i:n], m[i:n], b.mMax)
		momentCodes[1].decode(b.v[i:n], v[i:n], b.vMax)
		adamWGo(p[i:n], g[i:n], b.m[i:n], b.v[i:n], &args.f)
		mMax[k] = isa.encode(opEncodeSigned, m[:n], b.m[:n], foldMax(&args.acc, maxMagnitude(b.m[i:n])), p[n:])
		vMax[k] = isa.encode(opEncodeUnsigned, v[:n], b.v[:n], foldMax(&args.acc2, maxMagnitude(b.v[i:n])), g[n:])
		p, g, m, v = p[n:], g[n:], m[n:], v[n:]
	}
}

// momentGroup is one group, decoded; assembly knows its layout.
type momentGroup struct {
	m, v       [CodeGroup]float32
	mMax, vMax float32
}

// codes is the dynamic tree data type (the paper's sections 1.3 and 2.2), signed
// for m and unsigned for v. The 256 codes stand, in ascending order, for 0, for
// 1, and for the middles of equal steps in each of the seven decades below 1:
// decade i = 0..6, from 10^(i-7) to 10^(i-6), has 2^i steps of either sign, or
// 2^(i+1) for the unsigned v. (So -1 has no code.)
//
// Within a decade the value is a straight line over the code, and the code one
// over the value. Assembly reads the arrays of eight, at these offsets.
type codes struct {
	// Encoding: limit[i] is half-way between the values of two decades. A
	// magnitude x with limit[i-1] < x <= limit[i] is number
	// floor(min(slope[i]*x+offset[i], top[i])) among the values from 0 up: its
	// place.
	limit, slope, offset, top [8]float32
	// Decoding: with t = place + middle the value is min(scale[j]*t+shift[j], 1),
	// j being the exponent of t modulo 8: 0 and 1 share one.
	scale, shift [8]float32

	value [256]float32
}

// momentCodes holds the codes of m and of v; assembly knows their layout.
var momentCodes = [2]codes{newCodes(true), newCodes(false)}

func newCodes(signed bool) codes {
	var c codes
	zero, unit := 0, 10_000_000.0 // 1 over the start of the decade
	steps, first := 1.0, 1.0
	// place + middle is the middle of the place's step, counted so that the steps
	// of a decade begin at a power of two: 2^(j-7), 2^(j-6), ...
	middle, j := float32(0.5), 7
	if signed {
		zero = 127
	} else {
		steps, middle, j = 2, 1.5, 8
	}
	for i := range 7 {
		// In this order every number but the quotient is a whole number.
		c.slope[i] = float32(steps * unit / 9)
		c.offset[i] = float32((9*first - steps) / 9)
		c.top[i] = float32(first + steps - 1)
		c.scale[(i+j)%8] = float32(9 / (unit * steps))
		c.shift[(i+j)%8] = float32(-8 / unit)
		next := 1.0 // the value after the last of the decade
		if i < 6 {
			next = (4*steps + 9) / (4 * steps * unit / 10)
		}
		c.limit[i] = float32(((20*steps-9)/(2*steps*unit) + next) / 2)
		unit, first, steps = unit/10, first+steps, 2*steps
	}
	c.top[7] = c.top[6] + 1
	c.offset[7] = c.top[7]
	c.limit[7] = float32(math.Inf(1))
	if signed { // decade 0 has one step, which begins half-way to 0
		c.slope[0], c.offset[0] = float32(20e6/5.5), 0
	}
	c.scale[(j+7)%8] = 1.0 / 64
	c.shift[(j+7)%8] = -middle / 64
	for k := range c.value {
		place := k - zero
		t := float32(max(place, -place)) + middle
		e := math.Float32bits(t) >> 23 % 8
		c.value[k] = min(fma(c.scale[e], t, c.shift[e]), 1)
		if place < 0 {
			c.value[k] = -c.value[k]
		}
	}
	return c
}

// decode sets x to the values of codes times absMax.
func (c *codes) decode(x []float32, codes []byte, absMax float32) {
	for i := range x {
		x[i] = float32(c.value[codes[i]] * absMax)
	}
}

// encode sets codes to the codes nearest to x/absMax and returns absMax, the
// largest magnitude in x; largest holds its bits. Ties go away from 0, but down
// between decades. Two cases do not get the nearest code. A v above 0 never
// becomes 0, since m would then be divided by eps alone (Li et al., arXiv
// 2309.01507, section 4.1). A magnitude of m below the least value gets the least
// value. A group without normal numbers gets absmax 0; a group with a NaN or an
// infinity gets NaN, which its parameters show after the next step. Meanwhile the
// same number of elements of next is prefetched.
func (isa ISA) encode(op vecOp, codes []byte, x []float32, largest uint32, next []float32) (absMax float32) {
	switch {
	case largest >= 0x7f800000:
		clear(codes)
		return float32(math.NaN())
	case largest < 0x00800000:
		clear(codes)
		return 0
	}
	absMax = math.Float32frombits(largest)
	inverse := 1 / absMax
	args := vecArgs{f: [8]float32{inverse}}
	args.p[0], args.p[1], args.p[2], args.p[5] = bytePtr(codes), ptr(x), ptr(next), unsafe.Pointer(&momentCodes)
	i := isa.run(op, &args, len(x)&^(lanes-1))
	if op == opEncodeSigned {
		momentCodes[0].encodeSigned(codes[i:], x[i:], inverse)
	} else {
		momentCodes[1].encodeUnsigned(codes[i:], x[i:], inverse)
	}
	return absMax
}

func (c *codes) encodeSigned(codes []byte, x []float32, inverse float32) {
	for i, x := range x {
		x = float32(x * inverse)
		place := c.place(absf(x))
		if signed(x) {
			place = max(-place, -127)
		}
		codes[i] = byte(127 + place)
	}
}

func (c *codes) encodeUnsigned(codes []byte, x []float32, inverse float32) {
	for i, x := range x {
		x = float32(x * inverse)
		codes[i] = byte(max(c.place(x), min(1, int(math.Float32bits(x)))))
	}
}

// place returns the place of a magnitude up to 1.
func (c *codes) place(x float32) int {
	d := 7
	for d > 0 && x <= c.limit[d-1] {
		d--
	}
	return int(min(fma(c.slope[d], x, c.offset[d]), c.top[d]))
}

// maxMagnitude returns the largest magnitude of x.
func maxMagnitude(x []float32) (m uint32) {
	for _, v := range x {
		m = max(m, magnitude(v))
	}
	return m
}

func bytePtr(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }
