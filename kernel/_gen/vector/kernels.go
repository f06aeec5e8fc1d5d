package main

import (
	"strconv"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
)

var kernels = []kernel{
	{name: "NormParams", loop: "p0 = fma(p1, (p2-f0)*f1, p0); p3 += p1", ptrs: 4, body: func(g *gen) {
		dy := normParams(g)
		db := g.load(3)
		g.add(db, db, dy)
		g.store(db, 3)
	}},
	{name: "NormParamsNoBias", loop: "p0 = fma(p1, (p2-f0)*f1, p0)", ptrs: 3, body: func(g *gen) { normParams(g) }},
	{name: "NormParams4", loop: "as NormParams for 4 rows, ld bytes apart; f = means, rstds", ptrs: 4, start: rowsOf4, body: func(g *gen) {
		db := g.load(3)
		normParams4(g, func(dy v) { g.add(db, db, dy) })
		g.store(db, 3)
	}},
	{name: "NormParams4NoBias", loop: "as NormParamsNoBias for 4 rows, ld bytes apart; f = means, rstds", ptrs: 3, start: rowsOf4, body: func(g *gen) {
		normParams4(g, func(v) {})
	}},
	{name: "RMSNormWeight", loop: "q := p2*f0; q = p1*q; p0 += q", ptrs: 3, body: func(g *gen) {
		dw, dy, x := g.load(0), g.load(1), g.load(2)
		rmsNormWeight(g, 0, dw, dy, x)
		g.store(dw, 0)
	}},
	{name: "RMSNormWeight4", loop: "as RMSNormWeight for 4 rows, ld bytes apart; f = rstds", ptrs: 3, start: rowsOf4, body: func(g *gen) {
		fourRows(g, func(r int, dw, dy, x v) { rmsNormWeight(g, r, dw, dy, x) })
	}},
	{name: "Dot", loop: "acc = fma(p1, p2, acc)", ptrs: 3, accs: 1, body: func(g *gen) {
		g.addMul(g.acc(0), g.load(1), g.load(2))
	}},
	{name: "Max", loop: "if p1 > acc { acc = p1 }", ptrs: 2, accs: 1, from: cNegInf, body: func(g *gen) {
		g.max(g.acc(0), g.load(1), g.acc(0))
	}},
	{name: "Min", loop: "if p1 < acc { acc = p1 }", ptrs: 2, accs: 1, from: cPosInf, body: func(g *gen) {
		g.min(g.acc(0), g.load(1), g.acc(0))
	}},
	{name: "ExpSum", loop: "p0 = expf(fma(p1, f0, f1)); acc += p0", ptrs: 2, accs: 1, body: func(g *gen) {
		x := g.load(1)
		g.mulAdd(x, g.f(0), g.f(1))
		g.exp(x)
		g.store(x, 0)
		g.add(g.acc(0), g.acc(0), x)
	}},
	{name: "GELUTanh", loop: "p0 = gelu(p1), as geluTanhGo", ptrs: 2, body: geluTanh},
	{name: "GELUTanhBackward", loop: "p0 = p1*gelu'(p2), as geluTanhBackwardGo", ptrs: 3, body: geluTanhBackward},
	{name: "GELUErf", loop: "p0 = p1*normalCDF(p1)", ptrs: 2, body: func(g *gen) {
		x := g.load(1)
		cdf, _ := normalCDF(g, x)
		g.mul(x, x, cdf)
		g.store(x, 0)
	}},
	{name: "GELUErfBackward", loop: "p0 = p1*gelu'(p2), as geluErfBackwardGo", ptrs: 3, body: func(g *gen) {
		x := g.load(2)
		cdf, z2 := normalCDF(g, x)
		g.or(z2, z2, g.k(cSign))
		g.exp(z2)
		g.mul(z2, z2, g.k(cInvSqrt2P))
		g.clampSpan(x)
		g.addMul(cdf, x, z2)
		g.mul(cdf, g.load(1), cdf)
		g.store(cdf, 0)
	}},
	{name: "GatedSiLU", loop: "p0 = silu(p1)*p2, as gatedSiLUGo", ptrs: 3, body: func(g *gen) {
		x := g.load(1)
		s := sigmoid(g, x)
		g.mul(x, x, s)
		g.mul(x, x, g.load(2))
		g.store(x, 0)
	}},
	{name: "GatedSiLUBackward", loop: "p0, p1 = p2*p4*silu'(p3), p2*silu(p3), as gatedSiLUBackwardGo", ptrs: 5, body: func(g *gen) {
		x := g.load(3)
		s := sigmoid(g, x)
		dy, t := g.load(2), g.tmp()
		g.sub(t, g.k(cOne), s)
		g.mul(t, x, t)
		g.add(t, t, g.k(cOne))
		g.mul(t, s, t)
		g.mul(x, x, s)
		g.mul(x, dy, x)
		g.mul(dy, dy, g.load(4))
		g.mul(dy, dy, t)
		g.store(dy, 0)
		g.store(x, 1)
	}},
	{name: "Add", loop: "p0 = p1 + p2", ptrs: 3, body: func(g *gen) {
		a := g.load(1)
		g.add(a, a, g.load(2))
		g.store(a, 0)
	}},
	{name: "Scale", loop: "p0 = p1*f0", ptrs: 2, body: func(g *gen) {
		x := g.load(1)
		g.mul(x, x, g.f(0))
		g.store(x, 0)
	}},
	{name: "Quantise", loop: "p0 = quantise(p0, f0, f1)", ptrs: 1, accs: 1, body: func(g *gen) {
		x := g.load(0)
		g.quantise(x, 0, 1)
		g.store(x, 0)
		g.maxBits(x)
	}},
	{name: "AddQuantised", loop: "as addQuantisedGo, with the rests p4; f4, f5 = 2^bits, 2^-bits", ptrs: 5, accs: 1, bits: true, body: func(g *gen) {
		q := g.load(2)
		g.units(q)
		n := g.load(1)
		g.mul(n, n, g.f(4))
		g.op(VCVTPS2DQ, n, n)
		g.op(VPADDD, q, n, n)
		g.storeWhole(n)
	}},
	{name: "QuantisedAdd", loop: "p0 = quantise(p1+p2, f0, f1)", ptrs: 3, accs: 1, body: func(g *gen) {
		x := g.load(1)
		g.add(x, x, g.load(2))
		g.quantise(x, 0, 1)
		g.store(x, 0)
		g.maxBits(x)
	}},
	{name: "Advance", loop: "as advanceGo", ptrs: 3, accs: 1, body: advance},
	{name: "Retreat", loop: "as retreatGo", ptrs: 3, accs: 1, body: retreat},
	{name: "Keep", loop: "p0 = p1*f0 where bit i%8 of p3[i/8] is set, else 0", ptrs: 4, bits: true, body: func(g *gen) {
		x := g.load(1)
		g.mul(x, x, g.f(0))
		kept := g.tmp()
		g.sideMask(kept, 0)
		g.and(x, x, kept)
		g.store(x, 0)
	}},
	{name: "CompleteGrad", loop: "p0 = fma(p2, f1, p0) + p1; p1 = p2*f0", ptrs: 3, body: func(g *gen) {
		dx, grad := g.load(0), g.load(2)
		g.addMul(dx, grad, g.f(1))
		g.add(dx, dx, g.load(1))
		g.store(dx, 0)
		g.mul(grad, grad, g.f(0))
		g.store(grad, 1)
	}},
	{name: "AdamW", loop: "as adamWGo", ptrs: 4, body: func(g *gen) {
		grad, m, v := g.load(1), g.load(2), g.load(3)
		moments(g, grad, m, v)
		g.store(m, 2)
		g.store(v, 3)
		g.adamStep(m, v)
	}},
	{name: "SGD", loop: "as sgdGo", ptrs: 3, body: func(g *gen) {
		buf := g.load(2)
		g.mulAdd(buf, g.f(0), g.load(1))
		g.store(buf, 2)
		g.mul(buf, buf, g.f(2))
		g.decayed(buf, 1)
	}},
	{name: "Moments", loop: "as momentsGo", ptrs: 3, accs: 2, body: func(g *gen) {
		grad, m, v := g.load(0), g.load(1), g.load(2)
		moments(g, grad, m, v)
		g.store(m, 1)
		g.store(v, 2)
		g.add(g.acc(0), g.acc(0), v)
		g.mul(v, v, g.k(cTwo32))
		g.addMul(g.acc(1), v, v)
	}},
	{name: "SETUpdate", loop: "as setUpdateGo", ptrs: 3, body: func(g *gen) {
		m, v := g.load(1), g.load(2)
		g.mulAdd(v, g.f(0), g.f(1))
		g.sqrt(v, v)
		g.sub(v, v, g.f(2))
		g.mul(m, m, g.f(3))
		g.div(m, m, v)
		g.decayed(m, 4)
	}},
}

