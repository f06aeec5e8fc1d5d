//go:build amd64 && !noasm

package kernel

import (
	"math"
	"unsafe"
)

// A product is cut as follows, outermost first: columns of B into blocks of at
// most ncMax, K into blocks of at most kcMax, rows into blocks of at most mcMax,
// the block's columns into panels of two vectors, its rows into tiles of nearly
// equal height. A kernel call computes one tile of one panel over one block of
// K. Panels of B are packed just before the first row block uses them; A is read
// in place if its rows run along k and do not compete for the same cache lines;
// otherwise it is packed in tiles. Small products are read in place throughout.

// tileFunc is one tile kernel; see the generated stubs.
type tileFunc func(k int, a *float32, as int, b *float32, bs int, s *float32, ss int, c *float32, cs int, n int, p *float32, ps int)

// tileTable holds tile kernels by way of reading A, kind of columns and rows.
type tileTable [2][3][15]tileFunc

// gemmISA holds the kernels and sizes of one instruction set.
type gemmISA struct {
	level       ISA
	w, mr       int // floats in a vector, most rows of a tile
	tiles       *tileTable
	packRows    func(dst, src *float32, ld, rows, n, m int)
	packColumns func(dst, src *float32, ld, fours, n int)
	packHalves  func(dst *float32, src *uint16, ld, rows int) // rows of two vectors of bfloat16
	packPairs   func(dst *float32, src *uint16, ld, fours, n int)
	packTiles   func(dst *float32, ts int, src *float32, ld, rows, tiles, n int)
	sum4, sum1  func(sum, src *float32, ld, rows, n int)          // four vectors of columns; n <= w columns
	row         func(k int, a, b *float32, ld int, s, c *float32) // of two vectors of columns
	rowHalves   func(k int, a *float32, b *uint16, ld int, s, c *float32)
}

var (
	gemm512 = gemmISA{avx512, 16, 14, &tiles512, gemmPackRows512, gemmPackColumns512, gemmPackHalves512, gemmPackPairs512, gemmPackTiles512, gemmSumColumns512x4, gemmSumColumns512x1, gemmRow512, gemmRowHalves512}
	gemm256 = gemmISA{avx2, 8, 6, &tiles256, gemmPackRows256, gemmPackColumns256, gemmPackHalves256, gemmPackPairs256, gemmPackTiles256, gemmSumColumns256x4, gemmSumColumns256x1, gemmRow256, gemmRowHalves256}
)

func (isa ISA) gemm() *gemmISA {
	if isa == avx2 {
		return &gemm256
	}
	return &gemm512
}

// columns returns the kind of kernels in a tileTable that compute n columns of a
// panel, and the number of columns in the last vector, which they mask.
func (p *gemmISA) columns(n int) (kind, last int) {
	switch {
	case n <= p.w:
		return 2, n
	case n < 2*p.w:
		return 1, n - p.w
	}
	return 0, n
}

// gemmZero is the row of zeros from which chains start.
var gemmZero [32]float32

// blocked runs g on the assembly kernels.
func (g *Gemm) blocked(isa ISA, scratch []float32) {
	if g.K == 0 { // no element of A or B may be touched
		g.portable()
		return
	}
	var w gemmWork // field by field: a literal costs another copy
	w.Gemm, w.isa = *g, isa.gemm()
	w.bufB, w.bufA = scratch[:packBFloats], scratch[packBFloats:GemmScratch]
	if w.M == 1 && w.Layout == NT {
		w.row()
		return
	}
	w.run()
}

// gemmWork is a product under way. It holds the Gemm itself, not a pointer: the
// kernels are called through tables, so with a pointer every caller's Gemm would
// escape to the heap.
type gemmWork struct {
	Gemm
	isa          *gemmISA
	bufB, bufA   []float32
	packB, packA bool
	copyA        bool // rows of A are copied side by side
	nextA, nextB stripe
}

// stripe is a part of A or B that will be packed or read soon. It lies in memory
// or in the cache that cores share. Each call of a tile kernel prefetches some
// rows of 32 columns of it, so that no later kernel waits.
type stripe struct {
	from           []float32
	ld, rows, cols int
	row, col       int // where the next call goes on
}

// soon returns the first of the next n rows to prefetch and the distance between
// rows.
func (s *stripe) soon(n int) (p *float32, ps int, ok bool) {
	if s.col >= s.cols {
		return &gemmZero[0], 0, false
	}
	p = &s.from[s.row*s.ld+s.col]
	if s.row += n; s.row >= s.rows {
		s.row, s.col = 0, s.col+32
	}
	return p, s.ld, true
}

