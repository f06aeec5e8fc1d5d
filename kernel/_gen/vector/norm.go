package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// norm emits layer norm of several rows and its gradient in x; f = length of a
// row, eps.
func (s isa) norm() {
	for _, bias := range []bool{true, false} {
		name, pointing := "LayerNorm", ways{row, row, scalar, scalar, still, still} // y, x, mean, rstd, w, b
		if !bias {
			name, pointing = "LayerNormNoBias", pointing[:5]
		}
		s.onRows(name, "ISA.LayerNorm", pointing, 1, 2, func(g *gen) {
			mean, rstd := g.own[0], g.own[1]
			g.setAccs(cZero)
			g.pass("sum", func() { g.add(g.acc(0), g.acc(0), g.load(1)) })
			g.fold(0, VADDPS)
			g.emit(func() {
				x, to := g.acc(0).AsX(), operand.Mem{Base: pointers[2]}
				VDIVSS(broadcast{fromArguments, 0}.mem(), x, x)
				VMOVSS(x, to)
				VBROADCASTSS(x, mean)
			})
			g.setAccs(cZero)
			g.pass("squares", func() {
				d := g.load(1)
				g.sub(d, d, mean)
				g.addMul(g.acc(0), d, d)
			})
			g.fold(0, VADDPS)
			g.reciprocalRoot(pointers[3], rstd)
			g.pass("normalise", func() {
				x := g.load(1)
				g.xhat(x, mean, rstd)
				if bias {
					g.mulAdd(x, g.load(4), g.load(5))
				} else {
					g.mul(x, x, g.load(4))
				}
				g.store(x, 0)
			})
		})
	}
	// dx, dy, mean, rstd, w, x
	s.onRows("LayerNormBackward", "ISA.LayerNormBackward", ways{row, row, scalar, scalar, still, row}, 2, 4, func(g *gen) {
		mean, rstd, means := g.own[0], g.own[1], g.own[2:]
		g.emit(func() {
			VBROADCASTSS(operand.Mem{Base: pointers[2]}, mean)
			VBROADCASTSS(operand.Mem{Base: pointers[3]}, rstd)
		})
		g.setAccs(cZero)
		g.pass("sums", func() {
			d, x := g.load(1), g.load(5)
			g.mul(d, d, g.load(4))
			g.xhat(x, mean, rstd)
			g.add(g.acc(0), g.acc(0), d)
			g.addMul(g.acc(1), d, x)
		})
		for a, m := range means {
			g.fold(a, VADDPS)
			g.emit(func() {
				x := g.acc(a).AsX()
				VDIVSS(broadcast{fromArguments, 0}.mem(), x, x)
				VBROADCASTSS(x, m)
			})
		}
		g.pass("dx", func() {
			d, x := g.load(1), g.load(5)
			g.mul(d, d, g.load(4))
			g.xhat(x, mean, rstd)
			g.sub(d, d, means[0])
			g.subMul(d, x, means[1])
			g.mul(d, d, rstd)
			g.store(d, 0)
		})
	})
}

// reciprocalRoot sets every lane of d, and the scalar at to, to 1/sqrt(a/n+eps), a being the first element of
// reduction 0.
func (g *gen) reciprocalRoot(to reg.GPPhysical, d v) {
	g.emit(func() {
		x, one, to := g.acc(0).AsX(), g.reg[0].AsX(), operand.Mem{Base: to}
		VDIVSS(broadcast{fromArguments, 0}.mem(), x, x)
		VADDSS(broadcast{fromArguments, 1}.mem(), x, x)
		VSQRTSS(x, x, x)
		VMOVSS(broadcast{fromConstants, cOne}.mem(), one)
		VDIVSS(x, one, x)
		VMOVSS(x, to)
		VBROADCASTSS(x, d)
	})
}

