package kernel

import "unsafe"

// vecArgs is the one argument of every assembly kernel of this family.
//
// A kernel works on elements off..off+n of the slices at p (bytes of side
// information: off/8 on) and takes scalars from f and constants from k. A
// reduction leaves its 16 lanes in acc (a second one: acc2); at off 0 it starts
// them itself, further on it goes on with them. off is a multiple of 16, and
// for kernels with side information so is n. _gen/vector knows this layout by
// byte offset.
type vecArgs struct {
	n    int
	off  int
	p    [6]unsafe.Pointer
	k    *[constCount]float32
	f    [8]float32
	acc  [lanes]float32
	acc2 [lanes]float32
	ld   int // bytes from row to row, in kernels on several rows; from plane to plane of side information
}

// rowArgs is the argument of the assembly kernels on several rows: in the first
// row seen elements count, and in each later row, ld bytes on, more elements more.
// Rows are filled with zeros up to width n. The first fields are laid out as in
// vecArgs.
type rowArgs struct {
	n, _             int
	p                [6]unsafe.Pointer
	k                *[constCount]float32
	f                [2]float32
	rows, seen, more int
	ld               int
}

// rowOp names an assembly kernel on rows.
type rowOp uint8

const (
	opSoftmax rowOp = iota
	opSoftmaxBackward
	opDotRows
	opDotHalves
	opScaleRows
	opLayerNorm
	opLayerNormNoBias
	opLayerNormBackward
	opRMSNorm
	opRMSNormBackward
	opRotate
)

// vecOp names an assembly kernel.
type vecOp uint8

const (
	opNormParams vecOp = iota
	opNormParamsNoBias
	opNormParams4
	opNormParams4NoBias
	opRMSNormWeight
	opRMSNormWeight4
	opDot
	opMax
	opMin
	opExpSum
	opGELUTanh
	opGELUTanhBackward
	opGELUErf
	opGELUErfBackward
	opGatedSiLU
	opGatedSiLUBackward
	opAdd
	opScale
	opQuantise
	opAddQuantised
	opQuantisedAdd
	opAdvance
	opRetreat
	opAdvanceQuantised1
	opAdvanceQuantised1NoSide
	opRetreatQuantised1
	opAdvanceQuantised2
	opAdvanceQuantised2NoSide
	opRetreatQuantised2
	opAdvanceQuantised3
	opAdvanceQuantised3NoSide
	opRetreatQuantised3
	opKeep
	opCompleteGrad
	opAdamW
	opSGD
	opMoments
	opSETUpdate
	opAdamW8
	opEncodeSigned
	opEncodeUnsigned
	opWiden
	opNarrow
	opNearest
	opCount
)

// lanes is the number of partial sums of a reduction along a row.
const lanes = 16

// vecChunk bounds the elements of one call of assembly, which cannot be
// preempted.
const vecChunk = 16 << 10

// run runs op on slices of n elements and returns n. Without assembly it does
// nothing and returns 0.
func (isa ISA) run(op vecOp, a *vecArgs, n int) int {
	if !assembly || isa == portable {
		return 0
	}
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
func foldLanes(a *[lanes]float32) float32 {
	s0, s1, s2, s3 := a[0]+a[8], a[1]+a[9], a[2]+a[10], a[3]+a[11]
	s4, s5, s6, s7 := a[4]+a[12], a[5]+a[13], a[6]+a[14], a[7]+a[15]
	return ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7))
}

// wantLen panics unless every length is n.
func wantLen(n int, lens ...int) {
	for _, l := range lens {
		if l != n {
			panic("kernel: slices of different lengths")
		}
	}
}
