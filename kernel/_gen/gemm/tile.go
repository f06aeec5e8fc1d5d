package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// columns is the number of vectors of C in a tile, and whether the last one has
// only n lanes.
type columns int

const (
	twoFull columns = iota
	twoMasked
	oneMasked
)

func (c columns) String() string { return [...]string{"full", "mask2", "mask1"}[c] }

// tile emits the kernel of mr rows and returns its name. With across, element
// (i,k) of A is a[k*as+i] (A transposed, in place or packed), else a[i*as+k].
func (s isa) tile(across bool, cols columns, mr int) string {
	vecs, unroll := 2, 1
	switch cols {
	case twoFull:
		unroll = 4
	case oneMasked:
		vecs = 1
	}
	name := fmt.Sprintf("gemmTile%s%s%dx%s", s.name, map[bool]string{false: "Along", true: "Across"}[across], mr, cols)
	TEXT(name, 4, "func(k int, a *float32, as int, b *float32, bs int, s *float32, ss int, c *float32, cs int, n int, p *float32, ps int)")
	Pragma("noescape")
	element := "a[i*as+k]"
	if across {
		element = "a[k*as+i]"
	}
	width := map[columns]string{twoFull: fmt.Sprint(2 * s.w), twoMasked: fmt.Sprintf("%d+n", s.w), oneMasked: "n"}[cols]
	Doc(fmt.Sprintf("%s computes, for i < %d and j < %s,", name, mr, width), "",
		"\tc[i*cs+j] = s[i*ss+j]",
		fmt.Sprintf("\tfor k: c[i*cs+j] = fma(%s, b[k*bs+j], c[i*cs+j])", element), "",
		map[bool]string{true: "and, for q < k/4, brings the 32 floats p[q*ps:] nearer.", false: "p and ps do not count."}[cols == twoFull])

	acc := func(i, v int) reg.VecPhysical { return s.reg[i*vecs+v] }
	free := s.reg[2*s.mr:] // AVX-512: 4 registers, AVX2: 4
	bv, bc, mask := free[:2], free[2], free[3]

	t := access{s: s, mask: mask}
	if cols != twoFull {
		t.setMask()
		t.last = vecs - 1
	} else {
		t.last = -1
	}

	// The accumulators start from s.
	start, ss := arg("s", reg.R10), arg("ss", reg.R11)
	SHLQ(operand.Imm(2), ss)
	for i := range mr {
		for v := range vecs {
			t.load(v, at(start, nil, 0, v*s.w*4), acc(i, v))
		}
		if i+1 < mr {
			ADDQ(ss, start)
		}
	}

	// The next tile of the panel will want its rows of C.
	if cols == twoFull {
		c, cs := arg("c", reg.RDI), arg("cs", reg.R9)
		SHLQ(operand.Imm(2), cs)
		MOVQ(cs, reg.RAX)
		IMUL3Q(operand.Imm(uint64(mr)), reg.RAX, reg.RAX)
		ADDQ(reg.RAX, c)
		for range mr {
			PREFETCHT1(at(c, nil, 0, 0))
			if s.w == 16 {
				PREFETCHT1(at(c, nil, 0, 64))
			}
			ADDQ(cs, c)
		}
	}

	k := arg("k", reg.RCX)
	b, bs := arg("b", reg.RDI), arg("bs", reg.R9)
	SHLQ(operand.Imm(2), bs)
	a, as := arg("a", reg.RSI), arg("as", reg.R8)
	SHLQ(operand.Imm(2), as)

	// Rows of A in place are reached from every fifth row by as times 0 to 4.
	rows := []reg.Register{a, reg.R10, reg.R11}[:1]
	as3, bs3 := reg.RAX, reg.RBX
	if unroll > 2 || !across {
		LEAQ(at(as, as, 2, 0), as3)
	}
	if unroll > 2 {
		LEAQ(at(bs, bs, 2, 0), bs3)
	}
	if !across {
		for i := 5; i < mr; i += 5 {
			r := []reg.GPPhysical{reg.R10, reg.R11}[i/5-1]
			LEAQ(at(rows[len(rows)-1], as, 4, 0), r)
			ADDQ(as, r)
			rows = append(rows, r)
		}
	}
	elem := func(i, u int) operand.Mem {
		if across {
			return times(a, as, as3, u, 4*i)
		}
		return times(rows[i/5], as, as3, i%5, 4*u)
	}
	step := func(u int) {
		for v := range vecs {
			t.load(v, times(b, bs, bs3, u, v*s.w*4), bv[v])
		}
		for i := range mr {
			VBROADCASTSS(elem(i, u), bc)
			for v := range vecs {
				VFMADD231PS(bc, bv[v], acc(i, v))
			}
		}
	}
	advance := func(n int) {
		if n == 1 {
			ADDQ(bs, b)
		} else {
			LEAQ(at(b, bs, uint8(n), 0), b)
		}
		switch {
		case !across:
			for _, r := range rows {
				ADDQ(operand.Imm(uint64(4*n)), r)
			}
		case n == 1:
			ADDQ(as, a)
		default:
			LEAQ(at(a, as, uint8(n), 0), a)
		}
	}
	soon, ps := reg.R12, reg.R13
	if unroll > 1 {
		arg("p", soon)
		SHLQ(operand.Imm(2), arg("ps", ps))
		SUBQ(operand.Imm(uint64(unroll)), k)
		JLT(operand.LabelRef("rest"))
		Label("many")
		PREFETCHT1(at(soon, nil, 0, 0))
		for u := range unroll {
			if u == unroll/2 {
				PREFETCHT1(at(soon, nil, 0, 64))
				ADDQ(ps, soon)
			}
			step(u)
		}
		advance(unroll)
		SUBQ(operand.Imm(uint64(unroll)), k)
		JGE(operand.LabelRef("many"))
		Label("rest")
		ADDQ(operand.Imm(uint64(unroll)), k)
	}
	TESTQ(k, k)
	JEQ(operand.LabelRef("store"))
	Label("one")
	step(0)
	advance(1)
	DECQ(k)
	JNE(operand.LabelRef("one"))

	Label("store")
	c, cs := arg("c", reg.RDI), arg("cs", reg.R9)
	SHLQ(operand.Imm(2), cs)
	for i := range mr {
		for v := range vecs {
			t.store(v, acc(i, v), at(c, nil, 0, v*s.w*4))
		}
		if i+1 < mr {
			ADDQ(cs, c)
		}
	}
	VZEROUPPER()
	RET()
	return name
}

