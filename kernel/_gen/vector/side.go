package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// remainder sets d to s*2^-bits, s = (-n) mod 2^planes for x = n*2^-bits; 2^bits
// is in f[4], 2^(p-bits) in f[5+p]. With side, plane p of s goes to p[3+p].
func (g *gen) remainder(d, x v, planes int, side bool) {
	n := g.tmp()
	g.mul(n, x, g.f(4))
	g.op(VCVTTPS2DQ, n, n)
	if planes > 1 { // else n and -n are alike
		g.op(VPSUBD, n, g.k(cZero), n)
	}
	for p := range planes {
		t := d
		if p > 0 {
			t = g.tmp()
		}
		g.op(VPSLLD, operand.Imm(uint64(31-p)), n, t)
		if side {
			g.storeSigns(t, p)
		}
		g.op(VPSRAD, operand.Imm(31), t, t)
		g.and(t, t, g.f(5+p))
		if p > 0 {
			g.add(d, d, t)
			g.drop(1)
		}
	}
	g.drop(1)
}

// sideRemainder sets d to s*2^-bits with s from p[3], p[4], ...
func (g *gen) sideRemainder(d v, planes int) {
	g.sideMask(d, 0)
	g.and(d, d, g.f(5))
	for p := 1; p < planes; p++ {
		t := g.tmp()
		g.sideMask(t, p)
		g.and(t, t, g.f(5+p))
		g.add(d, d, t)
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

// sideMem returns the memory of this half's bits in plane p.
func (g *gen) sideMem(p int) operand.Mem {
	MOVQ(index, scratch)
	SHRQ(operand.Imm(3), scratch)
	return operand.Mem{Base: pointers[3+p], Index: scratch, Scale: 1, Disp: g.half}
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
		low := xmm[g.temps-1]
		MOVBLZX(m, rest.As32())
		VMOVD(rest.As32(), low)
		VPBROADCASTD(low, d)
		VPSLLVD(toSign, d, d)
		VPSRAD(operand.Imm(31), d, d)
	})
}
