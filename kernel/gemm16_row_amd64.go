//go:build amd64 && !noasm

package kernel

// row computes a product of one row of A and whole groups of k with a B that is stored column by column: that of a
// token with a weight. It is bound by memory, so B is read once, in the order in which it lies, and not packed. It
// returns how many columns it computed: the others are not enough for a kernel.
func (g *Gemm16) row(isa ISA, r room16) int {
	const step = 8 // groups a call, so that no call is long
	a := r.rows[:g.K]
	if g.A.Full != nil {
		rounded := halves16(r.own)[:g.K]
		isa.RoundNearest(rounded, g.A.Full[:g.K])
		isa.Widen(a, rounded)
	} else {
		isa.Widen(a, g.A.Half[:g.K])
	}
	width := 2 * isa.gemm16().w
	n := g.N / width * width
	size := 2
	if g.B.Full != nil {
		size = 4
	}
	for j := 0; j < n; j += width {
		c := r.part[:width]
		if g.Half == nil {
			c = g.C[j:][:width]
		}
		s := &gemmZero[0]
		switch {
		case g.Accumulate:
			s = &c[0]
		case g.Bias != nil:
			s = &g.Bias[j]
		}
		for k := 0; k < g.K; k += step * group {
			groups, b := min(step, (g.K-k)/group), g.B.bytes(j*g.B.LD+k)
			switch {
			case isa == avx2 && size == 2:
				gemm16RowHalf256(groups, &a[k], b, size*g.B.LD, s, &c[0])
			case isa == avx2:
				gemm16RowFull256(groups, &a[k], b, size*g.B.LD, s, &c[0])
			case size == 2:
				gemm16RowHalf512(groups, &a[k], b, size*g.B.LD, s, &c[0])
			default:
				gemm16RowFull512(groups, &a[k], b, size*g.B.LD, s, &c[0])
			}
			s = &c[0]
		}
		if g.Half != nil {
			isa.RoundNearest(g.Half[j:][:width], c)
		}
	}
	return n
}
