//go:build amd64 && !noasm

package kernel

// row is run for one row of A and a B that is stored column by column: the product of a token with a weight. It is
// bound by memory, so B is read once, in the order in which it lies, and not packed. What is left over of K and of the
// columns goes the usual way, on from there.
func (w *gemmWork) row() {
	kernel, nr := gemmRow512, 2*w.isa.w
	if w.isa == &gemm256 {
		kernel = gemmRow256
	}
	g, n, k := w.Gemm, w.N/nr*nr, w.K&^15
	if k == 0 {
		n = 0
	}
	for j := 0; j < n; j += nr {
		s := &gemmZero[0]
		switch {
		case w.Accumulate:
			s = &w.C[j]
		case w.Bias != nil:
			s = &w.Bias[j]
		}
		kernel(k, &w.A[0], &w.B[j*w.LDB], w.LDB, s, &w.C[j])
	}
	if n > 0 && k < w.K {
		w.N, w.K, w.A, w.B, w.Accumulate = n, g.K-k, g.A[k:], g.B[k:], true
		w.run()
	}
	if n < g.N {
		w.Gemm = g
		w.N, w.B, w.C = g.N-n, g.B[n*g.LDB:], g.C[n:]
		if g.Bias != nil {
			w.Bias = g.Bias[n:]
		}
		w.run()
	}
}
