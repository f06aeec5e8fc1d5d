//go:build amd64 && !noasm

package kernel

// pack fills the panels of o.
func (o *operand) pack(isa ISA) {
	w := gemmWork{isa: isa.gemm(), Gemm: o.Gemm}
	nr := 2 * w.isa.w
	for j := 0; j < o.N; j += nr {
		w.packPanelOfB(o.panels[j*o.K:], j, min(nr, o.N-j), 0, o.K)
	}
}

// tiles computes g, of few rows, from the panels.
func (o *operand) tiles(isa ISA, g *Gemm, k0 int) {
	p := isa.gemm()
	nr := 2 * p.w
	across := 0
	if g.Layout == TN {
		across = 1
	}
	for j := 0; j < g.N; j += nr {
		n := min(nr, g.N-j)
		cols, last := 0, n
		if n <= p.w {
			cols = 2
		} else if n < nr {
			cols, last = 1, n-p.w
		}
		b := &o.panels[j*o.K+k0*nr]
		for i := 0; i < g.M; i += p.mr {
			a := &g.A[i*g.LDA]
			if across == 1 {
				a = &g.A[i]
			}
			c := &g.C[i*g.LDC+j]
			s, ss := &gemmZero[0], 0
			if g.Accumulate {
				s, ss = c, g.LDC
			}
			p.tiles[across][cols][min(p.mr, g.M-i)](g.K, a, g.LDA, b, nr, s, ss, c, g.LDC, last, a, 0)
		}
	}
}
