// Package avx holds what the generators of assembly share: the vector registers by number, and steps of transposing.
package avx

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The vector registers of AVX-512, of AVX2, and their low 128 bits.
var (
	Zs = []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
		reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
		reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}
	Ys = []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}
	Xs = []reg.VecPhysical{
		reg.X0, reg.X1, reg.X2, reg.X3, reg.X4, reg.X5, reg.X6, reg.X7,
		reg.X8, reg.X9, reg.X10, reg.X11, reg.X12, reg.X13, reg.X14, reg.X15,
	}
)

// Lane reads 4 words of 32 bits at m to a 128-bit lane of register v of Zs or Ys; lane 0 clears the others.
func Lane(registers []reg.VecPhysical, lane int, m operand.Mem, v int) {
	switch {
	case lane == 0:
		VMOVUPS(m, Xs[v])
	case len(registers) == len(Zs):
		VINSERTF32X4(operand.Imm(uint64(lane)), m, registers[v], registers[v])
	default:
		VINSERTF128(operand.Imm(uint64(lane)), m, registers[v], registers[v])
	}
}

// Turn transposes the 4 by 4 words of each 128-bit lane of t[0:4] to to[0:4], and clobbers o[0:4].
func Turn(t, o, to []reg.VecPhysical) {
	VUNPCKLPS(t[1], t[0], o[0])
	VUNPCKHPS(t[1], t[0], o[1])
	VUNPCKLPS(t[3], t[2], o[2])
	VUNPCKHPS(t[3], t[2], o[3])
	VUNPCKLPD(o[2], o[0], to[0])
	VUNPCKHPD(o[2], o[0], to[1])
	VUNPCKLPD(o[3], o[1], to[2])
	VUNPCKHPD(o[3], o[1], to[3])
}