// stripeOfA returns the block of A to prefetch during the block at row i0 and
// column k0: the one after it.
func (w *gemmWork) stripeOfA(i0, mc, k0, kc int) stripe {
	if i0 += mc; i0 == w.M {
		i0, k0 = 0, k0+kc
	}
	rows, cols := min(mc, w.M-i0), min(kc, w.K-k0)
	switch {
	case cols <= 0:
		return stripe{}
	case w.Layout == TN:
		return stripe{from: w.A[k0*w.LDA+i0:], ld: w.LDA, rows: cols, cols: rows}
	}
	return stripe{from: w.A[i0*w.LDA+k0:], ld: w.LDA, rows: rows, cols: cols}
}

// stripeOfB returns n columns of kc rows of B, to prefetch.
func (w *gemmWork) stripeOfB(j, n, k0, kc int) stripe {
	switch {
	case n <= 0 || w.Half != nil && w.LDB%2 != 0:
		return stripe{}
	case w.Half != nil: // in pairs
		at, rows, cols := k0*w.LDB+j, kc, n
		if w.Layout == NT {
			at, rows, cols = j*w.LDB+k0, n, kc
		}
		from := w.Half[at:]
		return stripe{from: unsafe.Slice((*float32)(halfPtr(from)), len(from)/2), ld: w.LDB / 2, rows: rows, cols: cols / 2}
	case w.Layout == NT:
		return stripe{from: w.B[j*w.LDB+k0:], ld: w.LDB, rows: n, cols: kc}
	}
	return stripe{from: w.B[k0*w.LDB+j:], ld: w.LDB, rows: kc, cols: n}
}

func (w *gemmWork) run() {
	nr := 2 * w.isa.w
	// B by rows is packed when many tiles share a panel, or when a stride near a
	// multiple of the page would let its rows compete for cache lines.
	compete := w.LDB%512 == 0 && w.K*w.N > 1<<16
	w.packB = w.Layout == NT || w.Half != nil || w.M > 12*w.isa.mr || compete && w.M > w.isa.mr
	w.packA = w.Layout == TN && w.N > 8*nr
	w.copyA = w.Layout != TN && w.N > 8*nr && w.LDA%1024 == 0 // a tile's rows are whole pages apart
	rowBlocks := ceilDiv(w.M, mcMax)
	nc, kc := w.N, w.K
	if rowBlocks > 1 && nc > ncMax {
		nc = roundUp(ceilDiv(nc, ceilDiv(nc, ncMax)), nr)
	}
	if kc > kcMax {
		kc = roundUp(ceilDiv(kc, ceilDiv(kc, kcMax)), 4)
	}
	for j := 0; j < w.N; j += nc {
		for k := 0; k < w.K; k += kc {
			if rowBlocks == 1 {
				w.block(0, w.M, j, min(nc, w.N-j), k, min(kc, w.K-k), true)
				continue
			}
			for ib := range rowBlocks {
				i0, i1 := w.M*ib/rowBlocks, w.M*(ib+1)/rowBlocks
				w.block(i0, i1-i0, j, min(nc, w.N-j), k, min(kc, w.K-k), false)
			}
		}
	}
}

// block computes rows i0.. and columns j0.. of C over k0... With once, each
// panel is packed for this row block only, so the next panel overwrites it.
func (w *gemmWork) block(i0, mc, j0, nc, k0, kc int, once bool) {
	p := w.isa
	nr := 2 * p.w
	tiles, rows, extra := 1, mc, 0 // the first extra tiles have one row more
	if mc > p.mr {
		tiles = ceilDiv(mc, p.mr)
		rows, extra = mc/tiles, mc%tiles
	}
	across := 0
	as := w.LDA
	if w.copyA {
		as = kc + 16
		for r := range mc {
			copy(w.bufA[r*as:][:kc], w.A[(i0+r)*w.LDA+k0:])
		}
	}
	if w.Layout == TN {
		across = 1
		if w.packA {
			w.packTilesOfA(i0, rows, extra, tiles, k0, kc)
			as = p.w
		}
	}
	if w.SumA != nil && j0 == 0 { // while this block of A is in the cache
		p.sumColumns(w.SumA[i0:i0+mc], w.A[k0*w.LDA+i0:], kc, w.LDA)
	}
	w.nextA = w.stripeOfA(i0, mc, k0, kc)
	for j := 0; j < nc; j += nr {
		n := min(nr, nc-j)
		cols, last := p.columns(n)
		kernels := &p.tiles[across][cols]
		var b *float32
		bs := w.LDB
		if w.packB {
			panel := w.bufB
			if !once {
				panel = panel[j*kcMax:]
			}
			if i0 == 0 {
				w.packPanelOfB(panel, j0+j, n, k0, kc)
				w.nextB = w.stripeOfB(j0+j+n, min(nr, nc-j-n), k0, kc)
			}
			b, bs = &panel[0], nr
		} else {
			b = &w.B[k0*w.LDB+j0+j]
		}
		s, ss := gemmZero[:], 0
		switch {
		case k0 > 0 || w.Accumulate:
			s, ss = w.C[j0+j:], w.LDC
		case w.Bias != nil:
			s = w.Bias[j0+j:]
		}
		i := 0
		for t := range tiles {
			mr := rows
			if t < extra {
				mr++
			}
			var a *float32
			switch {
			case w.copyA:
				a = &w.bufA[i*as]
			case w.packA:
				a = &w.bufA[t*(kc+1)*p.w]
			case across == 0:
				a = &w.A[(i0+i)*w.LDA+k0]
			default:
				a = &w.A[k0*w.LDA+i0+i]
			}
			p, ps, ok := w.nextB.soon(kc / 4)
			if !ok {
				p, ps, _ = w.nextA.soon(kc / 4)
			}
			kernels[mr](kc, a, as, b, bs, &s[(i0+i)*ss], ss, &w.C[(i0+i)*w.LDC+j0+j], w.LDC, last, p, ps)
			i += mr
		}
	}
}