// clampSpan bounds x to ±cSpan.
func (g *gen) clampSpan(x v) {
	g.min(x, g.k(cSpan), x)
	g.max(x, g.k(cNegSpan), x)
}

func geluTanh(g *gen) {
	x := g.load(1)
	w := g.tmp()
	g.mul(w, x, x)
	g.mulAdd2(w, cNegTanh3, cNegTanh1)
	g.mul(w, x, w)
	g.exp(w)
	g.add(w, w, g.k(cOne))
	g.div(x, x, w)
	g.store(x, 0)
}

// sigmoid leaves 1/(1+exp(-x)) in a new temporary.
func sigmoid(g *gen, x v) v {
	s := g.tmp()
	g.sub(s, g.k(cZero), x)
	g.exp(s)
	g.add(s, s, g.k(cOne))
	g.div(s, g.k(cOne), s)
	return s
}

// mulAdd2 sets d = fma(d, k[b], k[c]).
func (g *gen) mulAdd2(d v, b, c int) { g.mulAdd(d, g.k(b), g.k(c)) }

func geluTanhBackward(g *gen) {
	x := g.load(2)
	v2, e, t := g.tmp(), g.tmp(), g.tmp()
	g.clampSpan(x)
	g.mul(v2, x, x)
	g.move(e, v2)
	g.mulAdd2(e, cNegTanh3, cNegTanh1)
	g.mul(e, x, e)
	g.or(e, e, g.k(cSign))
	g.exp(e)
	g.add(t, e, g.k(cOne))
	g.div(t, g.k(cOne), t)
	g.mul(e, e, t) // et
	s := g.tmp()
	g.blend(s, x, e, t)
	g.mulSub(v2, g.k(cTanhD3), g.k(cNegTanh1)) // du
	g.mul(x, x, v2)
	g.mul(e, e, t)
	g.addMul(s, x, e)
	g.mul(s, g.load(1), s)
	g.store(s, 0)
}

