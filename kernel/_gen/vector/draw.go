package main

import (
	"strings"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Byte offsets within keepArgs.
const (
	keepBits  = 0
	keepDraws = 8
	keepCtr   = 16
	keepKey   = 32
	keepLast  = 40
)

// draw emits the Philox draws of dropout or, whole, of rounding. A 64-bit lane holds one word of one
// draw in its low half; the high half is garbage that nothing reads, for
// VPMULUDQ takes the low halves only.
func (s isa) draw(whole bool) {
	name, what := "vecDraw"+s.name, "bit j of keep[i] = half-word j of w <= last"
	perVector := 8 / s.halves
	step16 := perVector // bytes that a vector's draws become
	if whole {
		name, what, step16 = "vecHalves"+s.name, "keep[16*i:] = w", 16*perVector
	}
	TEXT(name, 4, "func(a *byte)") // NOSPLIT
	Pragma("noescape")
	Doc(name+" works on keepArgs a:", "", "\tfor i < draws { w := Philox(ctr+i, key); "+what+" }")
	Load(Param("a"), args)
	bits, draws := reg.RDI, end
	MOVQ(operand.Mem{Base: args, Disp: keepBits}, bits)
	MOVQ(operand.Mem{Base: args, Disp: keepDraws}, draws)
	r := s.reg
	broadcast := func(disp int, d v) {
		VPBROADCASTD(operand.Mem{Base: args, Disp: disp}, d)
	}
	counter, sample, step, site := r[0], r[1], r[2], r[3]
	c := []v{r[4], r[5], r[6], r[7]}
	p0, p1, k0, k1 := r[8], r[9], r[10], r[11]
	mul0, mul1, weyl, last := r[12], r[13], r[14], r[15]
	order := []int{0, 1, 2, 3}
	if s.halves == 1 {
		// VPUNPCKLQDQ takes the even lanes, VPUNPCKHQDQ the odd ones: put the
		// first four draws in the even lanes, the last four in the odd ones.
		order = []int{0, 4, 1, 5, 2, 6, 3, 7}
	} else if whole {
		order = []int{0, 2, 1, 3} // so too
	}
	table := func(name string, words ...int) operand.Mem {
		m := GLOBL(name, 8|16) // RODATA|NOPTR
		for i, w := range words {
			DATA(4*i, operand.U32(w))
		}
		return m
	}
	var lanes []int
	for _, o := range order {
		lanes = append(lanes, o, 0)
	}
	// Philox's two multipliers, its two Weyl increments, a vector's draws.
	constants := table(strings.Replace(name, "vec", "vecPhilox", 1), 0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85, perVector)
	at := func(i int) operand.Mem { m := constants; m.Disp += 4 * i; return m }
	broadcast(keepCtr, counter)
	VPADDD(table(name+"Order", lanes...), counter, counter)
	broadcast(keepCtr+4, sample)
	broadcast(keepCtr+8, step)
	broadcast(keepCtr+12, site)
	VPBROADCASTD(at(0), mul0)
	VPBROADCASTD(at(1), mul1)
	VPBROADCASTW(operand.Mem{Base: args, Disp: keepLast}, last)

	Label("loop")
	broadcast(keepKey, k0)
	broadcast(keepKey+4, k1)
	for i, w := range []v{counter, sample, step, site} {
		VMOVAPS(w, c[i])
	}
	for round := range 10 {
		if round > 0 {
			VPBROADCASTD(at(2), weyl)
			VPADDD(weyl, k0, k0)
			VPBROADCASTD(at(3), weyl)
			VPADDD(weyl, k1, k1)
		}
		VPMULUDQ(c[0], mul0, p0)
		VPMULUDQ(c[2], mul1, p1)
		VPSRLQ(operand.Imm(32), p1, c[0])
		VPSRLQ(operand.Imm(32), p0, c[2])
		s.xor3(c[0], c[1], k0)
		s.xor3(c[2], c[3], k1)
		VMOVAPS(p1, c[1])
		VMOVAPS(p0, c[3])
	}
	// Words 0 and 1 of a draw side by side, and 2 and 3: then its 8 half-words.
	for _, i := range []int{0, 2} {
		VPSLLQ(operand.Imm(32), c[i], c[i])
		VPSRLQ(operand.Imm(32), c[i], c[i])
		VPSLLQ(operand.Imm(32), c[i+1], c[i+1])
		VORPS(c[i], c[i+1], c[i])
	}
	VPUNPCKLQDQ(c[2], c[0], p0)
	VPUNPCKHQDQ(c[2], c[0], p1)
	if whole {
		VMOVUPS(p0, operand.Mem{Base: bits})
		VMOVUPS(p1, operand.Mem{Base: bits, Disp: 64 / s.halves})
	} else if s.halves == 1 {
		VPCMPUW(operand.Imm(2), last, p0, reg.K1) // <=
		VPCMPUW(operand.Imm(2), last, p1, reg.K2)
		KMOVD(reg.K1, operand.Mem{Base: bits})
		KMOVD(reg.K2, operand.Mem{Base: bits, Disp: 4})
	} else {
		for _, p := range []v{p0, p1} {
			VPMINUW(p, last, c[1])
			VPCMPEQW(p, c[1], p)
		}
		VPACKSSWB(p1, p0, p0)
		VPMOVMSKB(p0, scratch.As32())
		MOVL(scratch.As32(), operand.Mem{Base: bits})
	}
	VPBROADCASTD(at(4), weyl)
	VPADDD(weyl, counter, counter)
	ADDQ(operand.U32(step16), bits)
	SUBQ(operand.Imm(uint64(perVector)), draws)
	JNE(operand.LabelRef("loop"))
	VZEROUPPER()
	RET()
}

// xor3 sets d = d^a^b.
func (s isa) xor3(d, a, b v) {
	if s.halves == 1 {
		VPTERNLOGD(operand.Imm(0x96), b, a, d)
		return
	}
	VPXOR(a, d, d)
	VPXOR(b, d, d)
}
