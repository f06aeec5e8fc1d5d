//go:build amd64 && !noasm

package kernel

// row is run for one row of A and a B that is stored column by column: the product of a token with a weight. It is
// bound by memory, so B is read once, in the order in which it lies, and not packed. What is left over of K and of the
// columns goes the usual way, on from there.
func (w *gemmWork) row() {
	g, nr, k := w.Gemm, 2*w.isa.w, w.K&^15
	if w.Half != nil {
		k = w.K &^ 31
	}
	n := w.N / nr * nr
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
		if w.Half == nil {
			w.isa.row(k, &w.A[0], &w.B[j*w.LDB], w.LDB, s, &w.C[j])
		} else {
			w.isa.rowHalves(k, &w.A[0], &w.Half[j*w.LDB], w.LDB, s, &w.C[j])
		}
	}
	if n > 0 && k < w.K {
		w.N, w.K, w.A, w.Accumulate = n, g.K-k, g.A[k:], true
		w.fromB(g, k)
		w.run()
	}
	if n < g.N {
		w.Gemm = g
		w.N, w.C = g.N-n, g.C[n:]
		w.fromB(g, n*g.LDB)
		if g.Bias != nil {
			w.Bias = g.Bias[n:]
		}
		w.run()
	}
}

// fromB begins B at an element of g's.
func (w *gemmWork) fromB(g Gemm, at int) {
	if g.Half != nil {
		w.Half = g.Half[at:]
	} else {
		w.B = g.B[at:]
	}
}