// normalCDF leaves Phi(x) and z^2 in new temporaries.
func normalCDF(g *gen, x v) (cdf, z2 v) {
	z, t, p := g.tmp(), g.tmp(), g.tmp()
	g.and(z, x, g.k(cAbs))
	g.mul(z, z, g.k(cSqrtHalf))
	g.min(z, g.k(cErfSpan), z)
	g.move(t, z)
	g.mulAdd2(t, cHalf, cOne)
	g.div(t, g.k(cOne), t)
	g.move(p, g.k(cErf9))
	for c := cErf8; c <= cErf0; c++ {
		g.mulAdd(p, t, g.k(c))
	}
	g.mul(z, z, z)
	g.sub(p, p, z)
	g.exp(p)
	g.mul(t, t, g.k(cHalf))
	g.mul(p, t, p) // q
	g.sub(t, g.k(cOne), p)
	g.blend(t, x, p, t)
	g.drop(1)
	return t, z
}

// quantise sets x = Q[x] with 2^bits in f[scale] and 2^-bits in f[unit].
func (g *gen) quantise(x v, scale, unit int) {
	g.mul(x, x, g.f(scale))
	g.round(x, x)
	g.mul(x, x, g.f(unit))
	g.add(x, x, g.k(cZero))
}

// units sets x, a float32, to the whole number of units that is Q[x], and takes |Q[x]| into reduction 0.
func (g *gen) units(x v) {
	g.mul(x, x, g.f(4))
	g.round(x, x)
	q := g.tmp()
	g.mul(q, x, g.f(5))
	g.maxBits(q)
	g.drop(1)
	g.op(VCVTPS2DQ, x, x)
}

