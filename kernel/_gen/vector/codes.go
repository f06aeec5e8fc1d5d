package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
)

// codeKernels are the kernels of AdamW8. p4 is its momentBlock, p5 its
// momentCodes.
var codeKernels = []kernel{
	{name: "AdamW8", loop: "m, v = p4.m, p4.v = decoded p2, p3; as adamWGo; acc, acc2 = max(acc, |m|), max(acc2, |v|) as integers", ptrs: 6, accs: 2, bits: true, body: func(g *gen) {
		m, v, sign := g.loadCodes(2), g.loadCodes(3), g.tmp()
		g.op(VPSUBD, g.k(cInt127), m, m)
		g.and(sign, m, g.k(cSign))
		g.op(VPABSD, m, m)
		g.value(m, signed, cHalf)
		g.or(m, m, sign)
		g.drop(1)
		g.mul(m, m, g.blockMax(0))
		g.value(v, unsigned, cThreeHalves)
		g.mul(v, v, g.blockMax(1))
		grad := g.load(1)
		moments(g, grad, m, v)
		g.storeMoment(m, 0)
		g.storeMoment(v, 1)
		g.adamStep(m, v)
	}},
	{name: "EncodeSigned", loop: "as encodeSigned", ptrs: 6, bits: true, body: func(g *gen) {
		x := g.load(1)
		g.mul(x, x, g.f(0))
		y := g.tmp()
		g.and(y, x, g.k(cAbs))
		g.place(y, signed)
		g.op(VPSRAD, operand.Imm(31), x, x) // -place is (place^-1) - -1
		g.op(VXORPS, x, y, y)
		g.op(VPSUBD, x, y, y)
		g.op(VPADDD, g.k(cInt127), y, y)
		g.op(VPMAXSD, g.k(cZero), y, y)
		g.storeCodes(y, 0)
		g.prefetch(2)
	}},
	{name: "EncodeUnsigned", loop: "as encodeUnsigned", ptrs: 6, bits: true, body: func(g *gen) {
		x := g.load(1)
		g.mul(x, x, g.f(0))
		y := g.tmp()
		g.move(y, x)
		g.place(y, unsigned)
		g.op(VPMINUD, g.k(cInt1), x, x) // 1 but for 0
		g.op(VPMAXSD, x, y, y)
		g.storeCodes(y, 0)
		g.prefetch(2)
	}},
}

// Byte offsets within codes, and of m and v in momentCodes.
const (
	codesLimit = 32 * iota
	codesSlope
	codesOffset
	codesTop
	codesScale
	codesShift
	codesValue
	codesSize = codesValue + 256*4

	signed, unsigned = 0, codesSize
)

// Elements of a group, as kernel.CodeGroup.
const codeBlock = 2048

// pick sets d, lane by lane, to element index mod 8 of an array of codes.
func (g *gen) pick(d, index v, array int) {
	g.op(VPERMPS, g.scalar(broadcast{fromCodes, array}), index, d)
}

// storeMoment writes the decoded m (0) or v (1) and updates the reduction of its
// absmax.
func (g *gen) storeMoment(x v, moment int) {
	t := g.tmp()
	g.emit(func() {
		m := g.mem(4)
		m.Disp += 4 * codeBlock * moment
		VMOVUPS(x, m)
	})
	g.move(t, x)
	g.maxBitsOf(t, moment)
	g.drop(1)
}

// blockMax is the absmax of m (0) or v (1) in all lanes.
func (g *gen) blockMax(moment int) v { return g.scalar(broadcast{fromBlock, 8*codeBlock + 4*moment}) }

// value turns places, integers, into values.
func (g *gen) value(t v, codes, middle int) {
	e, scale := g.tmp(), g.tmp()
	g.op(VCVTDQ2PS, t, t)
	g.add(t, t, g.k(middle))
	g.op(VPSRLD, operand.Imm(23), t, e)
	g.pick(scale, e, codes+codesScale)
	g.pick(e, e, codes+codesShift)
	g.mulAdd(t, scale, e)
	g.min(t, t, g.k(cOne))
	g.drop(2)
}

// place turns magnitudes up to 1 into places. The upper half of a float32's bits
// is nearly its logarithm: it gives a decade that is right or one too low.
func (g *gen) place(y v, codes int) {
	d, t, u := g.tmp(), g.tmp(), g.tmp()
	g.op(VPSRLD, operand.Imm(16), y, d)
	g.op(VPSUBUSW, g.k(cDecade0), d, d)
	g.op(VPMULHUW, g.k(cDecadeUnit), d, d)
	g.pick(t, d, codes+codesLimit)
	g.sub(t, t, y)
	g.op(VPSRAD, operand.Imm(31), t, t) // -1 if y > the limit
	g.op(VPSUBD, t, d, d)
	g.pick(t, d, codes+codesSlope)
	g.pick(u, d, codes+codesOffset)
	g.mulAdd(y, t, u)
	g.pick(t, d, codes+codesTop)
	g.min(y, y, t)
	g.op(VCVTTPS2DQ, y, y)
	g.drop(3)
}

// codeMem returns the memory of the codes of this half.
func (g *gen) codeMem(p int) operand.Mem {
	return operand.Mem{Base: pointers[p], Index: index, Scale: 1, Disp: 8 * g.half}
}

// prefetch brings the elements of slice p to the second-level cache.
func (g *gen) prefetch(p int) {
	if g.half == 0 {
		g.emit(func() { PREFETCHT1(g.mem(p)) })
	}
}

// loadCodes is a new temporary with the codes of slice p as integers.
func (g *gen) loadCodes(p int) v {
	t := g.tmp()
	g.emit(func() { VPMOVZXBD(g.codeMem(p), t) })
	return t
}

// storeCodes writes the integers x, from 0 to 255, to slice p; it spoils x.
func (g *gen) storeCodes(x v, p int) { g.storeBytes(x, p, VPACKUSDW, VPACKUSWB) }

// storeBytes writes the integers x, which a byte holds, to slice p; it spoils x. The two instructions pack words and
// bytes of their sign.
func (g *gen) storeBytes(x v, p int, words, bytes func(...operand.Op)) {
	t := g.tmp()
	g.emit(func() {
		if g.halves == 1 {
			VPMOVDB(x, g.codeMem(p))
			return
		}
		VEXTRACTI128(operand.Imm(1), x, t.AsX())
		words(t.AsX(), x.AsX(), x.AsX())
		bytes(x.AsX(), x.AsX(), x.AsX())
		VMOVQ(x.AsX(), g.codeMem(p))
	})
	g.drop(1)
}