// times is the memory at base + n*stride + disp for n up to 4, given the stride
// and three times the stride.
func times(base, stride, stride3 reg.Register, n, disp int) operand.Mem {
	if n == 3 {
		return at(base, stride3, 1, disp)
	}
	return at(base, stride, uint8(n), disp)
}

// access loads and stores vectors; vector number last is masked.
type access struct {
	s    isa
	last int
	mask reg.VecPhysical // AVX2 only; AVX-512 uses K1
}

// setMask makes the mask of n lanes.
func (t *access) setMask() {
	n := arg("n", reg.RCX)
	laneMask(t.s, n, t.mask, reg.K1)
}

// laneMask makes the mask of the first n lanes, in m for AVX2 and in k for
// AVX-512. It clobbers n, which must be CX, and AX.
func laneMask(s isa, n reg.GPPhysical, m reg.VecPhysical, k reg.Register) {
	if s.w == 16 {
		MOVL(operand.U32(1), reg.EAX)
		SHLL(reg.CL, reg.EAX)
		DECL(reg.EAX)
		KMOVW(reg.EAX, k)
		return
	}
	NEGQ(n)
	LEAQ(operand.NewDataAddr(operand.NewStaticSymbol("gemmMask"), 32), reg.RAX)
	VMOVDQU(at(reg.RAX, n, 4, 0), m)
}

func (t *access) load(v int, m operand.Mem, r reg.VecPhysical) {
	switch {
	case v != t.last:
		VMOVUPS(m, r)
	case t.s.w == 16:
		VMOVUPS_Z(m, reg.K1, r)
	default:
		VMASKMOVPS(m, t.mask, r)
	}
}

func (t *access) store(v int, r reg.VecPhysical, m operand.Mem) {
	switch {
	case v != t.last:
		VMOVUPS(r, m)
	case t.s.w == 16:
		VMOVUPS(r, reg.K1, m)
	default:
		VMASKMOVPS(r, t.mask, m)
	}
}