// gridUpdates returns the updates on the grid, up to three planes.
func gridUpdates() (ks []kernel) {
	for planes := 1; planes <= 3; planes++ {
		suffix := strconv.Itoa(planes)
		loop := "QuantisedGo, planes " + suffix
		ks = append(ks,
			kernel{name: "AdvanceQuantised" + suffix + "NoSide", loop: "as advance" + loop + ", side nil", ptrs: 5, accs: 1, bits: true, body: update{planes, false}.forward},
			kernel{name: "AdvanceQuantised" + suffix, loop: "as advance" + loop, ptrs: 5, accs: 1, bits: true, body: update{planes, true}.forward},
			kernel{name: "RetreatQuantised" + suffix, loop: "as retreat" + loop, ptrs: 5, accs: 1, bits: true, body: update{planes, true}.backward})
	}
	return ks
}

// inner returns (1-gamma)*x_k + (1+gamma)*h_k(x_k) with x_k in p1, h in p2, 1-gamma in f2 and 1+gamma in f3.
func inner(g *gen) v {
	x := g.load(1)
	g.mul(x, x, g.f(2))
	g.addMul(x, g.load(2), g.f(3))
	g.drop(1)
	return x
}

// advance is the BDIA update without a grid; gamma is f0.
func advance(g *gen) {
	r, x := inner(g), g.load(0)
	g.mul(x, x, g.f(0))
	g.add(x, x, r)
	g.store(x, 0)
	g.maxBits(r)
	g.maxBits(x)
}

// retreat is its inverse; 1/gamma is f1.
func retreat(g *gen) {
	r, x := inner(g), g.load(0)
	g.sub(x, x, r)
	g.mul(x, x, g.f(1))
	g.store(x, 0)
	g.maxBits(r)
	g.maxBits(x)
}

// update is the BDIA update of whole numbers: p0 = x_{k-1} or x_{k+1}, with the rests p4, p1 = x, p2 = h, p3 = side,
// f = .., 1-gamma, 1+gamma, 2^bits, 2^-bits, all ones if gamma > 0, all ones if gamma < 0.
type update struct {
	planes int
	side   bool
}

func (u update) forward(g *gen) {
	q := inner(g)
	g.units(q)
	n := g.load(0)
	g.whole(n)
	g.op(VPSUBD, n, g.k(cZero), n)
	if u.side {
		g.keepRemainder(n, u.planes)
	}
	g.op(VPSRAD, operand.Imm(uint64(u.planes)), n, n) // -n/m, rounded down
	g.negate(n, 6)
	g.op(VPADDD, q, n, n)
	g.storeWhole(n)
}

func (u update) backward(g *gen) {
	q := inner(g)
	g.units(q)
	n := g.load(0)
	g.whole(n)
	g.op(VPSUBD, q, n, n)
	g.negate(n, 7)
	g.shiftRemainder(n, u.planes)
	g.storeWhole(n)
}

// negate turns the sign of n if f[i] is all ones, and not if it is 0.
func (g *gen) negate(n v, i int) {
	g.op(VXORPS, g.f(i), n, n)
	g.op(VPSUBD, g.f(i), n, n)
}

// moments updates m and v with the gradient; f = beta1, 1-beta1, beta2,
// 1-beta2.
func moments(g *gen, grad, m, v v) {
	t := g.tmp()
	g.mul(t, grad, g.f(1))
	g.mulAdd(m, g.f(0), t)
	g.mul(t, grad, g.f(3))
	g.mul(t, t, grad)
	g.mulAdd(v, g.f(2), t)
	g.drop(1)
}

// adamStep applies the AdamW step of m and v to p0, and spoils them.
func (g *gen) adamStep(m, v v) {
	g.mul(v, v, g.f(6))
	g.sqrt(v, v)
	g.add(v, v, g.f(7))
	g.mul(m, m, g.f(5))
	g.div(m, m, v)
	g.decayed(m, 4)
}

// decayed sets p0 = p0 - p0*f[decay] - change.
func (g *gen) decayed(change v, decay int) {
	p, t := g.load(0), g.tmp()
	g.mul(t, p, g.f(decay))
	g.sub(p, p, t)
	g.sub(p, p, change)
	g.store(p, 0)
}
