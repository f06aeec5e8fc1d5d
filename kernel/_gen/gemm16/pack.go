package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// pack emits the packer of 32 rows, or columns, of an operand whose rows lie along k or across it, to tiles of A or B.
func (s isa) pack(along, full, toA bool) {
	name := fmt.Sprintf("gemm16Pack%s%s%s%s", map[bool]string{true: "Along", false: "Across"}[along],
		map[bool]string{true: "Full", false: "Half"}[full], map[bool]string{true: "A", false: "B"}[toA], s.name)
	TEXT(name, 4, "func(dst *uint16, dstStep int, src *byte, srcStep int, ld int, n int)")
	Pragma("noescape")
	index := "src[i*ld+k]"
	if !along {
		index = "src[k*ld+i]"
	}
	place := "dst[i*32+k]"
	if !toA {
		place = "dst[i/16*512+k/2*32+i%16*2+k%2]"
	}
	Doc(fmt.Sprintf("%s packs groups of 32 k for 32 lines, n times. For i < 32 and k < 32:", name), "",
		fmt.Sprintf("\t%s = %s", place, index), "",
		fmt.Sprintf("where src holds %s, and then dst and src go on; ld and steps are in bytes.",
			map[bool]string{true: "float32, which are rounded,", false: "bfloat16"}[full]))
	size := 2
	if full {
		size = 4
	}
	dst, dstStep, src, srcStep := arg("dst", reg.RDI), arg("dstStep", reg.RBX), arg("src", reg.RSI), arg("srcStep", reg.R10)
	ld, n := arg("ld", reg.R8), arg("n", reg.RDX)
	half := reg.R9 // what brings src to the other half
	if along {
		MOVQ(ld, half)
		SHLQ(operand.Imm(4), half)
	} else {
		MOVQ(operand.U32(16*size), half)
	}
	SUBQ(half, srcStep)
	SUBQ(half, srcStep)
	SUBQ(operand.U32(groupBytes), dstStep)
	Label("group")
	MOVQ(operand.U32(2), reg.RCX)
	Label("half")
	for i := 0; i < 16; i += s.w { // of the lines
		for p := 0; p < 16; p += s.w { // of the pairs of k
			row := reg.R11
			MOVQ(src, row)
			if along {
				for range i {
					ADDQ(ld, row)
				}
				ADDQ(operand.U32(2*p*size), row)
			} else {
				for range 2 * p {
					ADDQ(ld, row)
				}
				ADDQ(operand.U32(i*size), row)
			}
			for r := range s.w {
				if along {
					s.pairsAlong(row, full, r)
				} else {
					s.pairsAcross(row, ld, full, r)
				}
				if r+1 < s.w || !along {
					ADDQ(ld, row)
				}
			}
			out := s.reg[:s.w]
			if along != toA {
				out = s.transpose()
			}
			for r, v := range out {
				if toA {
					VMOVUPS(v, at(dst, (i+r)*64+4*p))
				} else {
					VMOVUPS(v, at(dst, (p+r)*64+4*i))
				}
			}
		}
	}
	ADDQ(half, src)
	ADDQ(operand.U32(tileBytes), dst)
	DECQ(reg.RCX)
	JNE(operand.LabelRef("half"))
	ADDQ(srcStep, src)
	ADDQ(dstStep, dst)
	DECQ(n)
	JNE(operand.LabelRef("group"))
	VZEROUPPER()
	RET()
}

// pairsAlong reads a vector of pairs that lie side by side to register r.
func (s isa) pairsAlong(row reg.Register, full bool, r int) {
	d := s.reg[r]
	if !full {
		VMOVUPS(at(row, 0), d)
		return
	}
	u, t := s.reg[s.w], s.reg[s.w+1]
	VMOVUPS(at(row, 0), d)
	VMOVUPS(at(row, 4*s.w), u)
	s.round(d, t)
	s.round(u, t)
	if s.w == 16 {
		VMOVDQU64(constant(cUppers), t)
		VPERMI2W(u, d, t)
		VMOVDQA64(t, d)
		return
	}
	VPSRLD(operand.Imm(16), d, d)
	VPSRLD(operand.Imm(16), u, u)
	VPACKUSDW(u, d, d)
	VPERMQ(operand.Imm(0xd8), d, d)
}

