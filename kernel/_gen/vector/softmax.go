package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// softmax emits the kernels of attention's rows.
func (s isa) softmax() {
	s.onRows("DotRows", "ISA.dotRows", ways{row, row, scalar}, 1, 0, func(g *gen) {
		g.setAccs(cZero)
		g.pass("dot", func() { g.addMul(g.acc(0), g.load(0), g.load(1)) })
		g.fold(0, VADDPS)
		g.emit(func() { VMOVSS(g.acc(0).AsX(), operand.Mem{Base: pointers[2]}) })
	})
	s.onRows("DotHalves", "ISA.dotHalves, in rows of whole vectors", ways{row, row, scalar}, 1, 0, func(g *gen) {
		g.setAccs(cZero)
		g.pass("dot", func() { g.addMul(g.acc(0), g.loadHalves(0, 16), g.loadHalves(1, 16)) })
		g.fold(0, VADDPS)
		g.emit(func() { VMOVSS(g.acc(0).AsX(), operand.Mem{Base: pointers[2]}) })
	})
	s.onRows("ScaleRows", "ISA.scaleRows", ways{row, scalar}, 0, 1, func(g *gen) {
		g.emit(func() { VBROADCASTSS(operand.Mem{Base: pointers[1]}, g.own[0]) })
		g.pass("scale", func() {
			x := g.load(0)
			g.mul(x, x, g.own[0])
			g.store(x, 0)
		})
	})
	s.onRows("SoftmaxRows", "ISA.softmax", ways{row, row, scalar, scalar}, 1, 1, func(g *gen) {
		top := g.own[0]
		g.setAccs(cNegInf)
		g.pass("max", func() { g.max(g.acc(0), g.load(0), g.acc(0)) })
		g.fold(0, VMAXPS)
		g.emit(func() {
			most, m := g.acc(0).AsX(), operand.Mem{Base: pointers[2]}
			VADDSS(broadcast{fromConstants, cZero}.mem(), most, most)
			VMULSS(broadcast{fromArguments, 0}.mem(), most, most)
			VMAXSS(m, most, most)
			VMOVSS(most, m)
			VBROADCASTSS(most, top)
		})
		g.setAccs(cZero)
		g.pass("exp", func() {
			x := g.load(0)
			g.mulSub(x, g.f(0), top)
			g.exp(x)
			g.storeAll(x, 0)
			g.add(g.acc(0), g.acc(0), x)
		})
		g.fold(0, VADDPS)
		g.emit(func() { VMOVSS(g.acc(0).AsX(), operand.Mem{Base: pointers[3]}) })
		g.fill(0)
	})
	s.onRows("SoftmaxBackwardRows", "ISA.softmaxBackward", ways{row, row, scalar, scalar}, 0, 2, func(g *gen) {
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

// fill writes zeros from the end of a pass to the width of the row.
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
