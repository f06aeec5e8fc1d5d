package kernel

import "math"

// The reversible core (Zhang, Lewis and Kleijn, arXiv 2407.09093). Q[y] rounds
// to multiples of 2^-bits, ties to even, and gives +0 for -0.
//
// A state is a whole number n of units of 2^-bits, held in two parts:
//
//	x = float32(n)*2^-bits, which a block reads
//	rest = n - x*2^bits, a signed byte: 0 while |n| <= 2^24, at most 32 while |n| < 2^30
//
// Below 2^30 units an update is exact, for its terms and its sum stay below 2^31.
// Every function here returns maxBits, the largest IEEE bits without sign among the
// values it names, so that a caller can check this limit. As integers these bits
// order like magnitudes, with Inf and NaN on top. Beyond the limit integers wrap
// around, in the same way on every path.

const maxGridBits = 30

// gridScale returns 2^bits and 2^-bits.
func gridScale(bits int) (scale, unit float32) {
	if bits < 0 || bits > maxGridBits {
		panic("kernel: grid bits outside 0..30")
	}
	return math.Float32frombits(uint32(127+bits) << 23), math.Float32frombits(uint32(127-bits) << 23)
}

// quantise returns Q[y].
func quantise(y, scale, unit float32) float32 {
	return float32(float32(math.RoundToEven(float64(float32(y*scale))))*unit) + 0
}

// toInt returns x, rounded to even, as an integer; -2^31 for what an int32 cannot hold, as the instruction does.
func toInt(x float32) int32 {
	if f := math.RoundToEven(float64(x)); f >= -1<<31 && f < 1<<31 {
		return int32(f)
	}
	return math.MinInt32
}

// whole returns the n of a state.
func whole(x float32, rest byte, scale float32) int32 { return toInt(x*scale) + int32(int8(rest)) }

// parts returns the two parts of the state n.
func parts(n int32, unit float32) (x float32, rest byte) {
	f := float32(n)
	return f * unit, byte(n - toInt(f))
}

// magnitude returns the bits of x without its sign.
func magnitude(x float32) uint32 { return math.Float32bits(x) &^ (1 << 31) }

// foldMax returns the largest lane of acc, read as integers, and m.
func foldMax(acc *[lanes]float32, m uint32) uint32 {
	for _, v := range acc {
		m = max(m, math.Float32bits(v))
	}
	return m
}

// Quantise sets x = Q[x]. maxBits covers the results.
func (isa ISA) Quantise(x []float32, bits int) (maxBits uint32) {
	scale, unit := gridScale(bits)
	v := vecArgs{f: [8]float32{scale, unit}}
	v.p[0] = ptr(x)
	i := isa.run(opQuantise, &v, len(x))
	return foldMax(&v.acc, quantiseGo(x[i:], scale, unit))
}

func quantiseGo(x []float32, scale, unit float32) (maxBits uint32) {
	for i := range x {
		x[i] = quantise(x[i], scale, unit)
		maxBits = max(maxBits, magnitude(x[i]))
	}
	return maxBits
}

// AddQuantised sets y and rest to x + Q[h], the first step of a stack. x has no
// rest. maxBits covers Q[h] and y. y may be x or h.
func (isa ISA) AddQuantised(y []float32, rest []byte, x, h []float32, bits int) (maxBits uint32) {
	n := len(y)
	wantLen(n, len(rest), len(x), len(h))
	scale, unit := gridScale(bits)
	v := vecArgs{f: [8]float32{4: scale, 5: unit}}
	v.p[0], v.p[1], v.p[2], v.p[4] = ptr(y), ptr(x), ptr(h), bytePtr(rest)
	i := isa.run(opAddQuantised, &v, n&^(lanes-1))
	return foldMax(&v.acc, addQuantisedGo(y[i:], rest[i:], x[i:], h[i:], scale, unit))
}

func addQuantisedGo(y []float32, rest []byte, x, h []float32, scale, unit float32) (maxBits uint32) {
	for i := range y {
		q := quantise(h[i], scale, unit)
		y[i], rest[i] = parts(toInt(x[i]*scale)+toInt(q*scale), unit)
		maxBits = max(maxBits, magnitude(q), magnitude(y[i]))
	}
	return maxBits
}

// QuantisedAdd sets y = Q[x + h], a block at inference. maxBits covers y. y may
// be x or h.
func (isa ISA) QuantisedAdd(y, x, h []float32, bits int) (maxBits uint32) {
	wantLen(len(y), len(x), len(h))
	scale, unit := gridScale(bits)
	v := vecArgs{f: [8]float32{scale, unit}}
	v.p[0], v.p[1], v.p[2] = ptr(y), ptr(x), ptr(h)
	i := isa.run(opQuantisedAdd, &v, len(y))
	return foldMax(&v.acc, quantisedAddGo(y[i:], x[i:], h[i:], scale, unit))
}

func quantisedAddGo(y, x, h []float32, scale, unit float32) (maxBits uint32) {
	for i := range y {
		y[i] = quantise(x[i]+h[i], scale, unit)
		maxBits = max(maxBits, magnitude(y[i]))
	}
	return maxBits
}

// CompleteGrad carries gradients back through one update. dx holds J^T((1+gamma)g),
// g the gradient of x_{k+1}, pending the part of x_k's gradient that comes from
// the next update:
//
//	dx = fma(1-gamma, g, dx) + pending, then pending = gamma*g
//
// The pending term comes last, so that stored and reversible runs have the same
// bits.
func (isa ISA) CompleteGrad(dx, pending, g []float32, gamma float32) {
	wantLen(len(dx), len(pending), len(g))
	v := vecArgs{f: [8]float32{gamma, 1 - gamma}}
	v.p[0], v.p[1], v.p[2] = ptr(dx), ptr(pending), ptr(g)
	i := isa.run(opCompleteGrad, &v, len(dx))
	completeGradGo(dx[i:], pending[i:], g[i:], gamma)
}

func completeGradGo(dx, pending, g []float32, gamma float32) {
	for i, v := range g {
		dx[i] = fma(v, 1-gamma, dx[i]) + pending[i]
		pending[i] = v * gamma
	}
}
