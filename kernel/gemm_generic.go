//go:build !amd64 || noasm

package kernel

func (g *Gemm) blocked(ISA, []float32) { panic("kernel: no assembly in this build") }
