package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/bdia-go/bdia/internal/half"
)

// Type is how a tensor's elements are stored, by the numbers of the format.
type Type uint32

const (
	// F32 is IEEE 754 binary32.
	F32 Type = 0
	// F16 is IEEE 754 binary16, rounded to nearest, ties to even.
	F16 Type = 1
	// Q8_0 has a binary16 d for every 32 elements of a row, then 32 signed bytes
	// q: an element is q·d.
	Q8_0 Type = 8
	// BF16 is the upper half of a binary32, rounded to nearest, ties to even.
	BF16 Type = 30
)

// group is the number of elements of a row that share a factor in Q8_0.
const group = 32

// block returns the elements and bytes of the smallest piece of a row, and 0
// for an unknown type.
func (t Type) block() (elems, bytes int) {
	switch t {
	case F32:
		return 1, 4
	case F16, BF16:
		return 1, 2
	case Q8_0:
		return group, 2 + group
	}
	return 0, 0
}

// String is the type's name, such as "F16".
func (t Type) String() string {
	switch t {
	case F32:
		return "F32"
	case F16:
		return "F16"
	case Q8_0:
		return "Q8_0"
	case BF16:
		return "BF16"
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Fits reports whether a row of that many elements can be stored as t.
func (t Type) Fits(row int) bool {
	elems, _ := t.block()
	return elems > 0 && row%elems == 0
}

// encode appends src, whole groups, stored as t, to dst. F32 keeps every bit. For
// the other types it returns the index of the first number that is not finite in
// t, or -1.
//
// Q8_0 equals ggml's quantize_row_q8_0_ref: with amax the largest |x| of the 32,
// d = amax/127 and id = 1/d in float32, q = x·id in float32, rounded to the
// nearest integer, halves away from zero; d is then stored as binary16. If 1/d
// overflows float32 (undefined in C), q and d are 0.
func encode(dst []byte, t Type, src []float32) ([]byte, int) {
	elems, bytes := t.block()
	dst = slices.Grow(dst, len(src)/elems*bytes)
	switch t {
	case F32:
		for _, v := range src {
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
		}
	case F16:
		for i, v := range src {
			h := half.FromFloat(v)
			if v != v || half.IsInf(h) {
				return dst, i
			}
			dst = binary.LittleEndian.AppendUint16(dst, h)
		}
	case BF16:
		for i, v := range src {
			h := half.BFromFloat(v)
			if v != v || half.BIsInf(h) {
				return dst, i
			}
			dst = binary.LittleEndian.AppendUint16(dst, h)
		}
	case Q8_0:
		for i := 0; i < len(src); i += group {
			var bad int
			if dst, bad = appendGroup(dst, src[i:i+group]); bad >= 0 {
				return dst, i + bad
			}
		}
	}
	return dst, -1
}

// appendGroup appends one group of Q8_0, as encode does.
func appendGroup(dst []byte, src []float32) ([]byte, int) {
	amax, at := float32(0), 0
	for i, v := range src {
		if v != v {
			return dst, i
		}
		if a := float32(math.Abs(float64(v))); a > amax {
			amax, at = a, i
		}
	}
	d := amax / 127
	h := half.FromFloat(d)
	if half.IsInf(h) {
		return dst, at
	}
	id := float32(0)
	if d != 0 {
		id = 1 / d
	}
	if math.IsInf(float64(id), 0) {
		id = 0
	}
	dst = binary.LittleEndian.AppendUint16(dst, h)
	for _, v := range src {
		dst = append(dst, byte(int8(math.Round(float64(v*id)))))
	}
	return dst, -1
}

// decode fills dst with the elements that src stores as t. A product of Q8_0 is
// rounded once.
func decode(dst []float32, t Type, src []byte) {
	switch t {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = half.ToFloat(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = half.BToFloat(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case Q8_0:
		for i := range dst {
			g := src[i/group*(2+group):]
			dst[i] = float32(int8(g[2+i%group])) * half.ToFloat(binary.LittleEndian.Uint16(g))
		}
	}
}
