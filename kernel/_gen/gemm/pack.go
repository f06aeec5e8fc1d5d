package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/bdia-go/bdia/kernel/_gen/avx"
)

// packRows emits the packer of a panel of B that is stored row by row.
func (s isa) packRows() {
	name := "gemmPackRows" + s.name
	TEXT(name, 4, "func(dst *float32, src *float32, ld int, rows int, n int, m int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s copies rows of %d floats, of which the first vector has n and the second", name, 2*s.w),
		"m; the rest becomes zero. For r < rows:", "",
		fmt.Sprintf("\tdst[r*%d+j] = src[r*ld+j]", 2*s.w))
	r := s.reg
	laneMask(s, arg("n", reg.RCX), r[2], reg.K1)
	laneMask(s, arg("m", reg.RCX), r[3], reg.K2)
	dst, src, ld, rows := arg("dst", reg.RDI), arg("src", reg.RSI), arg("ld", reg.R8), arg("rows", reg.RDX)
	SHLQ(operand.Imm(2), ld)
	MOVQ(ld, reg.R9)
	SHLQ(operand.Imm(4), reg.R9) // 16 rows
	Label("row")
	for v := range 2 {
		m := at(src, nil, 0, v*s.w*4)
		PREFETCHT0(at(src, reg.R9, 1, v*s.w*4))
		if s.w == 16 {
			VMOVUPS_Z(m, []reg.Register{reg.K1, reg.K2}[v], r[v])
		} else {
			VMASKMOVPS(m, r[2+v], r[v])
		}
		VMOVUPS(r[v], at(dst, nil, 0, v*s.w*4))
	}
	ADDQ(ld, src)
	ADDQ(operand.U32(8*s.w), dst)
	DECQ(rows)
	JNE(operand.LabelRef("row"))
	VZEROUPPER()
	RET()
}

// packHalves emits the packer of a panel of B that is stored row by row in bfloat16.
func (s isa) packHalves() {
	name := "gemmPackHalves" + s.name
	TEXT(name, 4, "func(dst *float32, src *uint16, ld int, rows int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s widens rows of %d bfloat16. For r < rows:", name, 2*s.w), "",
		fmt.Sprintf("\tdst[r*%d+j] = src[r*ld+j]", 2*s.w))
	r := s.reg
	dst, src, ld, rows := arg("dst", reg.RDI), arg("src", reg.RSI), arg("ld", reg.R8), arg("rows", reg.RDX)
	SHLQ(operand.Imm(1), ld)
	MOVQ(ld, reg.R9)
	SHLQ(operand.Imm(4), reg.R9) // 16 rows
	Label("row")
	PREFETCHT0(at(src, reg.R9, 1, 0))
	for v := range 2 {
		VPMOVZXWD(at(src, nil, 0, v*s.w*2), r[v])
		VPSLLD(operand.Imm(16), r[v], r[v])
		VMOVUPS(r[v], at(dst, nil, 0, v*s.w*4))
	}
	ADDQ(ld, src)
	ADDQ(operand.U32(8*s.w), dst)
	DECQ(rows)
	JNE(operand.LabelRef("row"))
	VZEROUPPER()
	RET()
}

// packColumns emits the packer of half a panel of B that is stored column by
// column: a transposition in registers. A vector holds 4 floats along k of each
// of its lanes' rows; transposing 4 by 4 within the 128-bit lanes finishes it.
// Pairs of bfloat16 are transposed as if they were floats, and then widened.
func (s isa) packColumns(pairs bool) {
	name, what, typ := "gemmPackColumns"+s.name, "4*fours floats", "float32"
	if pairs {
		name, what, typ = "gemmPackPairs"+s.name, "8*fours bfloat16, widened,", "uint16"
	}
	TEXT(name, 4, "func(dst *float32, src *"+typ+", ld int, fours int, n int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s copies %s of each of n <= %d columns; where n is less, the last", name, what, s.w),
		"column fills the rest. For all k of a column:", "",
		fmt.Sprintf("\tdst[k*%d+j] = src[min(j,n-1)*ld+k]", 2*s.w))
	dst, src, ld := arg("dst", reg.RDI), arg("src", reg.RSI), arg("ld", reg.R8)
	fours, n := arg("fours", reg.RDX), arg("n", reg.RCX)
	if pairs {
		SHLQ(operand.Imm(1), ld)
	} else {
		SHLQ(operand.Imm(2), ld)
	}
	XORQ(reg.RBX, reg.RBX)
	most := s.w / 4 // groups of 4 at a time
	SUBQ(operand.Imm(uint64(most)), fours)
	JLT(operand.LabelRef("rest"))
	Label("many")
	s.transpose(most, dst, src, ld, n, pairs)
	SUBQ(operand.Imm(uint64(most)), fours)
	JGE(operand.LabelRef("many"))
	Label("rest")
	ADDQ(operand.Imm(uint64(most)), fours)
	JEQ(operand.LabelRef("done"))
	Label("one")
	s.transpose(1, dst, src, ld, n, pairs)
	DECQ(fours)
	JNE(operand.LabelRef("one"))
	Label("done")
	VZEROUPPER()
	RET()
}

