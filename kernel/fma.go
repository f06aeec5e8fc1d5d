package kernel

import "math"

// fma returns a*b+c rounded once to float32: the portable twin of VFMADD.
//
// The product of two float32 is exact in float64, so only the addition rounds
// twice: to 53 bits, then to 24. That goes wrong only if the 53-bit sum lies
// exactly half-way between two float32 while the true sum does not (or if the
// result is subnormal, with its half-way points elsewhere). Those cases are
// rounded to odd first (Boldo and Melquiond, "Emulation of a FMA and correctly
// rounded sums", 2008).
func fma(a, b, c float32) float32 {
	p := float64(a) * float64(b)
	s := p + float64(c)
	if doubtful(s) {
		return fmaHalfway(p, float64(c), s)
	}
	return float32(s)
}

// doubtful reports whether float32(s) may differ from the exact sum rounded to
// float32, where s is that sum in float64. It may if s lies half-way between
// two float32, or below their normal range and is not 0.
func doubtful(s float64) bool {
	const minNormal = (1023 - 126) << 52 // bits of the smallest normal float32, as float64
	u := math.Float64bits(s)
	return u&(1<<29-1) == 1<<28 || u&(1<<63-1)-1 < minNormal-1
}

// fmaHalfway rounds the sum p+d to odd in float64 and then to float32; s is
// float64(p+d).
func fmaHalfway(p, d, s float64) float32 {
	if math.IsInf(s, 0) || math.IsNaN(s) {
		return float32(s)
	}
	// TwoSum (Knuth): e is the exact error of s. The conversions keep the
	// compiler from fusing.
	t := float64(s - p)
	e := float64(p-float64(s-t)) + float64(d-t)
	if u := math.Float64bits(s); e != 0 && u&1 == 0 {
		if (e > 0) == (s > 0) {
			u++
		} else {
			u--
		}
		s = math.Float64frombits(u)
	}
	return float32(s)
}
