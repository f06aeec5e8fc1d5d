package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Byte offsets within softmaxArgs, beyond those that it shares with vecArgs.
const (
	softmaxRows = 80
	softmaxSeen = 88
	softmaxMore = 96
	softmaxLD   = 104
)

var (
	seen = reg.R8  // elements of the row that count
	left = reg.R12 // rows
)

// softmax emits the two kernels of attention's rows.
func (s isa) softmax() {
	s.onRows("SoftmaxRows", "softmaxRowsGo", 1, 1, func(g *gen) {
		top := g.own[0]
		g.setAccs(cNegInf)
		g.pass("max", func() { g.max(g.acc(0), g.load(0), g.acc(0)) })
		g.fold(VMAXPS)
		g.emit(func() {
			most, m := g.acc(0).AsX(), operand.Mem{Base: pointers[2]}
			VADDSS(broadcast{fromConstants, cZero}.mem(), most, most)
			VMULSS(broadcast{fromArguments, 0}.mem(), most, most)
			VMAXSS(m, most, most)
			VMOVSS(most, m)
			VBROADCASTSS(m, top)
		})
		g.setAccs(cZero)
		g.pass("exp", func() {
			x := g.load(0)
			g.mulSub(x, g.f(0), top)
			g.exp(x)
			g.storeAll(x, 0)
			g.add(g.acc(0), g.acc(0), x)
		})
		g.fold(VADDPS)
		g.emit(func() { VMOVSS(g.acc(0).AsX(), operand.Mem{Base: pointers[3]}) })
		g.fill(0)
	})
	s.onRows("SoftmaxBackwardRows", "softmaxBackwardRowsGo", 0, 2, func(g *gen) {
		lse, delta := g.own[0], g.own[1]
		g.emit(func() {
			VBROADCASTSS(operand.Mem{Base: pointers[2]}, lse)
			VBROADCASTSS(operand.Mem{Base: pointers[3]}, delta)
		})
		g.pass("exp", func() {
			p := g.load(0)
			g.mulSub(p, g.f(0), lse)
			g.exp(p)
			g.storeAll(p, 0)
			d := g.load(1)
			g.sub(d, d, delta)
			g.mul(d, p, d)
			g.mul(d, d, g.f(0))
			g.storeAll(d, 1)
		})
		g.fill(0, 1)
	})
}

// onRows emits an assembly function that runs row on each row of a tile, with
// accs reductions and own more registers.
func (s isa) onRows(name, loop string, accs, own int, row func(g *gen)) {
	dry := &gen{isa: s, dry: true, own: make([]v, own)}
	row(dry)

	name = "vec" + name + s.name
	TEXT(name, 4, "func(a *byte)") // NOSPLIT
	Pragma("noescape")
	Doc(name + " works on softmaxArgs a, as " + loop + ".")
	Load(Param("a"), args)
	for i := range 4 {
		MOVQ(operand.Mem{Base: args, Disp: argP + 8*i}, pointers[i])
	}
	MOVQ(operand.Mem{Base: args, Disp: argK}, table)
	MOVQ(operand.Mem{Base: args, Disp: softmaxSeen}, seen)
	MOVQ(operand.Mem{Base: args, Disp: softmaxRows}, left)
	g := &gen{isa: s, hoisted: map[broadcast]v{}}
	g.allocate(dry, accs, own)
	g.hoist(dry)
	Label("row")
	MOVQ(seen, rest)
	ANDQ(operand.Imm(15), rest)
	g.setMask()
	row(g)
	for _, p := range pointers[:2] {
		ADDQ(operand.Mem{Base: args, Disp: softmaxLD}, p)
	}
	for _, p := range pointers[2:4] {
		ADDQ(operand.Imm(4), p)
	}
	ADDQ(operand.Mem{Base: args, Disp: softmaxMore}, seen)
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

// setAccs sets reduction 0 to constant k.
func (g *gen) setAccs(k int) {
	g.eachAcc(func(r v, _ operand.Mem) { VBROADCASTSS(broadcast{fromConstants, k}.mem(), r) })
}

// fold reduces reduction 0 to the first element of its first half, in the order
// of foldLanes.
func (g *gen) fold(op func(...operand.Op)) {
	g.half = 0
	g.emit(func() {
		t, acc := g.reg[0], g.accs[0][0]
		if g.halves == 1 {
			VEXTRACTF64X4(operand.Imm(1), acc, t.AsY())
			op(t.AsY(), acc.AsY(), acc.AsY())
		} else {
			op(g.accs[0][1], acc, acc)
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

// storeAll writes x to slice p, in the tail with zeros for lanes past the end.
func (g *gen) storeAll(x v, p int) {
	g.emit(func() {
		if g.masked && g.halves == 1 {
			VMOVAPS_Z(x, reg.K2, x)
		} else if g.masked {
			VANDPS(g.mask, x, x)
		}
		VMOVUPS(x, g.mem(p))
	})
}

// fill writes zeros from where a pass has ended to the width of the row.
func (g *gen) fill(ps ...int) {
	g.emit(func() {
		zero := g.reg[0]
		VXORPS(zero, zero, zero)
		Label("fill")
		CMPQ(index, operand.Mem{Base: args, Disp: argN})
		JGE(operand.LabelRef("filled"))
		for _, p := range ps {
			for g.half = range g.halves {
				VMOVUPS(zero, g.mem(p))
			}
		}
		ADDQ(operand.Imm(16), index)
		JMP(operand.LabelRef("fill"))
		Label("filled")
	})
}