// transpose moves 4*groups floats of each column and advances dst and src. It
// clobbers R9 and R10 and expects zero in RBX.
func (s isa) transpose(groups int, dst, src, ld, n reg.GPPhysical, pairs bool) {
	each := 1 // floats that one of 32 bits becomes
	if pairs {
		each = 2
	}
	row, step := reg.R9, reg.R10
	MOVQ(src, row)
	MOVQ(ld, step)
	for j := range s.w {
		lane, q := j/4, j%4
		for u := range groups {
			avx.Lane(s.reg, lane, at(row, nil, 0, 16*u), 4*u+q)
		}
		if j+1 < s.w {
			CMPQ(n, operand.Imm(uint64(j+1)))
			CMOVQLE(reg.RBX, step)
			ADDQ(step, row)
		}
	}
	for u := range groups {
		t, o := s.reg[4*u:], s.reg[len(s.reg)/2:]
		avx.Turn(t, o, o[4:])
		for k := range 4 {
			row := (4*u + k) * 8 * s.w * each
			if pairs {
				VPSLLD(operand.Imm(16), o[4+k], o[0])
				VMOVUPS(o[0], at(dst, nil, 0, row))
				VPSRLD(operand.Imm(16), o[4+k], o[4+k])
				VPSLLD(operand.Imm(16), o[4+k], o[4+k])
				row += 8 * s.w
			}
			VMOVUPS(o[4+k], at(dst, nil, 0, row))
		}
	}
	ADDQ(operand.Imm(uint64(16*groups)), src)
	ADDQ(operand.U32(32*s.w*groups*each), dst)
}

// packTiles emits the packer of A for the transposed layout.
func (s isa) packTiles() {
	name := "gemmPackTiles" + s.name
	TEXT(name, 4, "func(dst *float32, ts int, src *float32, ld int, rows int, tiles int, n int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s cuts rows into tiles of n <= %d floats, padded with zeros. For r < rows, t < tiles:", name, s.w), "",
		fmt.Sprintf("\tdst[t*ts+r*%d+i] = src[r*ld+t*n+i]", s.w))
	r := s.reg
	laneMask(s, arg("n", reg.RCX), r[2], reg.K1)
	dst, ts, src, ld := arg("dst", reg.RDI), arg("ts", reg.R9), arg("src", reg.RSI), arg("ld", reg.R8)
	rows, n := arg("rows", reg.RDX), arg("n", reg.RCX)
	SHLQ(operand.Imm(2), ld)
	SHLQ(operand.Imm(2), ts)
	SHLQ(operand.Imm(2), n)
	MOVQ(ld, reg.R13)
	SHLQ(operand.Imm(4), reg.R13)
	Label("row")
	MOVQ(src, reg.R10)
	MOVQ(dst, reg.R11)
	tiles := arg("tiles", reg.R12)
	Label("tile")
	if s.w == 16 {
		VMOVUPS_Z(at(reg.R10, nil, 0, 0), reg.K1, r[0])
	} else {
		VMASKMOVPS(at(reg.R10, nil, 0, 0), r[2], r[0])
	}
	PREFETCHT0(at(reg.R10, reg.R13, 1, 0))
	VMOVUPS(r[0], at(reg.R11, nil, 0, 0))
	ADDQ(n, reg.R10)
	ADDQ(ts, reg.R11)
	DECQ(tiles)
	JNE(operand.LabelRef("tile"))
	ADDQ(ld, src)
	ADDQ(operand.Imm(uint64(4*s.w)), dst)
	DECQ(rows)
	JNE(operand.LabelRef("row"))
	VZEROUPPER()
	RET()
}

// sumColumns emits the kernels of sums over rows: four vectors of columns at a
// time, or the first n lanes of one.
func (s isa) sumColumns(vecs int) {
	name := fmt.Sprintf("gemmSumColumns%sx%d", s.name, vecs)
	masked := vecs == 1
	TEXT(name, 4, "func(sum *float32, src *float32, ld int, rows int, n int)")
	Pragma("noescape")
	width := fmt.Sprint(vecs * s.w)
	if masked {
		width = "n"
	}
	Doc(fmt.Sprintf("%s adds up columns, rows ascending. For r < rows, j < %s:", name, width), "", "\tsum[j] += src[r*ld+j]")
	t := access{s: s, mask: s.reg[len(s.reg)-1], last: -1}
	if masked {
		t.last = 0
		t.setMask()
	}
	sum, src, ld, rows := arg("sum", reg.RDI), arg("src", reg.RSI), arg("ld", reg.R8), arg("rows", reg.RDX)
	SHLQ(operand.Imm(2), ld)
	r := s.reg
	for v := range vecs {
		t.load(v, at(sum, nil, 0, v*s.w*4), r[v])
	}
	Label("row")
	for v := range vecs {
		t.load(v, at(src, nil, 0, v*s.w*4), r[vecs+v])
		VADDPS(r[vecs+v], r[v], r[v])
	}
	ADDQ(ld, src)
	DECQ(rows)
	JNE(operand.LabelRef("row"))
	for v := range vecs {
		t.store(v, r[v], at(sum, nil, 0, v*s.w*4))
	}
	VZEROUPPER()
	RET()
}
