//go:build !amd64 || noasm

package kernel

func (isa ISA) narrowRows([]uint16, int, []float32, int, int, int) {}

func (g *Gemm16) pack(ISA, bool, []uint16, int, int, int, int, []float32) {}

func (g *Gemm16) multiply(ISA, *Block16, int, int, room16) {}

func (g *Gemm16) row(ISA, room16) int { return 0 }
