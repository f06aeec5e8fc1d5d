package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
)

// halfKernels are the kernels of bfloat16: elements of 16 bits, the upper halves of float32.
var halfKernels = []kernel{
	{name: "Widen", loop: "p0 = float32 of the bfloat16 p1", ptrs: 2, bits: true, body: func(g *gen) {
		g.store(g.loadHalves(1, 16), 0)
	}},
	{name: "Narrow", loop: "p0 = bfloat16 of p1, as narrowGo with p2", ptrs: 3, bits: true, body: func(g *gen) {
		g.storeRounded(g.load(1), g.loadHalves(2, 0))
	}},
	{name: "Nearest", loop: "p0 = bfloat16 of p1, to nearest", ptrs: 2, bits: true, body: func(g *gen) {
		x, up, most := g.load(1), g.tmp(), g.tmp()
		g.op(VPSRLD, operand.Imm(16), x, up)
		g.and(up, up, g.k(cInt1))
		g.move(most, g.k(cAbs))
		g.op(VPSRLD, operand.Imm(16), most, most)
		g.op(VPADDD, most, up, up) // half a step, and less for an even one
		g.drop(1)
		g.storeRounded(x, up)
	}},
}

// storeRounded writes the upper halves of the bits of x + up to slice 0; of a NaN, those of x with the bit that makes it
// quiet. It spoils both.
func (g *gen) storeRounded(x, up v) {
	nan := g.tmp()
	g.and(nan, x, g.k(cAbs))
	g.op(VPSUBD, nan, g.k(cPosInf), nan) // negative for a NaN
	g.op(VPSRAD, operand.Imm(31), nan, nan)
	g.op(VANDNPS, up, nan, up)
	g.op(VPADDD, up, x, x)
	g.op(VPSRLD, operand.Imm(16), x, x)
	g.op(VPSRLD, operand.Imm(31), nan, nan)
	g.op(VPSLLD, operand.Imm(6), nan, nan)
	g.or(x, x, nan)
	g.storeHalves(x, 0)
}

// halfMem returns the memory of the elements of 16 bits of slice p of this half.
func (g *gen) halfMem(p int) operand.Mem {
	return operand.Mem{Base: pointers[p], Index: index, Scale: 2, Disp: 16 * g.half}
}

// loadHalves is a new temporary with the elements of 16 bits of slice p, shifted to the left.
func (g *gen) loadHalves(p int, shift uint8) v {
	t := g.tmp()
	g.op(VPMOVZXWD, g.halfMem(p), t)
	if shift > 0 {
		g.op(VPSLLD, operand.Imm(uint64(shift)), t, t)
	}
	return t
}

// storeHalves writes the integers x, of 16 bits, to slice p; it spoils x.
func (g *gen) storeHalves(x v, p int) {
	t := g.tmp()
	g.emit(func() {
		if g.halves == 1 {
			VPMOVDW(x, g.halfMem(p))
			return
		}
		VEXTRACTI128(operand.Imm(1), x, t.AsX())
		VPACKUSDW(t.AsX(), x.AsX(), x.AsX())
		VMOVDQU(x.AsX(), g.halfMem(p))
	})
	g.drop(1)
}
