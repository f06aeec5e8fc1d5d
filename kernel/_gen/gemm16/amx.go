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

// tileLoadOnce is tileLoad of what is not needed again soon: it does not displace other lines of the first-level cache.
func tileLoadOnce(tile int, base, stride reg.GPPhysical, disp int) {
	tileMemory(pp66, tile, base, stride, disp)
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

// Offsets in kernel.tileArgs.
const (
	argA = 8 * iota
	argAS
	argAG
	argB
	argGroups
	argPanels
	argBP
	argS
	argSS
	argSP
	argC
	argCS
	argCP
	argNext
	argNextRow
	argNextGroup
	argOut
	argOutRow
	argOutPanel
)

// writer is what becomes of the outputs of a panel.
type writer string

const (
	toTiles  writer = ""       // they stay in C
	toHalves writer = "Narrow" // they are rounded to bfloat16, while the next panel is computed
)

// tileKernel emits the kernel of 32 rows by some panels of 32 columns.
func (w writer) tileKernel() {
	TEXT("gemm16Tiles"+string(w), 4, "func(args *byte)")
	Pragma("noescape")
	Doc("gemm16Tiles" + string(w) + " computes 32 rows of some panels of 32 columns: see tileArgs. It changes its argument.")
	local := AllocLocal(32)
	nextGroup, ag, sourceEnd := local, local.Offset(8), local.Offset(16)
	LEAQ(operand.NewDataAddr(operand.NewStaticSymbol("gemm16Shapes"), 0), reg.RAX)
	tileConfig(reg.RAX)
	args, row, groups := reg.RDI, reg.RAX, reg.RCX
	as, ns, cs := reg.R8, reg.R9, reg.R12
	high, low, b, next := reg.RSI, reg.RDI, reg.RBX, reg.RDX // low takes the place of args
	soon, source, out, outRow := reg.R14, reg.R11, reg.R13, reg.R15
	far := reg.R14 // outside the loop over groups, soon is not used
	get := func(disp int, r reg.GPPhysical) { MOVQ(at(args, disp), r) }
	advance := func(what, by int) {
		get(by, far)
		ADDQ(far, at(args, what))
	}
	// write moves a row of the outputs of the panel before.
	write := func() {
		VMOVUPS(at(source, 0), reg.Z0)
		VMOVUPS(at(source, 64), reg.Z1)
		narrowPair(0, 1, 0)
		VMOVUPS(reg.Z0, at(out, 0))
		ADDQ(operand.U32(128), source)
		ADDQ(outRow, out)
	}
	arg("args", args)
	get(argAS, as)
	get(argCS, cs)
	get(argNextRow, ns)
	get(argNextGroup, far)
	MOVQ(far, nextGroup)
	get(argAG, far)
	MOVQ(far, ag)
	if w == toHalves {
		get(argOutRow, outRow)
		XORQ(source, source)
		MOVQ(source, sourceEnd)
	}
	MOVQ(operand.U32(64), row)

	Label("panel")
	get(argS, high)
	get(argSS, low)
	MOVQ(low, far)
	SHLQ(operand.Imm(4), far)
	ADDQ(high, far)
	tileLoad(0, high, low, 0)
	tileLoad(1, high, low, 64)
	tileLoad(2, far, low, 0)
	tileLoad(3, far, low, 64)
	arg("args", args)
	get(argB, b)
	get(argGroups, groups)
	get(argNext, next)
	get(argC, soon)
	get(argA, high)
	MOVQ(as, low)
	SHLQ(operand.Imm(4), low)
	ADDQ(high, low)
	Label("group")
	tileLoadOnce(6, b, row, 0)
	tileLoad(4, high, as, 0)
	tileLoad(5, low, as, 0)
	tileProduct(0, 4, 6)
	tileProduct(2, 5, 6)
	tileLoadOnce(7, b, row, tileBytes)
	tileProduct(1, 4, 7)
	tileProduct(3, 5, 7)
	if w == toTiles {
		for range 2 { // rows of the outputs of the next panel
			PREFETCHT0(at(soon, 128)) // and so its neighbour
			ADDQ(cs, soon)
		}
	} else {
		CMPQ(source, sourceEnd)
		JEQ(operand.LabelRef("written"))
		for range 4 {
			write()
		}
		Label("written")
	}
	PREFETCHT1(at(next, 0)) // what A will be
	PREFETCHT1(plus(next, ns, 1, 0))
	ADDQ(nextGroup, next)
	ADDQ(ag, high)
	ADDQ(ag, low)
	ADDQ(operand.U32(groupBytes), b)
	DECQ(groups)
	JNE(operand.LabelRef("group"))
	if w == toHalves {
		w.rest("now", source, sourceEnd, write)
	}
	arg("args", args)
	MOVQ(next, at(args, argNext))
	get(argC, high)
	MOVQ(cs, far)
	SHLQ(operand.Imm(4), far)
	ADDQ(high, far)
	tileStore(0, high, cs, 0)
	tileStore(1, high, cs, 64)
	tileStore(2, far, cs, 0)
	tileStore(3, far, cs, 64)
	advance(argC, argCP)
	if w == toHalves {
		MOVQ(high, source)
		get(argOut, out)
		advance(argOut, argOutPanel)
		NEGQ(at(args, argCP)) // to and fro between two buffers
		LEAQ(at(source, 4096), far)
		MOVQ(far, sourceEnd)
	}
	advance(argB, argBP)
	advance(argS, argSP)
	DECQ(at(args, argPanels))
	JNE(operand.LabelRef("panel"))
	tileRelease()
	if w == toHalves {
		w.rest("end", source, sourceEnd, write)
		VZEROUPPER()
	}
	RET()
}

// rest writes the rows that are left.
func (w writer) rest(label string, source reg.Register, end operand.Mem, write func()) {
	Label(label)
	CMPQ(source, end)
	JEQ(operand.LabelRef(label + "done"))
	write()
	JMP(operand.LabelRef(label))
	Label(label + "done")
}

// narrowPair emits VCVTNE2PS2BF16, which the assembler does not know either, of vector registers below 8: the floats low
// and high rounded to bfloat16. It takes subnormals as zeros, and no output of a group is one.
func narrowPair(low, high, dst int) {
	emit(0x62, 0xf2, (high^15)<<3|7, 0x48, 0x72, 0xc0|dst<<3|low)
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
