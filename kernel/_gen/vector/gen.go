package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/bdia-go/bdia/kernel/_gen/avx"
)

// Byte offsets within vecArgs.
const (
	argN    = 0
	argOff  = 8
	argP    = 16
	argK    = 64
	argF    = 72
	argAcc  = 104
	argAcc2 = 168
	argLD   = 232
)

// isa is what differs between the instruction sets. An iteration covers 16
// elements: one vector of AVX-512, or the body twice ("halves") for AVX2.
type isa struct {
	name   string
	halves int
	reg    []reg.VecPhysical
}

var (
	avx512 = isa{"512", 1, avx.Zs}
	avx2   = isa{"256", 2, avx.Ys}
)

var (
	args     = reg.RAX
	index    = reg.RBX
	end      = reg.R9
	table    = reg.R10
	scratch  = reg.R11
	rest     = reg.R13
	pointers = []reg.GPPhysical{reg.RDI, reg.RSI, reg.RDX, reg.RCX, reg.R8, reg.R12}
)

// v is one vector register.
type v = reg.VecPhysical

// broadcast is a scalar in memory: a constant (k) or an argument (f); or an
// array of eight (codes).
type broadcast struct {
	from source
	i    int
}

type source uint8

const (
	fromConstants source = iota
	fromArguments
	fromBlock // of AdamW8, by byte offset, as are the codes
	fromCodes
)

func (b broadcast) mem() operand.Mem {
	switch b.from {
	case fromConstants:
		return operand.Mem{Base: table, Disp: 4 * b.i}
	case fromBlock:
		return operand.Mem{Base: pointers[4], Disp: b.i}
	case fromCodes:
		return operand.Mem{Base: pointers[5], Disp: b.i}
	}
	return operand.Mem{Base: args, Disp: argF + 4*b.i}
}

// load sets every lane, or every eight, of r to b.
func (s isa) load(b broadcast, r v) {
	switch {
	case b.from != fromCodes:
		VBROADCASTSS(b.mem(), r)
	case s.halves == 1:
		VBROADCASTF32X8(b.mem(), r)
	default:
		VMOVUPS(b.mem(), r)
	}
}

// gen emits the body of one kernel. The first run is dry: it only counts the
// scalars in use and the temporaries alive.
type gen struct {
	isa
	dry     bool
	half    int
	temps   int // in use
	most    int
	used    []broadcast
	hoisted map[broadcast]v
	spare   []v // for scalars that do not fit; used in turn
	turn    int
	free    []v
	accs    [][]v // by reduction and half
	own     []v   // for one kernel's own use
	masked  bool  // in the tail: only the lanes of K2 or mask count
	mask    v     // AVX2 only, as is part
	part    v
}

// kernel describes one assembly function.
type kernel struct {
	name  string
	loop  string // the Go loop that it stands for
	ptrs  int    // slices
	accs  int    // reductions
	body  func(g *gen)
	start func() // before the loop, once the arguments are loaded
	from  int    // constant that reductions start from; without one, 0
	bits  bool   // side information: no tail
}

func (k kernel) emit(s isa) {
	dry := &gen{isa: s, dry: true}
	k.body(dry)

	name := "vec" + k.name + s.name
	TEXT(name, 4, "func(a *byte)") // NOSPLIT
	Pragma("noescape")
	Doc(name+" works on vecArgs a; x[i] stands for element i of slice p:", "", "\t"+k.loop)
	Load(Param("a"), args)
	for i := range k.ptrs {
		MOVQ(operand.Mem{Base: args, Disp: argP + 8*i}, pointers[i])
	}
	MOVQ(operand.Mem{Base: args, Disp: argK}, table)
	MOVQ(operand.Mem{Base: args, Disp: argOff}, index)
	MOVQ(operand.Mem{Base: args, Disp: argN}, end)
	MOVQ(end, rest)
	ANDQ(operand.Imm(15), rest)
	SUBQ(rest, end)
	ADDQ(index, end)

	if k.start != nil {
		k.start()
	}
	g := &gen{isa: s, hoisted: map[broadcast]v{}}
	g.allocate(dry, k.accs, 0)
	g.startAccs(k)
	g.hoist(dry)
	CMPQ(index, end)
	JGE(operand.LabelRef("tail"))
	Label("loop")
	g.run(k)
	ADDQ(operand.Imm(16), index)
	CMPQ(index, end)
	JLT(operand.LabelRef("loop"))
	Label("tail")
	if !k.bits {
		TESTQ(rest, rest)
		JZ(operand.LabelRef("done"))
		g.runMasked(k)
	}
	Label("done")
	g.eachAcc(func(r v, m operand.Mem) { VMOVUPS(r, m) })
	VZEROUPPER()
	RET()
}

// allocate divides the registers that the dry run leaves: accs reductions, own
// for the kernel's own use.
func (g *gen) allocate(dry *gen, accs, own int) {
	g.free = g.reg[dry.most:]
	if g.halves == 2 {
		g.mask, g.part = g.take(), g.take()
	}
	for a := range accs {
		g.accs = append(g.accs, nil)
		for range g.halves {
			g.accs[a] = append(g.accs[a], g.take())
		}
	}
	for range own {
		g.own = append(g.own, g.take())
	}
}

