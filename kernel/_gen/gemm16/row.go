package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/bdia-go/bdia/kernel/_gen/avx"
)

// row emits the kernel of a product with one row of A and a B that is stored column by column, as the product of a
// token with a weight. It reads B once, from memory, and packs nothing: columns are transposed in registers right before
// they are used.
func (s isa) row(full bool) {
	name := fmt.Sprintf("gemm16Row%s%s", map[bool]string{true: "Full", false: "Half"}[full], s.name)
	TEXT(name, 4, "func(groups int, a *float32, b *byte, ld int, s *float32, c *float32)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s computes, for j < %d, outputs from groups of 32 k:", name, 2*s.w), "",
		"\tc[j] = s[j]", "\tfor each group: c[j] += sum over even k of a[k]*b[j*ld+k] + sum over odd k of the same", "",
		fmt.Sprintf("where b holds %s and ld is in bytes.", map[bool]string{true: "float32, which are rounded,", false: "bfloat16"}[full]))
	words, size := 16, 2 // of 32 bits in a group of a column
	if full {
		words, size = 32, 4
	}
	fours := s.w / 4 // of words of each column at a time: as many as the registers hold
	if s.w == 8 {
		fours = 1
	}
	o := s.reg[4*fours:]
	acc := s.reg[len(s.reg)-4:] // even and odd of two vectors
	mode := AllocLocal(16)
	STMXCSR(mode)
	MOVL(operand.U32(0x9fc0), mode.Offset(8))
	LDMXCSR(mode.Offset(8))
	groups, a, b, ld := arg("groups", reg.RDX), arg("a", reg.RSI), arg("b", reg.RDI), arg("ld", reg.R8)
	start, c, next, column := arg("s", reg.R11), arg("c", reg.R12), reg.R9, reg.R10
	MOVQ(ld, next) // the columns that are read after these
	SHLQ(operand.Imm(map[int]uint64{16: 5, 8: 4}[s.w]), next)

	// times adds the products of the vector x with element k of A.
	times := func(x reg.VecPhysical, v, k int) {
		m := at(a, 4*k)
		if s.w == 16 {
			VFMADD231PS_BCST(m, x, acc[2*v+k%2])
			return
		}
		VBROADCASTSS(m, o[2])
		VFMADD231PS(o[2], x, acc[2*v+k%2])
	}
	upper := func(x reg.VecPhysical) {
		if s.w == 16 {
			VPANDD(constant(cUpper), x, x)
		} else {
			VPAND(constant(cUpper), x, x)
		}
	}
	Label("group")
	for _, r := range acc {
		VXORPS(r, r, r)
	}
	for from := 0; from < words; from += 4 * fours {
		MOVQ(b, column)
		for v := range 2 {
			for j := range s.w {
				if from%16 == 0 {
					PREFETCHT1(plus(column, next, 1, 4*from))
				}
				for u := range fours {
					avx.Lane(s.reg, j/4, at(column, 4*(from+4*u)), 4*u+j%4)
				}
				ADDQ(ld, column)
			}
			for u := range fours {
				avx.Turn(s.reg[4*u:], o, o[4:])
				for q := range 4 {
					x, word := o[4+q], from+4*u+q
					if full {
						s.roundWith(x, o[0], o[1])
						upper(x)
						times(x, v, word)
						continue
					}
					VPSLLD(operand.Imm(16), x, o[0])
					times(o[0], v, 2*word)
					upper(x)
					times(x, v, 2*word+1)
				}
			}
		}
	}
	for v := range 2 {
		VADDPS(acc[2*v+1], acc[2*v], acc[2*v])
		VADDPS(at(start, 4*s.w*v), acc[2*v], acc[2*v])
		VMOVUPS(acc[2*v], at(c, 4*s.w*v))
	}
	MOVQ(c, start)
	ADDQ(operand.U32(128), a)
	ADDQ(operand.U32(32*size), b)
	DECQ(groups)
	JNE(operand.LabelRef("group"))
	LDMXCSR(mode)
	VZEROUPPER()
	RET()
}
