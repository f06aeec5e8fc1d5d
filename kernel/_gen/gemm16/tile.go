package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tile emits the kernel of mr rows by two vectors of C, from operands widened to float32.
func (s isa) tile(mr int) {
	const unroll = 8 // of k
	name := fmt.Sprintf("gemm16Tile%sx%d", s.name, mr)
	TEXT(name, 4, "func(groups int, a *float32, as int, b *float32, s *float32, ss int, c *float32, cs int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s computes, for i < %d and j < %d,", name, mr, 2*s.w), "",
		"\tc[i*cs+j] = s[i*ss+j]",
		"\tfor each group of 32 k: c[i*cs+j] += sum over even k of a[i*as+k]*b[k*32+j] + sum over odd k of the same", "",
		"with every sum of a group a chain of fma from 0, and subnormals taken as zeros.")
	acc := func(i, v, odd int) reg.VecPhysical { return s.reg[(2*i+v)*2+odd] }
	free := s.reg[4*s.mr:]
	bv, bc := free[:2], free[2]

	mode := AllocLocal(16)
	STMXCSR(mode)
	MOVL(operand.U32(0x9fc0), mode.Offset(8)) // flush to zero, subnormals are zeros, no exceptions
	LDMXCSR(mode.Offset(8))

	groups, a, as, b := arg("groups", reg.RCX), arg("a", reg.RSI), arg("as", reg.R8), arg("b", reg.RDI)
	start, ss, c, cs := arg("s", reg.R10), arg("ss", reg.R11), arg("c", reg.R12), arg("cs", reg.R13)
	SHLQ(operand.Imm(2), as)
	SHLQ(operand.Imm(2), ss)
	SHLQ(operand.Imm(2), cs)
	as3, far := reg.RAX, reg.RBX
	LEAQ(plus(as, as, 2, 0), as3)
	rows := []reg.Register{a}
	if mr > 5 {
		LEAQ(plus(a, as, 4, 0), far)
		ADDQ(as, far)
		rows = append(rows, far)
	}
	elem := func(i, k int) operand.Mem {
		m := times(rows[i/5], as, as3, i%5)
		m.Disp = 4 * k
		return m
	}

	Label("group")
	for _, r := range s.reg[:4*mr] {
		VXORPS(r, r, r)
	}
	steps := reg.RDX
	MOVQ(operand.U32(32/unroll), steps)
	Label("step")
	for k := range unroll {
		for v := range bv {
			VMOVUPS(at(b, 128*k+4*s.w*v), bv[v])
		}
		for i := range mr {
			VBROADCASTSS(elem(i, k), bc)
			for v := range bv {
				VFMADD231PS(bc, bv[v], acc(i, v, k%2))
			}
		}
	}
	ADDQ(operand.U32(128*unroll), b)
	for _, r := range rows {
		ADDQ(operand.Imm(4*unroll), r)
	}
	DECQ(steps)
	JNE(operand.LabelRef("step"))

	from, to := reg.R9, reg.RDX
	MOVQ(start, from)
	MOVQ(c, to)
	for i := range mr {
		for v := range bv {
			VADDPS(acc(i, v, 1), acc(i, v, 0), acc(i, v, 0))
			VADDPS(at(from, 4*s.w*v), acc(i, v, 0), acc(i, v, 0))
			VMOVUPS(acc(i, v, 0), at(to, 4*s.w*v))
		}
		if i+1 < mr {
			ADDQ(ss, from)
			ADDQ(cs, to)
		}
	}
	MOVQ(c, start) // the next group goes on from there
	MOVQ(cs, ss)
	DECQ(groups)
	JNE(operand.LabelRef("group"))
	LDMXCSR(mode)
	VZEROUPPER()
	RET()
}

// times is the memory at base + n*stride for n up to 4, given the stride and three times the stride.
func times(base, stride, stride3 reg.Register, n int) operand.Mem {
	if n == 3 {
		return plus(base, stride3, 1, 0)
	}
	return plus(base, stride, uint8(n), 0)
}

