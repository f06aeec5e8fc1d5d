package kernel

import "unsafe"

// vecArgs is the one argument of every assembly kernel of this family.
//
// A kernel works on elements off..off+n of the slices at p (bytes of side
// information: off/8 on), takes scalars from f and constants from k (set by run), and adds to
// the 16 lanes of acc (a second reduction: acc2). n and off are multiples of
// 16; what remains of a slice is left to the portable code, which gives the
// same bits. _gen/vector knows this layout by byte offset.
type vecArgs struct {
	n    int
	off  int
	p    [5]unsafe.Pointer
	k    *[constCount]float32
	f    [8]float32
	acc  [lanes]float32
	acc2 [lanes]float32
}

// vecOp names an assembly kernel.
type vecOp uint8

const (
	opSum vecOp = iota
	opSumSquaredDev
	opNormalise
	opNormaliseNoBias
	opNormBackwardSums
	opNormBackward
	opNormParams
	opNormParamsNoBias
	opDot
	opMax
	opMin
	opExpSum
	opSoftmaxBackward
	opGELUTanh
	opGELUTanhBackward
	opGELUErf
	opGELUErfBackward
	opAdd
	opScale
	opAxpy
	opQuantise
	opAddQuantised
	opQuantisedAdd
	opStep
	opUnstep
	opStepQuantised0
	opUnstepQuantised0
	opStepQuantised1
	opStepQuantised1NoSide
	opUnstepQuantised1
	opGradStep
	opAdamW
	opSGD
	opMoments
	opSETUpdate
	opCount
)

// lanes is the number of partial sums of a reduction along a row.
const lanes = 16

// vecChunk bounds the elements of one call of assembly, which cannot be
// preempted.
const vecChunk = 16 << 10

// run runs op on the elements of n-element slices that come in whole groups of
// 16 and returns how many those were; 0 where there is no assembly.
func (isa ISA) run(op vecOp, a *vecArgs, n int) int {
	if !assembly || isa == portable {
		return 0
	}
	n &^= lanes - 1
	a.k = &consts
	for a.off = 0; a.off < n; a.off += vecChunk {
		a.n = min(vecChunk, n-a.off)
		isa.call(op, a)
	}
	return n
}

// ptr returns the address of the first element of x, for vecArgs.
func ptr(x []float32) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(x)) }

// foldLanes adds up 16 lanes: lane j takes in lane j+8, then j+4, j+2, j+1.
func foldLanes(acc *[lanes]float32) float32 {
	for w := lanes / 2; w > 0; w /= 2 {
		for j := range w {
			acc[j] += acc[j+w]
		}
	}
	return acc[0]
}

// wantLen panics unless every length is n.
func wantLen(n int, lens ...int) {
	for _, l := range lens {
		if l != n {
			panic("kernel: slices of different lengths")
		}
	}
}