// hoist loads scalars that the dry run has used into the registers left.
func (g *gen) hoist(dry *gen) {
	if len(dry.used) > len(g.free) {
		g.spare = []v{g.take(), g.take()}
	}
	for _, b := range dry.used {
		if len(g.free) == 0 {
			break
		}
		g.hoisted[b] = g.take()
		g.isa.load(b, g.hoisted[b])
	}
}

// take is a free register.
func (g *gen) take() v {
	r := g.free[0]
	g.free = g.free[1:]
	return r
}

// run emits the body for 16 elements.
func (g *gen) run(k kernel) { g.halfByHalf(func() { k.body(g) }) }

func (g *gen) halfByHalf(body func()) {
	for h := range g.halves {
		g.half, g.temps = h, 0
		if g.masked && g.halves == 2 {
			VMOVUPS(operand.Mem{Base: rest, Disp: 64 + 32*h}, g.mask)
		}
		body()
	}
}

// setMask makes the mask of as many lanes as rest says. It clobbers rest and
// scratch.
func (g *gen) setMask() {
	LEAQ(laneMasks, scratch)
	SHLQ(operand.Imm(2), rest)
	NEGQ(rest)
	ADDQ(scratch, rest)
	if g.halves == 1 {
		VMOVUPS(operand.Mem{Base: rest, Disp: 64}, g.reg[0])
		VPMOVD2M(g.reg[0], reg.K2)
	}
}

// runMasked emits the body for the last 1..15 elements; lanes past them read as
// 0, are not written and do not reach the reductions.
func (g *gen) runMasked(k kernel) {
	g.setMask()
	g.masked = true
	g.run(k)
	g.masked = false
}

// startAccs sets the reductions to their start at offset 0 and reads them back
// from acc further on.
func (g *gen) startAccs(k kernel) {
	if k.accs == 0 {
		return
	}
	from := k.from
	if from == 0 {
		from = cZero
	}
	g.eachAcc(func(r v, _ operand.Mem) { VBROADCASTSS(broadcast{fromConstants, from}.mem(), r) })
	TESTQ(index, index)
	JZ(operand.LabelRef("start"))
	g.eachAcc(func(r v, m operand.Mem) { VMOVUPS(m, r) })
	Label("start")
}

func (g *gen) eachAcc(f func(r v, m operand.Mem)) {
	for a, halves := range g.accs {
		for h, r := range halves {
			f(r, operand.Mem{Base: args, Disp: argAcc + a*(argAcc2-argAcc) + 32*h})
		}
	}
}

// acc is the register of reduction a.
func (g *gen) acc(a int) v {
	if g.dry {
		return reg.Y0
	}
	return g.accs[a][g.half]
}

// tmp is a new temporary.
func (g *gen) tmp() v {
	g.temps++
	g.most = max(g.most, g.temps)
	return g.reg[g.temps-1]
}

// drop frees the n newest temporaries.
func (g *gen) drop(n int) { g.temps -= n }

func (g *gen) k(i int) v { return g.scalar(broadcast{fromConstants, i}) }
func (g *gen) f(i int) v { return g.scalar(broadcast{fromArguments, i}) }

// scalar is a register that holds b in every lane; to be used at once.
func (g *gen) scalar(b broadcast) v {
	if g.dry {
		for _, u := range g.used {
			if u == b {
				return reg.Y0
			}
		}
		g.used = append(g.used, b)
		return reg.Y0
	}
	if r, ok := g.hoisted[b]; ok {
		return r
	}
	r := g.spare[g.turn]
	g.turn = 1 - g.turn
	g.isa.load(b, r)
	return r
}

// mem returns the memory of the elements of slice p of this half.
func (g *gen) mem(p int) operand.Mem {
	return operand.Mem{Base: pointers[p], Index: index, Scale: 4, Disp: 32 * g.half}
}

// load is a new temporary with the elements of slice p.
func (g *gen) load(p int) v {
	t := g.tmp()
	g.loadFrom(g.mem(p), t)
	return t
}

// loadFrom sets t to the elements at m.
func (g *gen) loadFrom(m operand.Mem, t v) {
	g.emit(func() {
		switch {
		case !g.masked:
			VMOVUPS(m, t)
		case g.halves == 1:
			VMOVUPS_Z(m, reg.K2, t)
		default:
			VMASKMOVPS(m, g.mask, t)
		}
	})
}

// store writes x to slice p.
func (g *gen) store(x v, p int) {
	g.emit(func() {
		switch {
		case !g.masked:
			VMOVUPS(x, g.mem(p))
		case g.halves == 1:
			VMOVUPS(x, reg.K2, g.mem(p))
		default:
			VMASKMOVPS(x, g.mask, g.mem(p))
		}
	})
}

func (g *gen) emit(f func()) {
	if !g.dry {
		f()
	}
}

