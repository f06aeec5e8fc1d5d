package kernel_test

import (
	"fmt"

	"github.com/bdia-go/bdia/kernel"
)

// C = A Bᵀ. The zero ISA is plain Go, and every other one gives the same bits.
func ExampleISA_Gemm() {
	var isa kernel.ISA
	a := []float32{1, 2, 3, 4, 5, 6} // (2,3)
	b := []float32{1, 1, 1, 0, 1, 0} // (2,3)
	c := make([]float32, 4)          // (2,2)
	isa.Gemm(&kernel.Gemm{Layout: kernel.NT, M: 2, N: 2, K: 3, A: a, B: b, C: c, LDA: 3, LDB: 3, LDC: 2},
		make([]float32, kernel.GemmScratch))
	fmt.Println(c)
	// Output: [6 2 15 5]
}
