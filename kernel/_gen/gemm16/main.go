// Command gemm16 writes the kernels of the products of bfloat16:
//
//	go run ./gemm16 -pkg kernel -out gemm16_amd64.s -stubs gemm16_stub_amd64.go
//
// Operands are packed in tiles of 16 rows, or columns, by 32 k: one group of the definition in kernel/gemm16.go. A tile
// of A holds 16 rows of 32 k, and a tile of B holds 16 rows of 16 pairs (k, k+1), a pair for each column. So both are 16
// by 16 words of 32 bits, and each is the other's transposition.
package main

import (
	"flag"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/bdia-go/bdia/kernel/_gen/avx"
)

// isa is what differs between the vector instruction sets.
type isa struct {
	name string
	w    int // words of 32 bits in a vector
	mr   int // most rows of a tile of C: four accumulators for each must fit
	reg  []reg.VecPhysical
}

var (
	avx512 = isa{"512", 16, 7, avx.Zs}
	avx2   = isa{"256", 8, 3, avx.Ys}
)

const (
	tileBytes  = 1024 // of 16 by 32 bfloat16
	groupBytes = 2048 // of two tiles: 32 rows or columns
)

func main() {
	flag.Parse()
	ConstraintExpr("amd64,!noasm")
	constants()
	for _, s := range []isa{avx512, avx2} {
		for _, along := range []bool{true, false} {
			for _, full := range []bool{false, true} {
				s.pack(along, full, true)
				s.pack(along, full, false)
			}
		}
		s.widenA()
		s.widenB()
		s.narrow()
		s.row(false)
		s.row(true)
		for mr := 1; mr <= s.mr; mr++ {
			s.tile(mr)
		}
	}
	for _, w := range []writer{toTiles, toHalves} {
		w.tileKernel()
	}
	tilePeak()
	Generate()
}

// at is the memory at base + disp.
func at(base reg.Register, disp int) operand.Mem { return operand.Mem{Base: base, Disp: disp} }

// plus is the memory at base + index*scale + disp.
func plus(base, index reg.Register, scale uint8, disp int) operand.Mem {
	if scale == 0 {
		return at(base, disp)
	}
	return operand.Mem{Base: base, Index: index, Scale: scale, Disp: disp}
}

// arg loads an argument.
func arg(name string, r reg.GPPhysical) reg.GPPhysical {
	Load(Param(name), r)
	return r
}

// The constants of rounding, a vector of each.
const (
	cOne = iota
	cHalf
	cQuiet
	cUpper
	cUppers // the order in which VPERMT2W takes the upper halves of two vectors
)

func constants() {
	GLOBL("gemm16Consts", 8|16) // RODATA|NOPTR
	for c, v := range []uint32{cOne: 1, cHalf: 0x7fff, cQuiet: 1 << 22, cUpper: 0xffff0000} {
		for i := range 16 {
			DATA(64*c+4*i, operand.U32(v))
		}
	}
	for i := range 16 { // words 2i+1 for 32 i, two of them here
		DATA(64*cUppers+4*i, operand.U32(uint32(4*i+1)|uint32(4*i+3)<<16))
	}
	GLOBL("gemm16Shapes", 8|16)
	for i := range 64 {
		v := 0
		switch {
		case i == 0:
			v = 1 // palette
		case i >= 16 && i < 32 && i%2 == 0:
			v = 64 // bytes in a row
		case i >= 48 && i < 56:
			v = 16 // rows
		}
		DATA(i, operand.U8(uint8(v)))
	}
}

// constant is the memory of a constant.
func constant(c int) operand.Mem {
	return operand.NewDataAddr(operand.NewStaticSymbol("gemm16Consts"), 64*c)
}
