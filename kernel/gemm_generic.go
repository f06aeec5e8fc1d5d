//go:build !amd64 || noasm

package kernel

func (g *Gemm) blocked(ISA, []float32) { panic("kernel: no assembly in this build") }

func (ISA) sumColumns(_, _ []float32, _, _ int) { panic("kernel: no assembly in this build") }
