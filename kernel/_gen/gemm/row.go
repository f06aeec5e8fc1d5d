package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// row emits the kernel of a product with one row of A and a B that is stored column by column, as the product of a
// token with a weight. It reads B once, from memory, so nothing of it is packed: columns are transposed in registers,
// as in packColumns, right before they are used. Two vectors of outputs hide the time of a multiply-add.
func (s isa) row() {
	name := "gemmRow" + s.name
	TEXT(name, 4, "func(k int, a *float32, b *float32, ld int, s *float32, c *float32)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s computes, for j < %d and k a multiple of 16 above 0,", name, 2*s.w), "",
		"\tc[j] = s[j]", "\tfor q < k: c[j] = fma(a[q], b[j*ld+q], c[j])", "",
		fmt.Sprintf("and brings the next %d columns of B nearer.", 2*s.w))
	groups := s.w / 4 // of 4 floats of each column, between two transpositions: as many as the registers hold
	if s.w == 8 {
		groups = 1
	}
	acc := s.reg[len(s.reg)-2:]
	x := s.reg[len(s.reg)-3] // AVX2: an element of A
	start := arg("s", reg.R11)
	for v := range acc {
		VMOVUPS(at(start, nil, 0, v*s.w*4), acc[v])
	}
	k, a, b, ld := arg("k", reg.RDX), arg("a", reg.RSI), arg("b", reg.RDI), arg("ld", reg.R8)
	SHLQ(operand.Imm(2), ld)
	next := reg.R9 // from a column to the one that is read after 2w others
	MOVQ(ld, next)
	SHLQ(operand.Imm(map[int]uint64{16: 5, 8: 4}[s.w]), next)
	column := reg.R10
	Label("sixteen")
	for g := 0; g < 4; g += groups {
		MOVQ(b, column)
		for v := range acc {
			for j := range s.w {
				lane, q := j/4, j%4
				if g == 0 {
					PREFETCHT1(at(column, next, 1, 0))
				}
				for u := range groups {
					s.lane(lane, at(column, nil, 0, 16*(g+u)), 4*u+q)
				}
				ADDQ(ld, column)
			}
			for u := range groups {
				o := s.reg[4*groups:]
				turn(s.reg[4*u:], o)
				for q := range 4 {
					m := at(a, nil, 0, 4*(4*(g+u)+q))
					if s.w == 16 {
						VFMADD231PS_BCST(m, o[4+q], acc[v])
					} else {
						VBROADCASTSS(m, x)
						VFMADD231PS(x, o[4+q], acc[v])
					}
				}
			}
		}
	}
	ADDQ(operand.Imm(64), a)
	ADDQ(operand.Imm(64), b)
	SUBQ(operand.Imm(16), k)
	JNE(operand.LabelRef("sixteen"))
	c := arg("c", reg.R11)
	for v := range acc {
		VMOVUPS(acc[v], at(c, nil, 0, v*s.w*4))
	}
	VZEROUPPER()
	RET()
}
