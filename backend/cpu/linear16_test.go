package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/kernel"
	"github.com/bdia-go/bdia/tensor"
)

// TestLinear16: on a backend of bfloat16 every product of layers is the kernel's product of the same operands, on every
// instruction set and number of threads, whatever of F32 and BF16 operands and outputs are.
func TestLinear16(t *testing.T) {
	t.Parallel()
	for _, level := range cpufeat.SupportedBF16() {
		for threads := 1; threads <= 3; threads++ {
			t.Run(fmt.Sprintf("%v/%d", level, threads), func(t *testing.T) {
				t.Parallel()
				for i, s := range []struct{ B, T, in, out int }{{1, 1, 1, 1}, {1, 7, 36, 65}, {3, 35, 65, 36}, {2, 64, 33, 170}, {5, 1, 70, 400}, {1, 130, 300, 64}} {
					if level == cpufeat.Portable && (threads != 3 || i > 3) {
						continue // slow, and it has the task code of the others
					}
					for types := range 16 {
						checkLinear16(t, level.String(), threads, s.B, s.T, s.in, s.out, types)
					}
				}
			})
		}
	}
}

// checkLinear16 takes from the bits of types whether x, w, the gradient dy and the outputs are of BF16.
func checkLinear16(t *testing.T, isa string, threads, B, T, in, out, types int) {
	t.Helper()
	o := Options{Threads: threads, ISA: isa, Precision: backend.BFloat16}
	o.ArenaBytes = o.ScratchBytes() + 8<<20
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	rng := rand.New(rand.NewPCG(uint64(types), 3))
	draw := func(bf16 bool, s ...int) (tensor.Tensor, kernel.Operand) {
		d := tensor.F32
		if bf16 {
			d = tensor.BF16
		}
		x := b.Alloc(backend.Activation, d, shape(s))
		values := make([]float32, x.Len())
		for i := range values {
			values[i] = float32(rng.NormFloat64())
		}
		b.Upload(x, values)
		b.Download(values, x)
		return x, kernel.Operand{Full: values, LD: x.Cols()}
	}
	N := B * T
	x, X := draw(types&1 > 0, B, T, in)
	w, W := draw(types&2 > 0, out, in)
	dy, DY := draw(types&4 > 0, B, T, out)
	y, _ := draw(types&8 > 0, B, T, out)
	dx, _ := draw(types&8 > 0, B, T, in)
	more, More := draw(false, B, T, out)
	bias, Bias := draw(false, out)
	dw, DW := draw(false, out, in)
	db, DB := draw(false, out)
	scratch := make([]float32, kernel.Gemm16Scratch)
	check := func(name string, got tensor.Tensor, want kernel.Gemm16) {
		t.Helper()
		kernel.ISA(cpufeat.Best()).Gemm16(&want, scratch) // which the kernel's tests hold to the portable one
		values := make([]float32, got.Len())
		b.Download(values, got)
		if got.DType == tensor.BF16 {
			halves := make([]uint16, len(want.C))
			b.isa.RoundNearest(halves, want.C)
			b.isa.Widen(want.C, halves)
		}
		testkit.EqualBits(t, fmt.Sprintf("%s of B=%d T=%d %d to %d, types %04b", name, B, T, in, out, types), values, want.C)
	}
	b.Linear(y, x, w, bias)
	check("y", y, kernel.Gemm16{Layout: kernel.NT, M: N, N: out, K: in, A: X, B: W, C: make([]float32, N*out), LDC: out, Bias: Bias.Full})
	b.LinearAdd(more, x, w)
	check("sum", more, kernel.Gemm16{Layout: kernel.NT, M: N, N: out, K: in, A: X, B: W, C: More.Full, LDC: out, Accumulate: true})
	b.LinearBackwardInput(dx, dy, w)
	check("dx", dx, kernel.Gemm16{Layout: kernel.NN, M: N, N: in, K: out, A: DY, B: W, C: make([]float32, N*in), LDC: in})
	b.LinearBackwardWeight(dw, db, dy, x)
	check("dw", dw, kernel.Gemm16{Layout: kernel.TN, M: out, N: in, K: N, A: DY, B: X, C: DW.Full, LDC: in, Accumulate: true, Rows: T, SumA: DB.Full})
	values := make([]float32, out)
	b.Download(values, db)
	testkit.EqualBits(t, "db", values, DB.Full)
	if T > 1 && B > 1 { // micro-batches of whole samples
		whole := make([]float32, dw.Len())
		b.Download(whole, dw)
		b.Zero(dw)
		b.LinearBackwardWeight(dw, db, dy, x)
		b.Download(whole, dw)
		b.Zero(dw)
		for s := range B {
			b.LinearBackwardWeight(dw, db, dy.Index(s), x.Index(s))
		}
		parts := make([]float32, dw.Len())
		b.Download(parts, dw)
		testkit.EqualBits(t, "dw of single samples", parts, whole)
	}
}
