// Package half converts between float32 and the two floating-point types of 16
// bits: IEEE 754 binary16 and bfloat16, the upper half of a binary32.
package half

import "math"

// ToFloat widens a binary16, exactly. A NaN stays a NaN.
func ToFloat(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp := uint32(h>>10) & 0x1f
	frac := uint32(h & 0x3ff)
	switch exp {
	case 0: // zero or subnormal: frac × 2^-24
		v := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(v))
	case 0x1f: // infinity or NaN
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}

// FromFloat rounds to the nearest binary16, ties to even. Magnitudes from 65520
// on become infinities (see IsInf); NaN becomes a quiet NaN of the same sign.
func FromFloat(v float32) uint16 {
	const (
		infinity    = 0x7f800000
		tooLarge    = 0x477ff000 // 65520, half-way from the largest binary16 to 65536
		leastNormal = 0x38800000 // 2^-14
		half        = 0x3f000000 // 0.5
	)
	b := math.Float32bits(v)
	sign, abs := uint16(b>>16)&0x8000, b&0x7fffffff
	switch {
	case abs > infinity:
		return sign | 0x7e00
	case abs >= tooLarge:
		return sign | 0x7c00
	case abs < leastNormal: // steps of 2^-24, the same as float32's from 0.5 on
		return sign | uint16(math.Float32bits(math.Float32frombits(abs)+0.5)-half)
	}
	abs += 0xfff + abs>>13&1
	return sign | uint16((abs-(127-15)<<23)>>13)
}

// IsInf reports whether the binary16 h is an infinity.
func IsInf(h uint16) bool { return h&0x7fff == 0x7c00 }

// BToFloat widens a bfloat16, exactly.
func BToFloat(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// BFromFloat rounds to the nearest bfloat16, ties to even. Magnitudes half a
// step above the largest bfloat16 and up become infinities (see BIsInf); NaN
// becomes a quiet NaN.
func BFromFloat(v float32) uint16 {
	b := math.Float32bits(v)
	if v != v {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// BIsInf reports whether the bfloat16 b is an infinity.
func BIsInf(b uint16) bool { return b&0x7fff == 0x7f80 }