// rmsNorm emits root mean square norm of several rows and its gradient in x; f = length of a row, eps.
func (s isa) rmsNorm() {
	// y, x, rstd, w
	s.onRows("RMSNorm", "ISA.RMSNorm", ways{row, row, scalar, still}, 1, 1, func(g *gen) {
		rstd := g.own[0]
		g.setAccs(cZero)
		g.pass("squares", func() {
			x := g.load(1)
			g.addMul(g.acc(0), x, x)
		})
		g.fold(0, VADDPS)
		g.reciprocalRoot(pointers[2], rstd)
		g.pass("normalise", func() {
			x := g.load(1)
			g.mul(x, x, rstd)
			g.mul(x, x, g.load(3))
			g.store(x, 0)
		})
	})
	// dx, dy, rstd, w, x
	s.onRows("RMSNormBackward", "ISA.RMSNormBackward", ways{row, row, scalar, still, row}, 1, 2, func(g *gen) {
		rstd, c := g.own[0], g.own[1]
		g.emit(func() { VBROADCASTSS(operand.Mem{Base: pointers[2]}, rstd) })
		g.setAccs(cZero)
		g.pass("dot", func() {
			d := g.load(1)
			g.mul(d, d, g.load(3))
			g.addMul(g.acc(0), d, g.load(4))
		})
		g.fold(0, VADDPS)
		g.emit(func() {
			x := g.acc(0).AsX()
			VMULSS(rstd.AsX(), x, x)
			VDIVSS(broadcast{fromArguments, 0}.mem(), x, x)
			VBROADCASTSS(x, c)
		})
		g.pass("dx", func() {
			d, x := g.load(1), g.load(4)
			g.mul(d, d, g.load(3))
			g.mul(x, x, rstd)
			g.mul(x, x, c)
			g.sub(d, d, x)
			g.mul(d, d, rstd)
			g.store(d, 0)
		})
	})
}

// rotate emits the rotation of several heads; f = 1, or -1 to turn back.
func (s isa) rotate() {
	// the two halves of a head, cosines, sines
	s.onRows("Rotate", "ISA.Rotate", ways{row, row, still, still}, 0, 0, func(g *gen) {
		g.pass("turn", func() {
			a, b, c, s, t := g.load(0), g.load(1), g.load(2), g.load(3), g.tmp()
			g.mul(s, s, g.f(0))
			g.mul(t, b, s)
			g.mul(b, b, c)
			g.mul(s, a, s)
			g.mul(a, a, c)
			g.sub(a, a, t)
			g.add(b, b, s)
			g.store(a, 0)
			g.store(b, 1)
		})
	})
}

// xhat sets x = (x-mean)*rstd.
func (g *gen) xhat(x, mean, rstd v) {
	g.sub(x, x, mean)
	g.mul(x, x, rstd)
}

func normParams(g *gen) (dy v) {
	dw, dy, x := g.load(0), g.load(1), g.load(2)
	g.xhat(x, g.f(0), g.f(1))
	g.addMul(dw, dy, x)
	g.store(dw, 0)
	return dy
}

// rowsOf4 prepares distances, in bytes: from dy to x in x's register, from row to
// row in R8, and to the dy and x of some rows later, which are prefetched, in R12
// and the table's register (these kernels use no constants).
func rowsOf4() {
	const ahead = 16 // rows
	SUBQ(pointers[1], pointers[2])
	MOVQ(operand.Mem{Base: args, Disp: argLD}, pointers[4])
	IMUL3Q(operand.Imm(ahead), pointers[4], pointers[5])
	LEAQ(operand.Mem{Base: pointers[2], Index: pointers[5], Scale: 1}, table)
}

func normParams4(g *gen, each func(dy v)) {
	fourRows(g, func(r int, dw, dy, x v) {
		g.xhat(x, g.f(r), g.f(4+r))
		g.addMul(dw, dy, x)
		each(dy)
	})
}

// fourRows updates dw with dy and x of row after row, which add is free to spoil.
func fourRows(g *gen, add func(r int, dw, dy, x v)) {
	dw, dy, x := g.load(0), g.tmp(), g.tmp()
	row := operand.Mem{Base: scratch}
	g.emit(func() { LEAQ(g.mem(1), scratch) })
	for r := range 4 {
		if g.half == 0 && !g.masked {
			g.emit(func() {
				PREFETCHT2(row.Idx(pointers[5], 1))
				PREFETCHT2(row.Idx(table, 1))
			})
		}
		g.loadFrom(row, dy)
		g.loadFrom(row.Idx(pointers[2], 1), x)
		add(r, dw, dy, x)
		if r < 3 {
			g.emit(func() { ADDQ(pointers[4], scratch) })
		}
	}
	g.store(dw, 0)
}

// rmsNormWeight adds to dw what a row with f[r] = rstd has for it. It spoils x.
func rmsNormWeight(g *gen, r int, dw, dy, x v) {
	g.mul(x, x, g.f(r))
	g.mul(x, dy, x)
	g.add(dw, dw, x)
}
