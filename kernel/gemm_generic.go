package kernel

func (g *Gemm) blocked(isa ISA, scratch []float32) { g.portable() }
