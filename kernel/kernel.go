// Package kernel is the CPU mathematics: functions on slices of float32, each
// run by the goroutine that calls it. backend/cpu splits work over threads.
//
// # The contract on bits
//
// Every function exists in plain Go, which is its definition, and for the hot
// ones as generated assembly for AVX2 and AVX-512. All paths give the same bits
// on every input, NaN payloads excepted:
//
//   - Element-wise work has one spelled-out sequence of IEEE operations. Where
//     the definition says fma, the result is rounded once (the portable path
//     emulates it exactly); where it says a*b+c with float32 conversions it is
//     rounded twice.
//   - Reductions over a row use 16 lanes: element i is added to lane i mod 16,
//     in ascending order, from +0; then lane j takes in lane j+8, then j+4,
//     j+2, j+1 (foldLanes).
//   - Reductions over rows (column sums) add row after row in ascending order.
//   - Each output of a matrix product is one chain of fma over k in ascending
//     order that starts from the value already in C, from the bias, or from +0.
//
// So neither blocking nor vector width, threads or micro-batches can change a
// bit of a training run.
package kernel

import "github.com/bdia-go/bdia/internal/cpufeat"

// ISA selects the instruction set that a kernel call runs on. Its methods are
// the kernels. Values above cpufeat.Best must not be used.
type ISA cpufeat.Level

const (
	portable = ISA(cpufeat.Portable)
	avx2     = ISA(cpufeat.AVX2)
	avx512   = ISA(cpufeat.AVX512)
	amx      = ISA(cpufeat.AMX) // avx512 but for products of bfloat16
)

// String returns the name of the instruction set.
func (isa ISA) String() string { return cpufeat.Level(isa).String() }
