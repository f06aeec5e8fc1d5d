package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The assembler knows no instruction of the matrix units, so their bytes are written out. All of them are VEX.128.0F38.W0.

const (
	ppNone = iota
	pp66
	ppF3
	ppF2
)

func emit(bytes ...int) {
	for _, b := range bytes {
		Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []operand.Op{operand.U8(uint8(b))}})
	}
}

// vex is the prefix of an instruction with the register numbers of its fields reg, index and base, and operand v.
func vex(r, index, base, v, pp int) []int {
	return []int{0xc4, (r>>3^1)<<7 | (index>>3^1)<<6 | (base>>3^1)<<5 | 2, (v^15)<<3 | pp}
}

func number(r reg.GPPhysical) int { return int(r.PhysicalIndex()) }

// tileMemory emits the move of a tile from or to the rows at base + disp + i*stride.
func tileMemory(pp, tile int, base, stride reg.GPPhysical, disp int) {
	b, x := number(base), number(stride)
	emit(vex(tile, x, b, 0, pp)...)
	emit(0x4b, 0x80|tile<<3|4, x&7<<3|b&7, disp&255, disp>>8&255, disp>>16&255, disp>>24&255)
}

func tileLoad(tile int, base, stride reg.GPPhysical, disp int) {
	tileMemory(ppF2, tile, base, stride, disp)
}
func tileStore(tile int, base, stride reg.GPPhysical, disp int) {
	tileMemory(ppF3, tile, base, stride, disp)
}

// tileProduct emits c += a*b.
func tileProduct(c, a, b int) {
	emit(vex(c, 0, a, b, ppF3)...)
	emit(0x5c, 0xc0|c<<3|a)
}

// tileConfig emits the instruction that sets the shapes of all tiles from memory.
func tileConfig(base reg.GPPhysical) {
	emit(vex(0, 0, number(base), 0, ppNone)...)
	emit(0x49, number(base)&7)
}

func tileZero(tile int) {
	emit(vex(tile, 0, 0, 0, ppF2)...)
	emit(0x49, 0xc0|tile<<3)
}

func tileRelease() {
	emit(vex(0, 0, 0, 0, ppNone)...)
	emit(0x49, 0xc0)
}

// ahead is how many groups of B before their use they are brought to the first-level cache.
const ahead = 1

// tileKernel emits the kernel of 32 rows by some panels of 32 columns. Offsets are those of kernel.tileArgs.
func tileKernel() {
	TEXT("gemm16Tiles", 4, "func(args *byte)")
	Pragma("noescape")
	Doc("gemm16Tiles computes 32 rows of some panels of 32 columns: see tileArgs.")
	LEAQ(operand.NewDataAddr(operand.NewStaticSymbol("gemm16Shapes"), 0), reg.RAX)
	tileConfig(reg.RAX)
	args := arg("args", reg.RDI)
	get := func(disp int, r reg.GPPhysical) reg.GPPhysical {
		MOVQ(at(args, disp), r)
		return r
	}
	as, ag, b, panels := get(8, reg.R8), get(16, reg.R9), get(24, reg.RBX), get(40, reg.RDX)
	s, ss, c, cs := get(56, reg.R10), get(64, reg.R11), get(80, reg.R12), get(88, reg.R13)
	row, groups, high, low, far, pf := reg.RAX, reg.RCX, reg.RSI, reg.RDI, reg.R14, reg.R15
	MOVQ(operand.U32(64), row)

	Label("panel")
	arg("args", args)
	get(0, high)
	get(32, groups)
	MOVQ(ss, far)
	SHLQ(operand.Imm(4), far)
	ADDQ(s, far)
	tileLoad(0, s, ss, 0)
	tileLoad(1, s, ss, 64)
	tileLoad(2, far, ss, 0)
	tileLoad(3, far, ss, 64)
	MOVQ(as, low)
	SHLQ(operand.Imm(4), low)
	ADDQ(high, low)
	MOVQ(b, far)
	MOVQ(c, pf)
	prefetch := func() {
		for range 2 {
			PREFETCHT0(at(pf, 128))
			PREFETCHT0(at(pf, 192))
			ADDQ(cs, pf)
		}
	}
	Label("group")
	tileMemory(pp66, 6, far, row, 0)
	tileLoad(4, high, as, 0)
	tileLoad(5, low, as, 0)
	tileProduct(0, 4, 6)
	tileProduct(2, 5, 6)
	tileMemory(pp66, 7, far, row, tileBytes)
	tileProduct(1, 4, 7)
	tileProduct(3, 5, 7)
	prefetch()
	ADDQ(ag, high)
	ADDQ(ag, low)
	ADDQ(operand.U32(groupBytes), far)
	DECQ(groups)
	JNE(operand.LabelRef("group"))
	MOVQ(cs, far)
	SHLQ(operand.Imm(4), far)
	ADDQ(c, far)
	tileStore(0, c, cs, 0)
	tileStore(1, c, cs, 64)
	tileStore(2, far, cs, 0)
	tileStore(3, far, cs, 64)
	arg("args", args)
	ADDQ(at(args, 48), b)
	ADDQ(at(args, 72), s)
	ADDQ(operand.U32(128), c)
	DECQ(panels)
	JNE(operand.LabelRef("panel"))
	tileRelease()
	RET()
}

// peakTiles is the number of products in a round of the peak loop.
const peakTiles = 4

// tilePeak emits the loop that measures the limit of the matrix unit: products of tiles in registers.
func tilePeak() {
	TEXT("gemm16Peak", 4, "func(n int)")
	Doc("gemm16Peak runs n rounds of 4 independent products of tiles of zeros.")
	LEAQ(operand.NewDataAddr(operand.NewStaticSymbol("gemm16Shapes"), 0), reg.RAX)
	tileConfig(reg.RAX)
	for t := range 8 {
		tileZero(t)
	}
	n := arg("n", reg.RCX)
	Label("round")
	for c := range peakTiles {
		tileProduct(c, 4+c/2, 6+c%2)
	}
	DECQ(n)
	JNE(operand.LabelRef("round"))
	tileRelease()
	RET()
}
