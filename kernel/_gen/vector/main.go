// Command vector writes the element-wise and row kernels:
//
//	go run ./vector -pkg kernel -out vector_amd64.s -stubs vector_stub_amd64.go
//
// A kernel takes one vecArgs. The portable version in package kernel spells out
// every operation; the bodies here follow it line by line.
package main

import (
	"slices"

	. "github.com/mmcloughlin/avo/build"
)

func main() {
	ConstraintExpr("amd64,!noasm")
	makeTables()
	for _, s := range []isa{avx512, avx2} {
		for _, k := range slices.Concat(kernels, gridUpdates(), codeKernels, halfKernels) {
			k.emit(s)
		}
		s.softmax()
		s.norm()
		s.rmsNorm()
		s.rotate()
		s.draw(false)
		s.draw(true)
		s.peak()
	}
	Generate()
}

// Indexes into kernel.consts, in its order.
const (
	cExpLo = iota
	cExpHi
	cLog2E
	cMagic
	cNegLn2Hi
	cNegLn2Lo
	cExp6
	cExp5
	cExp4
	cExp3
	cExp2
	cOne
	cNegTanh1
	cNegTanh3
	cTanhD3
	cSpan
	cHalf
	cSqrtHalf
	cErfSpan
	cInvSqrt2P
	cErf9
	cErf8
	cErf7
	cErf6
	cErf5
	cErf4
	cErf3
	cErf2
	cErf1
	cErf0
	cNegSpan
	cZero
	cAbs
	cSign
	cNegInf
	cPosInf
	cTwo32
	cThreeHalves
	cInt1
	cInt127
	cDecade0
	cDecadeUnit
)