// packPanelOfB copies n columns of kc rows to the panel.
func (w *gemmWork) packPanelOfB(panel []float32, j, n, k0, kc int) {
	p := w.isa
	if w.Half != nil {
		w.packHalfPanel(panel, j, n, k0, kc)
		return
	}
	if w.Layout != NT {
		p.packRows(&panel[0], &w.B[k0*w.LDB+j], w.LDB, kc, min(n, p.w), max(n-p.w, 0))
		return
	}
	for h := 0; h < n; h += p.w {
		if kc >= 4 {
			p.packColumns(&panel[h], &w.B[(j+h)*w.LDB+k0], w.LDB, kc/4, min(n-h, p.w))
		}
	}
	if kc%4 == 0 {
		return
	}
	for c := range n {
		b := w.B[(j+c)*w.LDB+k0:][:kc]
		for k := kc &^ 3; k < kc; k++ {
			panel[k*2*p.w+c] = b[k]
		}
	}
}

// packHalfPanel is packPanelOfB of a half B.
func (w *gemmWork) packHalfPanel(panel []float32, j, n, k0, kc int) {
	p := w.isa
	nr := 2 * p.w
	switch {
	case w.Layout == NT:
		for h := 0; h < n; h += p.w {
			if kc >= 8 {
				p.packPairs(&panel[h], &w.Half[(j+h)*w.LDB+k0], w.LDB, kc/8, min(n-h, p.w))
			}
		}
		for c := 0; c < n && kc%8 > 0; c++ {
			for k, h := range w.Half[(j+c)*w.LDB+k0:][kc&^7 : kc] {
				panel[(kc&^7+k)*nr+c] = math.Float32frombits(uint32(h) << 16)
			}
		}
	case n == nr:
		p.packHalves(&panel[0], &w.Half[k0*w.LDB+j], w.LDB, kc)
	default:
		for r := range kc {
			p.level.Widen(panel[r*nr:][:n], w.Half[(k0+r)*w.LDB+j:][:n])
			clear(panel[r*nr+n:][:nr-n])
		}
	}
}

// packTilesOfA copies a row block of the transposed A.
func (w *gemmWork) packTilesOfA(i0, rows, extra, tiles, k0, kc int) {
	p := w.isa
	ts := (kc + 1) * p.w // not a multiple of the page, lest tiles compete for cache lines
	const step = 64      // rows per call, so that no call is long
	for k := 0; k < kc; k += step {
		n := min(step, kc-k)
		if extra > 0 {
			p.packTiles(&w.bufA[k*p.w], ts, &w.A[(k0+k)*w.LDA+i0], w.LDA, n, extra, rows+1)
		}
		p.packTiles(&w.bufA[extra*ts+k*p.w], ts, &w.A[(k0+k)*w.LDA+i0+extra*(rows+1)], w.LDA, n, tiles-extra, rows)
	}
}

func (isa ISA) sumColumns(sum, src []float32, rows, ld int) {
	isa.gemm().sumColumns(sum, src, rows, ld)
}

// sumColumns adds at least one row of src to sum, in bands of columns.
func (p *gemmISA) sumColumns(sum, src []float32, rows, ld int) {
	const step = 256 // rows per call, so that no call is long
	for r := 0; r < rows; r += step {
		n := min(step, rows-r)
		j := 0
		for ; j+4*p.w <= len(sum); j += 4 * p.w {
			p.sum4(&sum[j], &src[r*ld+j], ld, n, 0)
		}
		for ; j < len(sum); j += p.w {
			p.sum1(&sum[j], &src[r*ld+j], ld, n, min(p.w, len(sum)-j))
		}
	}
}
