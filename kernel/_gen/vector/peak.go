package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// peakChains is the number of accumulators in the peak loop: enough to hide the
// latency of an fma on two ports, few enough for the registers of AVX2.
const peakChains = 12

// peak emits the loop that measures the machine's limit: nothing but fma on
// registers, n rounds of peakChains of them.
func (s isa) peak() {
	name := "fmaPeak" + s.name
	TEXT(name, 4, "func(n int)")
	Doc(fmt.Sprintf("%s runs n rounds of %d independent fma on zeros.", name, peakChains))
	n := GP64()
	Load(Param("n"), n)
	registers := func() reg.VecVirtual {
		if s.name == "512" {
			return ZMM()
		}
		return YMM()
	}
	var acc [peakChains]reg.VecVirtual
	for i := range acc {
		acc[i] = registers()
		VXORPS(acc[i], acc[i], acc[i])
	}
	x := registers()
	VXORPS(x, x, x)
	Label("round")
	for i := range acc {
		VFMADD231PS(x, x, acc[i])
	}
	SUBQ(operand.Imm(1), n)
	JG(operand.LabelRef("round"))
	VZEROUPPER()
	RET()
}