// pairsAcross reads a vector of pairs from two rows to register r, and leaves row at the second.
func (s isa) pairsAcross(row, ld reg.Register, full bool, r int) {
	d, u, t := s.reg[r], s.reg[s.w], s.reg[s.w+1]
	if !full {
		VPMOVZXWD(at(row, 0), d)
		ADDQ(ld, row)
		VPMOVZXWD(at(row, 0), u)
		VPSLLD(operand.Imm(16), u, u)
	} else {
		VMOVUPS(at(row, 0), d)
		ADDQ(ld, row)
		VMOVUPS(at(row, 0), u)
		s.round(d, t)
		s.round(u, t)
		VPSRLD(operand.Imm(16), d, d)
		if s.w == 16 {
			VPANDD(constant(cUpper), u, u)
		} else {
			VPAND(constant(cUpper), u, u)
		}
	}
	if s.w == 16 {
		VPORD(u, d, d)
	} else {
		VPOR(u, d, d)
	}
}

// round rounds the floats x to bfloat16, in their upper halves. It clobbers t, and K1 or register w+2.
func (s isa) round(x, t reg.VecPhysical) { s.roundWith(x, t, s.reg[s.w+2]) }

// roundWith is round; it clobbers t, and K1 or nan.
func (s isa) roundWith(x, t, nan reg.VecPhysical) {
	VPSRLD(operand.Imm(16), x, t)
	if s.w == 16 {
		VPANDD(constant(cOne), t, t)
		VPADDD(constant(cHalf), t, t)
		VCMPPS(operand.Imm(3), x, x, reg.K1) // NaN
		VPADDD(x, t, t)
		VPORD(constant(cQuiet), x, reg.K1, t)
		VMOVDQA64(t, x)
		return
	}
	VPAND(constant(cOne), t, t)
	VPADDD(constant(cHalf), t, t)
	VCMPPS(operand.Imm(3), x, x, nan)
	VPADDD(x, t, t)
	VPOR(constant(cQuiet), x, x)
	VBLENDVPS(nan, x, t, x)
}

// transpose transposes the words of the first registers, as many as a vector holds, and returns where they are.
func (s isa) transpose() []reg.VecPhysical {
	a, b := s.reg[:s.w], s.reg[s.w:2*s.w]
	for r := 0; r < s.w; r += 2 {
		VUNPCKLPS(a[r+1], a[r], b[r])
		VUNPCKHPS(a[r+1], a[r], b[r+1])
	}
	for r := 0; r < s.w; r += 4 { // a[r+q] has words q of each 128 bits of four rows
		VUNPCKLPD(b[r+2], b[r], a[r])
		VUNPCKHPD(b[r+2], b[r], a[r+1])
		VUNPCKLPD(b[r+3], b[r+1], a[r+2])
		VUNPCKHPD(b[r+3], b[r+1], a[r+3])
	}
	if s.w == 8 {
		for q := range 4 {
			VPERM2F128(operand.Imm(0x20), a[4+q], a[q], b[q])
			VPERM2F128(operand.Imm(0x31), a[4+q], a[q], b[4+q])
		}
		return b
	}
	for q := range 4 {
		VSHUFF32X4(operand.Imm(0x88), a[4+q], a[q], b[q])       // lanes 0, 2 of rows 0 to 7
		VSHUFF32X4(operand.Imm(0xdd), a[4+q], a[q], b[4+q])     // lanes 1, 3
		VSHUFF32X4(operand.Imm(0x88), a[12+q], a[8+q], b[8+q])  // the same of rows 8 to 15
		VSHUFF32X4(operand.Imm(0xdd), a[12+q], a[8+q], b[12+q]) //
	}
	for q := range 4 {
		VSHUFF32X4(operand.Imm(0x88), b[8+q], b[q], a[q])
		VSHUFF32X4(operand.Imm(0x88), b[12+q], b[4+q], a[4+q])
		VSHUFF32X4(operand.Imm(0xdd), b[8+q], b[q], a[8+q])
		VSHUFF32X4(operand.Imm(0xdd), b[12+q], b[4+q], a[12+q])
	}
	return a
}
