//go:build !amd64 || noasm

package kernel

func (o *operand) pack(ISA) {}

func (o *operand) tiles(ISA, *Gemm, int) {}
