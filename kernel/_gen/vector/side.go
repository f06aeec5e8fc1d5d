package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/bdia-go/bdia/kernel/_gen/avx"
)

// whole sets x, values, to the whole numbers of units that they and the rests in p4 stand for.
func (g *gen) whole(x v) {
	g.mul(x, x, g.f(4))
	g.op(VCVTPS2DQ, x, x)
	r := g.tmp()
	g.emit(func() { VPMOVSXBD(g.codeMem(4), r) })
	g.op(VPADDD, r, x, x)
	g.drop(1)
}

// storeWhole writes the whole number n of units as value to p0 and rest to p4. It spoils n.
func (g *gen) storeWhole(n v) {
	x := g.tmp()
	g.op(VCVTDQ2PS, n, x)
	t := g.tmp()
	g.op(VCVTPS2DQ, x, t)
	g.op(VPSUBD, t, n, n)
	g.drop(1)
	g.mul(x, x, g.f(5))
	g.store(x, 0)
	g.maxBits(x)
	g.drop(1)
	g.storeBytes(n, 4, VPACKSSDW, VPACKSSWB)
}

// keepRemainder writes the lowest bits of n to the planes of the side information.
func (g *gen) keepRemainder(n v, planes int) {
	for p := range planes {
		t := g.tmp()
		g.op(VPSLLD, operand.Imm(uint64(31-p)), n, t)
		g.storeSigns(t, p)
		g.drop(1)
	}
}

// shiftRemainder sets n to n*2^planes - s with s from the planes of the side information.
func (g *gen) shiftRemainder(n v, planes int) {
	for p := planes - 1; p >= 0; p-- {
		g.op(VPADDD, n, n, n)
		t := g.tmp()
		g.sideMask(t, p) // -1 for a one
		g.op(VPADDD, t, n, n)
		g.drop(1)
	}
}

// storeSigns writes the sign bits of x to plane p of the side information.
func (g *gen) storeSigns(x v, p int) {
	g.emit(func() {
		if g.halves == 1 {
			VPMOVD2M(x, reg.K1)
			KMOVW(reg.K1, g.sideMem(p))
		} else {
			VMOVMSKPS(x, rest.As32()) // there is no tail
			MOVB(rest.As8(), g.sideMem(p))
		}
	})
}

// sideMem returns the memory of this half's bits in plane p: planes begin ld bytes apart, the first at p3.
func (g *gen) sideMem(p int) operand.Mem {
	MOVQ(index, scratch)
	SHRQ(operand.Imm(3), scratch)
	for range p {
		ADDQ(operand.Mem{Base: args, Disp: argLD}, scratch)
	}
	return operand.Mem{Base: pointers[3], Index: scratch, Scale: 1, Disp: g.half}
}

// sideMask sets d, the newest temporary, to all ones in lanes with the bit of
// plane p set.
func (g *gen) sideMask(d v, p int) {
	g.emit(func() {
		m := g.sideMem(p)
		if g.halves == 1 {
			KMOVW(m, reg.K1)
			VPMOVM2D(reg.K1, d)
			return
		}
		low := avx.Xs[g.temps-1]
		MOVBLZX(m, rest.As32())
		VMOVD(rest.As32(), low)
		VPBROADCASTD(low, d)
		VPSLLVD(toSign, d, d)
		VPSRAD(operand.Imm(31), d, d)
	})
}