// op emits one instruction; the last operand is the destination. In the tail a
// reduction keeps the lanes that do not count.
func (g *gen) op(f func(...operand.Op), ops ...operand.Op) {
	if g.dry {
		return
	}
	d := ops[len(ops)-1]
	if !g.masked || !g.isAcc(d) {
		f(ops...)
		return
	}
	if g.halves == 1 {
		f(append(ops[:len(ops)-1:len(ops)-1], reg.K2, d)...)
		return
	}
	VMOVAPS(d, g.part)
	for i, o := range ops {
		if o == d {
			ops[i] = g.part
		}
	}
	f(ops...)
	VBLENDVPS(g.mask, g.part, d, d)
}

func (g *gen) isAcc(o operand.Op) bool {
	for _, halves := range g.accs {
		for _, r := range halves {
			if o == r {
				return true
			}
		}
	}
	return false
}

func (g *gen) move(d, a v)      { g.op(VMOVAPS, a, d) }
func (g *gen) add(d, a, b v)    { g.op(VADDPS, b, a, d) }       // d = a+b
func (g *gen) sub(d, a, b v)    { g.op(VSUBPS, b, a, d) }       // d = a-b
func (g *gen) mul(d, a, b v)    { g.op(VMULPS, b, a, d) }       // d = a*b
func (g *gen) div(d, a, b v)    { g.op(VDIVPS, b, a, d) }       // d = a/b
func (g *gen) max(d, a, b v)    { g.op(VMAXPS, b, a, d) }       // d = a > b ? a : b
func (g *gen) min(d, a, b v)    { g.op(VMINPS, b, a, d) }       // d = a < b ? a : b
func (g *gen) and(d, a, b v)    { g.op(VANDPS, b, a, d) }       // d = a&b
func (g *gen) or(d, a, b v)     { g.op(VORPS, b, a, d) }        // d = a|b
func (g *gen) sqrt(d, a v)      { g.op(VSQRTPS, a, d) }         // d = sqrt(a)
func (g *gen) mulAdd(d, b, c v) { g.op(VFMADD213PS, c, b, d) }  // d = fma(d,b,c)
func (g *gen) mulSub(d, b, c v) { g.op(VFMSUB213PS, c, b, d) }  // d = fma(d,b,-c)
func (g *gen) addMul(d, a, b v) { g.op(VFMADD231PS, b, a, d) }  // d = fma(a,b,d)
func (g *gen) subMul(d, a, b v) { g.op(VFNMADD231PS, b, a, d) } // d = fma(-a,b,d)

// round sets d to a rounded to an integer, ties to even.
func (g *gen) round(d, a v) {
	g.emit(func() {
		if g.halves == 1 {
			VRNDSCALEPS(operand.Imm(8), a, d)
		} else {
			VROUNDPS(operand.Imm(8), a, d)
		}
	})
}

// blend sets d to neg in the lanes where the sign bit of s is set, else to pos.
func (g *gen) blend(d, s, neg, pos v) {
	g.emit(func() {
		if g.halves == 1 {
			VPMOVD2M(s, reg.K1)
			VBLENDMPS(neg, pos, reg.K1, d)
		} else {
			VBLENDVPS(s, neg, pos, d)
		}
	})
}

// maxBits takes |x|, as integers, into reduction 0. It spoils x.
func (g *gen) maxBits(x v) { g.maxBitsOf(x, 0) }

// maxBitsOf is maxBits of reduction a.
func (g *gen) maxBitsOf(x v, a int) {
	g.and(x, x, g.k(cAbs))
	g.op(VPMAXUD, x, g.acc(a), g.acc(a))
}

// exp sets x = expf(x) and needs two temporaries.
func (g *gen) exp(x v) {
	t, n := g.tmp(), g.tmp()
	g.max(x, g.k(cExpLo), x)
	g.min(x, g.k(cExpHi), x)
	g.move(t, g.k(cMagic))
	g.addMul(t, x, g.k(cLog2E))
	g.sub(n, t, g.k(cMagic))
	g.op(VPSLLD, operand.Imm(23), t, t)
	g.addMul(x, n, g.k(cNegLn2Hi))
	g.addMul(x, n, g.k(cNegLn2Lo))
	g.move(n, g.k(cExp6))
	for _, c := range []int{cExp5, cExp4, cExp3, cExp2, cHalf, cOne, cOne} {
		g.mulAdd(n, x, g.k(c))
	}
	g.mul(x, n, t)
	g.drop(2)
}

var (
	toSign    operand.Mem // the shifts that bring bit j to the sign of lane j
	laneMasks operand.Mem // 16 words of ones, then 16 of zeros
)

func makeTables() {
	toSign = GLOBL("vecToSign", 8|16) // RODATA|NOPTR
	for j := range 8 {
		DATA(4*j, operand.U32(31-j))
	}
	laneMasks = GLOBL("vecLaneMasks", 8|16)
	for j := range 32 {
		ones := operand.U32(0)
		if j < 16 {
			ones = 1<<32 - 1
		}
		DATA(4*j, ones)
	}
}
