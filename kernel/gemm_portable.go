package kernel

// portable is the definition of Gemm: every output is one chain. Four columns
// go side by side, because one chain alone waits for its own additions.
func (g *Gemm) portable() {
	ars, aks := g.LDA, 1
	if g.Layout == TN {
		ars, aks = 1, g.LDA
	}
	bcs, bks := 1, g.LDB
	if g.Layout == NT {
		bcs, bks = g.LDB, 1
	}
	if g.SumA != nil {
		portable.ColumnSum(g.SumA[:g.M], g.A, g.K, g.LDA)
	}
	for i := range g.M {
		c := g.C[i*g.LDC:][:g.N]
		switch {
		case g.Accumulate:
		case g.Bias != nil:
			copy(c, g.Bias)
		default:
			clear(c)
		}
		if g.K == 0 {
			continue
		}
		a := g.A[i*ars:]
		j := 0
		for ; j+4 <= g.N; j += 4 {
			chains4(c[j:], a, aks, g.B[j*bcs:], bcs, bks, g.K)
		}
		for ; j < g.N; j++ {
			b := g.B[j*bcs:]
			s := c[j]
			for k := range g.K {
				s = fma(a[k*aks], b[k*bks], s)
			}
			c[j] = s
		}
	}
}

// chains4 advances four neighbouring outputs: c[j] = fma(a[k], b[k,j], c[j]) for
// j < 4, k = 0..n-1. The fast path of fma is written out, since the compiler
// does not inline it four times over.
func chains4(c, a []float32, aks int, b []float32, bcs, bks, n int) {
	c = c[:4]
	c0, c1, c2, c3 := c[0], c[1], c[2], c[3]
	b1, b2, b3 := b[bcs:], b[2*bcs:], b[3*bcs:]
	for k := range n {
		x := float64(a[k*aks])
		bi := k * bks
		p0, p1, p2, p3 := x*float64(b[bi]), x*float64(b1[bi]), x*float64(b2[bi]), x*float64(b3[bi])
		d0, d1, d2, d3 := float64(c0), float64(c1), float64(c2), float64(c3)
		s0, s1, s2, s3 := p0+d0, p1+d1, p2+d2, p3+d3
		c0, c1, c2, c3 = float32(s0), float32(s1), float32(s2), float32(s3)
		if doubtful(s0) {
			c0 = fmaHalfway(p0, d0, s0)
		}
		if doubtful(s1) {
			c1 = fmaHalfway(p1, d1, s1)
		}
		if doubtful(s2) {
			c2 = fmaHalfway(p2, d2, s2)
		}
		if doubtful(s3) {
			c3 = fmaHalfway(p3, d3, s3)
		}
	}
	c[0], c[1], c[2], c[3] = c0, c1, c2, c3
}

// portableHalf widens blocks of B, and is portable on each. A chain goes on from block to block of K.
func (g *Gemm) portableHalf(scratch []float32) {
	const cols = 32
	if g.K == 0 {
		g.portable()
		return
	}
	for j := 0; j < g.N; j += cols {
		for k := 0; k < g.K; k += kcMax {
			block := *g
			block.Half, block.B = nil, scratch
			block.N, block.K = min(cols, g.N-j), min(kcMax, g.K-k)
			row, col, rows, cols := k, j, block.K, block.N
			if g.Layout == NT {
				row, col, rows, cols = j, k, block.N, block.K
			}
			for r := range rows {
				widenGo(scratch[r*cols:][:cols], g.Half[(row+r)*g.LDB+col:][:cols])
			}
			block.LDB = cols
			block.A, block.C, block.Accumulate = g.A[k:], g.C[j:], g.Accumulate || k > 0
			if g.Bias != nil {
				block.Bias = g.Bias[j:]
			}
			block.portable()
		}
	}
}
