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

// tiles is product on the panels.
func (o *operand) tiles(isa ISA, layout Layout, m, n, k0, k int, a []float32, lda int, c []float32, ldc int, accumulate bool) {
	p := isa.gemm()
	nr, across, row := 2*p.w, 0, lda
	if layout == TN {
		across, row = 1, 1
	}
	for j := 0; j < n; j += nr {
		width := min(nr, n-j)
		cols, last := p.columns(width)
		b := &o.panels[j*o.K+k0*nr]
		for i := 0; i < m; i += p.mr {
			mr := min(p.mr, m-i)
			to := &c[i*ldc+j]
			s, ss := &gemmZero[0], 0
			if accumulate {
				s, ss = to, ldc
			}
			from := &a[i*row]
			next := from // prefetched: the rows of A that the next product reads
			if at := (i+mr)*row + j; across == 0 && at < len(a) {
				next = &a[at]
			}
			p.tiles[across][cols][mr](k, from, lda, b, nr, s, ss, to, ldc, last, next, lda)
		}
	}
}