// widenA emits the kernel that widens tiles of A to rows of float32.
func (s isa) widenA() {
	name := "gemm16WidenA" + s.name
	TEXT(name, 4, "func(dst *float32, ld int, src *uint16, groups int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s widens 32 rows of packed A. For i < 32 and k < 32*groups:", name), "",
		"\tdst[i*ld+k] = src[k/32*1024+i*32+k%32]")
	dst, ld, src, groups := arg("dst", reg.RDI), arg("ld", reg.R8), arg("src", reg.RSI), arg("groups", reg.RDX)
	SHLQ(operand.Imm(2), ld)
	Label("group")
	MOVQ(dst, reg.R9)
	MOVQ(operand.U32(32), reg.RCX)
	Label("row")
	for i := 0; i < 32; i += s.w {
		r := s.reg[i/s.w]
		VPMOVZXWD(at(src, 2*i), r)
		VPSLLD(operand.Imm(16), r, r)
		VMOVUPS(r, at(reg.R9, 4*i))
	}
	ADDQ(operand.U32(64), src)
	ADDQ(ld, reg.R9)
	DECQ(reg.RCX)
	JNE(operand.LabelRef("row"))
	ADDQ(operand.U32(128), dst)
	DECQ(groups)
	JNE(operand.LabelRef("group"))
	VZEROUPPER()
	RET()
}

// widenB emits the kernel that widens tiles of B to rows of 32 float32.
func (s isa) widenB() {
	name := "gemm16WidenB" + s.name
	TEXT(name, 4, "func(dst *float32, src *uint16, groups int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s widens 32 columns of packed B. For k < 32*groups and j < 32:", name), "",
		"\tdst[k*32+j] = src[k/32*1024+j/16*512+k%32/2*32+j%16*2+k%2]")
	dst, src, groups := arg("dst", reg.RDI), arg("src", reg.RSI), arg("groups", reg.RDX)
	Label("group")
	MOVQ(operand.U32(16), reg.RCX)
	Label("pair")
	for j := 0; j < 32; j += s.w {
		even, odd := s.reg[2*(j/s.w)], s.reg[2*(j/s.w)+1]
		VMOVUPS(at(src, j/16*tileBytes+j%16*4), odd)
		VPSLLD(operand.Imm(16), odd, even)
		if s.w == 16 {
			VPANDD(constant(cUpper), odd, odd)
		} else {
			VPAND(constant(cUpper), odd, odd)
		}
		VMOVUPS(even, at(dst, 4*j))
		VMOVUPS(odd, at(dst, 128+4*j))
	}
	ADDQ(operand.U32(64), src)
	ADDQ(operand.U32(256), dst)
	DECQ(reg.RCX)
	JNE(operand.LabelRef("pair"))
	ADDQ(operand.U32(groupBytes-tileBytes), src)
	DECQ(groups)
	JNE(operand.LabelRef("group"))
	VZEROUPPER()
	RET()
}

// narrow emits the kernel that rounds rows of outputs to bfloat16.
func (s isa) narrow() {
	name := "gemm16Narrow" + s.name
	TEXT(name, 4, "func(dst *uint16, ld int, src *float32, ls int, rows int, n int)")
	Pragma("noescape")
	Doc(fmt.Sprintf("%s rounds to bfloat16. For i < rows and j < n, a multiple of 32:", name), "",
		"\tdst[i*ld+j] = src[i*ls+j]")
	dst, ld, src, ls, rows := arg("dst", reg.RDI), arg("ld", reg.R8), arg("src", reg.RSI), arg("ls", reg.R9), arg("rows", reg.RDX)
	SHLQ(operand.Imm(1), ld)
	SHLQ(operand.Imm(2), ls)
	Label("row")
	n := arg("n", reg.RCX)
	MOVQ(src, reg.R10)
	MOVQ(dst, reg.R11)
	Label("some")
	for i := 0; i < 32; i += 2 * s.w {
		s.pairsAlong(reg.R10, true, 0)
		VMOVUPS(s.reg[0], at(reg.R11, 2*i))
		ADDQ(operand.U32(8*s.w), reg.R10)
	}
	ADDQ(operand.U32(64), reg.R11)
	SUBQ(operand.U32(32), n)
	JNE(operand.LabelRef("some"))
	ADDQ(ls, src)
	ADDQ(ld, dst)
	DECQ(rows)
	JNE(operand.LabelRef("row"))
	VZEROUPPER()
	RET()
}
