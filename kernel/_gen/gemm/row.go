package main

import (
	"fmt"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/bdia-go/bdia/kernel/_gen/avx"
)

// row emits the kernel of a product with one row of A and a B that is stored column by column, as the product of a
// token with a weight. It reads B once, from memory, so nothing of it is packed: columns are transposed in registers,
// as in packColumns, right before they are used. Two vectors of outputs hide the time of a multiply-add. More columns at
// a time would compete for the same cache lines. Pairs of bfloat16 are transposed as if they were floats, and then
// widened.
func (s isa) row(pairs bool) {
	name, typ, each := "gemmRow"+s.name, "float32", 1 // floats that one of 32 bits becomes
	if pairs {
		name, typ, each = "gemmRowHalves"+s.name, "uint16", 2
	}
	TEXT(name, 4, "func(k int, a *float32, b *"+typ+", ld int, s *float32, c *float32)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s computes, for j < %d and k a multiple of %d above 0,", name, 2*s.w, 16*each), "",
		"\tc[j] = s[j]", "\tfor q < k: c[j] = fma(a[q], b[j*ld+q], c[j])", "",
		fmt.Sprintf("and brings the next %d columns of B nearer.", 2*s.w))
	acc := s.reg[len(s.reg)-2:]
	high := s.reg[len(s.reg)-3] // ones in the upper half of each word
	if pairs {
		if s.w == 16 {
			VPTERNLOGD(operand.Imm(0xff), high, high, high)
		} else {
			VPCMPEQD(high, high, high)
		}
		VPSLLD(operand.Imm(16), high, high)
	}
	start := arg("s", reg.R11)
	for v := range acc {
		VMOVUPS(at(start, nil, 0, v*s.w*4), acc[v])
	}
	k, a, b, ld := arg("k", reg.RDX), arg("a", reg.RSI), arg("b", reg.RDI), arg("ld", reg.R8)
	SHLQ(operand.Imm(uint64(3-each)), ld)
	w := walk{ld: ld, ld3: reg.R12, column: reg.R10, next: reg.R13}
	LEAQ(at(ld, ld, 2, 0), w.ld3)
	ahead := reg.R9 // from a column to the one that is read after all these
	MOVQ(ld, ahead)
	SHLQ(operand.Imm(map[int]uint64{16: 5, 8: 4}[s.w]), ahead)
	// multiply adds the product of a[i] and the floats in x, or of a[2*i] and a[2*i+1] and the pairs in x.
	multiply := func(i int, x, acc reg.VecPhysical) {
		if !pairs {
			s.multiply(at(a, nil, 0, 4*i), x, acc)
			return
		}
		low := s.reg[map[int]int{16: 4, 8: 8}[s.w]]
		VPSLLD(operand.Imm(16), x, low)
		s.multiply(at(a, nil, 0, 8*i), low, acc)
		if s.w == 16 {
			VPANDD(high, x, x)
		} else {
			VPAND(high, x, x)
		}
		s.multiply(at(a, nil, 0, 8*i+4), x, acc)
	}
	Label("line")
	step, words := 64, 8 // bytes of each column that the registers hold; words that one transposition finishes
	if s.w == 8 {
		step, words = 32, 4
	}
	for from := 0; from < 64; from += step {
		MOVQ(b, w.column)
		if from == 0 {
			LEAQ(at(b, ahead, 1, 0), w.next)
		}
		for v := range acc {
			s.readColumns(w, from)
			for h := range step / (4 * words) {
				for i, x := range s.turned(h) {
					multiply(from/4+h*words+i, x, acc[v])
				}
			}
		}
	}
	ADDQ(operand.Imm(uint64(64*each)), a)
	ADDQ(operand.Imm(64), b)
	SUBQ(operand.Imm(uint64(16*each)), k)
	JNE(operand.LabelRef("line"))
	c := arg("c", reg.R11)
	for v := range acc {
		VMOVUPS(acc[v], at(c, nil, 0, v*s.w*4))
	}
	VZEROUPPER()
	RET()
}

// walk are the registers by which columns of B are read, four by four.
type walk struct {
	ld, ld3      reg.GPPhysical // bytes from a column to the next, and three times as many
	column, next reg.GPPhysical // a column, and the one to bring nearer
}

// readColumns reads bytes of as many columns as a vector has floats, from the given one on, for turned; and moves on.
// With the first byte of a line, it brings a line nearer.
func (s isa) readColumns(w walk, from int) {
	for j := range s.w {
		of := func(base reg.GPPhysical, disp int) operand.Mem {
			switch j % 4 {
			case 0:
				return at(base, nil, 0, disp)
			case 3:
				return at(base, w.ld3, 1, disp)
			}
			return at(base, w.ld, uint8(j%4), disp)
		}
		if from == 0 {
			PREFETCHT1(of(w.next, 0))
		}
		if s.w == 8 {
			for h := range 2 {
				avx.Lane(s.reg, j/4, of(w.column, from+16*h), 4*h+j%4)
			}
		} else {
			for h := range 2 {
				if v, m := 8*h+j/8*4+j%4, of(w.column, 32*h); j%8 < 4 {
					VMOVUPS(m, s.reg[v].(reg.Vec).AsY())
				} else {
					VINSERTF64X4(operand.Imm(1), m, s.reg[v], s.reg[v])
				}
			}
		}
		if j%4 == 3 {
			LEAQ(at(w.column, w.ld, 4, 0), w.column)
			if from == 0 {
				LEAQ(at(w.next, w.ld, 4, 0), w.next)
			}
		}
	}
}

// turned transposes what readColumns has read: 4 words of each column, or 8 of AVX-512; h counts them. It leaves
// registers 4 to 7 of AVX-512 free, 8 to 11 of AVX2.
func (s isa) turned(h int) []reg.VecPhysical {
	if s.w == 8 {
		t := s.reg[4*h : 4*h+4]
		avx.Turn(t, s.reg[8:], t)
		return t
	}
	t, o := s.reg[8*h:8*h+8], s.reg[16:20]
	avx.Turn(t, o, t)
	avx.Turn(t[4:], o, t[4:])
	for q := range 4 {
		VSHUFF32X4(operand.Imm(0x88), t[4+q], t[q], o[q])
		VSHUFF32X4(operand.Imm(0xdd), t[4+q], t[q], t[q])
	}
	return slices.Concat(o, t[:4])
}

// multiply adds the product of the float at m and those in x to acc. It clobbers register 9 of AVX2.
func (s isa) multiply(m operand.Mem, x, acc reg.VecPhysical) {
	if s.w == 16 {
		VFMADD231PS_BCST(m, x, acc)
		return
	}
	VBROADCASTSS(m, s.reg[9])
	VFMADD231PS(s.reg[9], x, acc)
}
