package kernel

import (
	"math"
	"unsafe"

	"github.com/bdia-go/bdia/internal/half"
	"github.com/bdia-go/bdia/internal/rng"
)

// A bfloat16 is the upper half of a float32. Weights may be held so. Every kernel computes in float32, which a bfloat16
// becomes without rounding.

// Widen sets dst to the values of the bfloat16 src.
func (isa ISA) Widen(dst []float32, src []uint16) {
	wantLen(len(dst), len(src))
	var v vecArgs
	v.p[0], v.p[1] = ptr(dst), halfPtr(src)
	i := isa.run(opWiden, &v, len(dst)&^(lanes-1))
	widenGo(dst[i:], src[i:])
}

func widenGo(dst []float32, src []uint16) {
	for i, h := range src {
		dst[i] = math.Float32frombits(uint32(h) << 16)
	}
}

// roundDraws is the number of draws made at a time; each is for 8 elements.
const roundDraws = 256

// RoundStochastic rounds src to bfloat16: up in magnitude with the probability that the bits cut off say, so that the
// mean of many roundings is the value itself. For example, a value that lies a quarter of the way from one bfloat16 to
// the next larger one becomes the larger one a quarter of the times:
//
//	dst[i] = upper half of (bits of src[i] + half-word (first+i) mod 8 of draw (first+i)/8 of key)
//
// The low half of a word comes first. A NaN stays one. first must be a multiple of 8.
func (isa ISA) RoundStochastic(dst []uint16, src []float32, key rng.Key, first int) {
	wantLen(len(dst), len(src))
	if first%8 != 0 {
		panic("kernel: RoundStochastic: first is no multiple of 8")
	}
	var draws [8 * roundDraws]uint16
	for draw := uint32(first / 8); len(src) > 0; draw += roundDraws {
		n := min(len(draws), len(src))
		isa.halves(draws[:(n+63)&^63], key, draw)
		var v vecArgs
		v.p[0], v.p[1], v.p[2] = halfPtr(dst), ptr(src), halfPtr(draws[:])
		i := isa.run(opNarrow, &v, n&^(lanes-1))
		narrowGo(dst[i:n], src[i:n], draws[i:n])
		dst, src = dst[n:], src[n:]
	}
}

func narrowGo(dst []uint16, src []float32, draws []uint16) {
	for i, x := range src {
		b := math.Float32bits(x)
		if x != x {
			dst[i] = uint16(b>>16) | 0x40
		} else {
			dst[i] = uint16((b + uint32(draws[i])) >> 16)
		}
	}
}

// halves writes the half-words of draws from number first on, 8 of each. There is a multiple of 64.
func (isa ISA) halves(dst []uint16, key rng.Key, first uint32) {
	if assembly && isa != portable {
		isa.drawWhole(&keepArgs{
			keep: (*byte)(halfPtr(dst)), draws: len(dst) / 8,
			ctr: [4]uint32{first, key.Sample, key.Step, key.Block<<8 | uint32(key.Site)},
			key: [2]uint32{uint32(key.Seed), uint32(key.Seed >> 32)},
		})
		return
	}
	for i := 0; i < len(dst); i += 8 {
		for j, word := range key.At(first + uint32(i/8)) {
			dst[i+2*j], dst[i+2*j+1] = uint16(word), uint16(word>>16)
		}
	}
}

// RoundNearest rounds src to the nearest bfloat16, ties to even.
func (isa ISA) RoundNearest(dst []uint16, src []float32) {
	wantLen(len(dst), len(src))
	var v vecArgs
	v.p[0], v.p[1] = halfPtr(dst), ptr(src)
	i := isa.run(opNearest, &v, len(dst)&^(lanes-1))
	for ; i < len(src); i++ {
		dst[i] = half.BFromFloat(src[i])
	}
}

// roundRows is RoundNearest of rows of n elements.
func (isa ISA) roundRows(dst []uint16, ld int, src []float32, ls, rows, n int) {
	whole := 0
	if assembly && isa != portable {
		whole = n &^ 31
		for r, each := 0, rowsPerCall(n); r < rows; r += each {
			m := min(each, rows-r)
			isa.narrowRows(dst[r*ld:][:(m-1)*ld+n], ld, src[r*ls:], ls, m, whole)
		}
	}
	for r := 0; r < rows && whole < n; r++ {
		isa.RoundNearest(dst[r*ld+whole:][:n-whole], src[r*ls+whole:][:n-whole])
	}
}

func halfPtr(x []uint16) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(x)) }
