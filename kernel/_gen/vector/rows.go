package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
)

// Places in rowArgs, beyond those that it shares with vecArgs.
var (
	left = operand.Mem{Base: args, Disp: 80} // rows
	seen = operand.Mem{Base: args, Disp: 88} // elements of the row that count
	more = operand.Mem{Base: args, Disp: 96} // additional elements that each row sees
	ld   = operand.Mem{Base: args, Disp: 104}
)

// ways says how pointers go from row to row: by a row of a matrix, by one element
// or not at all.
type ways []int

const (
	still = iota
	row
	scalar
)

// onRows emits an assembly function that runs body on each of several rows, with
// accs reductions and own more registers.
func (s isa) onRows(name, definition string, pointing ways, accs, own int, body func(g *gen)) {
	dry := &gen{isa: s, dry: true, own: make([]v, own)}
	body(dry)

	name = "vec" + name + s.name
	TEXT(name, 4, "func(a *byte)") // NOSPLIT
	Pragma("noescape")
	Doc(name + " works on rowArgs a, as " + definition + ".")
	Load(Param("a"), args)
	for i := range pointing {
		MOVQ(operand.Mem{Base: args, Disp: argP + 8*i}, pointers[i])
	}
	MOVQ(operand.Mem{Base: args, Disp: argK}, table)
	g := &gen{isa: s, hoisted: map[broadcast]v{}}
	g.allocate(dry, accs, own)
	g.hoist(dry)
	Label("row")
	MOVQ(seen, rest)
	ANDQ(operand.Imm(15), rest)
	g.setMask()
	body(g)
	for i, way := range pointing {
		switch way {
		case row:
			ADDQ(ld, pointers[i])
		case scalar:
			ADDQ(operand.Imm(4), pointers[i])
		}
	}
	MOVQ(more, scratch)
	ADDQ(scratch, seen)
	DECQ(left)
	JNE(operand.LabelRef("row"))
	VZEROUPPER()
	RET()
}

// pass emits a loop over the elements of the row that count.
func (g *gen) pass(name string, body func()) {
	g.emit(func() {
		MOVQ(seen, end)
		ANDQ(operand.I8(-16), end)
		XORQ(index, index)
		CMPQ(index, end)
		JGE(operand.LabelRef(name + "Tail"))
		Label(name + "Loop")
	})
	g.halfByHalf(body)
	if g.dry {
		return
	}
	ADDQ(operand.Imm(16), index)
	CMPQ(index, end)
	JLT(operand.LabelRef(name + "Loop"))
	Label(name + "Tail")
	CMPQ(index, seen)
	JGE(operand.LabelRef(name + "Done"))
	g.masked = true
	g.halfByHalf(body)
	g.masked = false
	ADDQ(operand.Imm(16), index)
	Label(name + "Done")
}

// setAccs sets the reductions to constant k.
func (g *gen) setAccs(k int) {
	g.eachAcc(func(r v, _ operand.Mem) { VBROADCASTSS(broadcast{fromConstants, k}.mem(), r) })
}

// fold reduces reduction a to the first element of its first half, in the order
// of foldLanes.
func (g *gen) fold(a int, op func(...operand.Op)) {
	g.half = 0
	g.emit(func() {
		t, acc := g.reg[0], g.accs[a][0]
		if g.halves == 1 {
			VEXTRACTF64X4(operand.Imm(1), acc, t.AsY())
			op(t.AsY(), acc.AsY(), acc.AsY())
		} else {
			op(g.accs[a][1], acc, acc)
		}
		x, tx := acc.AsX(), t.AsX()
		VEXTRACTF128(operand.Imm(1), acc.AsY(), tx)
		op(tx, x, x)
		VPERMILPD(operand.Imm(1), x, tx)
		op(tx, x, x)
		VMOVSHDUP(x, tx)
		op(tx, x, x)
	})
}
