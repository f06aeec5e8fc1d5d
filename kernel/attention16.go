package kernel

import (
	"math"
	"unsafe"
)

// Attention with products of bfloat16 (see Gemm16), by the same tiles as in float32. Queries, keys and values are
// bfloat16, and so are the weights, after dropout, and the gradients of the scores when they are operands. Scores, the
// softmax, its sums and all outputs of products are float32. Products have up to strip16 rows of scores, and the keys
// that the strip sees, rounded up to whole groups; keys that a query does not see have weight 0.

const (
	strip16 = 64 // rows of scores that are made together; a tile is a multiple

	packed16Floats     = tile * MaxHeadDim / 2 // of a tile's keys or values
	attentionScratch16 = tile*MaxHeadDim + 2*packed16Floats + strip16*tileLD*3/2 + 2*tile + Gemm16Small
	backwardScratch16  = 3*packed16Floats + strip16*MaxHeadDim + 3*strip16*tileLD + 2*MaxHeadDim + strip16 + Gemm16Small
)

// AttentionHead16 is one head of one sample in bfloat16: Q, K, V and Out of AttentionHead are not looked at.
type AttentionHead16 struct {
	AttentionHead
	Q16, K16, V16, Out16 []uint16
}

// packed is an operand of products that many strips share.
type packed struct {
	g Gemm16
	b Block16
}

// pack16 packs k by n elements of B into the front of scratch, for products of a layout.
func (isa ISA) pack16(scratch *[]float32, layout Layout, b []uint16, ld, k, n int, r room16) (p packed) {
	p.g = Gemm16{Layout: layout, N: n, K: k, B: Operand{Half: b, LD: ld}}
	p.b = p.g.Block(0, 1, 0, 1)
	p.b.Data = halves16(cut(scratch, p.b.Panels()*p.b.Groups*group16/2))
	p.b.pack(isa, &p.g, 0, p.b.Panels(), r.edge)
	return p
}

// product writes, or adds to c, the product of m rows of a with the first k rows and n columns of p.
func (p *packed) product(isa ISA, m, n, k int, a []uint16, lda int, c []float32, ldc int, add bool, r room16) {
	g, b := p.g, p.b
	g.M, g.N, g.K = m, n, k
	g.A, g.C, g.LDC, g.Accumulate = Operand{Half: a, LD: lda}, c, ldc, add
	b.Cols, b.Groups = n, ceilDiv(k, group)
	b.multiply(isa, &g, 0, m, r)
}

// add is product for the transposed weights of a strip: it adds to the first rows of c, up to begun, and begins the
// others.
func (p *packed) add(isa ISA, begun, m, n, k int, a []uint16, c []float32, ldc int, r room16) {
	if old := min(begun, m); old > 0 {
		p.product(isa, old, n, k, a, tileLD, c, ldc, true, r)
	}
	if begun < m {
		p.product(isa, m-begun, n, k, a[begun:], tileLD, c[begun*ldc:], ldc, false, r)
	}
}

// wholeGroups is the number of keys, of a tile of so many, in the products of a strip that sees n.
func wholeGroups(n, keys int) int { return min(roundUp(n, group), keys) }

// round16 rounds the rows of a strip, and fills them up with zeros to n elements.
func (isa ISA) round16(dst []uint16, s []float32, t *scores, n int) {
	for r := 0; r < t.rows && t.n < n; r++ {
		clear(s[r*tileLD:][t.n:n])
	}
	isa.roundRows(dst, tileLD, s, tileLD, t.rows, n)
}

// dotHalves sets dst[r] to the Dot of the first n elements of rows a[r*ld:] and b[r*ld:] of bfloat16. It uses 2n floats
// of temp.
func (isa ISA) dotHalves(dst []float32, a, b []uint16, ld, n int, temp []float32) {
	last := (len(dst)-1)*ld + n
	a, b = a[:last], b[:last]
	if assembly && isa != portable && n%lanes == 0 {
		isa.onRows(opDotHalves, &rowArgs{p: [6]unsafe.Pointer{halfPtr(a), halfPtr(b), ptr(dst)}, k: &consts, rows: len(dst), seen: n, ld: 2 * ld})
		return
	}
	for r := range dst {
		isa.Widen(temp[:n], a[r*ld:][:n])
		isa.Widen(temp[n:2*n], b[r*ld:][:n])
		dst[r] = isa.Dot(temp[:n], temp[n:2*n])
	}
}

// Attention16 computes the rows of Out16 and LSE that belong to tile number part of the queries.
func (isa ISA) Attention16(a *AttentionHead16, part int, scratch []float32) {
	a.check(scratch)
	room := room(cut(&scratch, Gemm16Small))
	q0 := part * tile
	rows := min(tile, a.T-q0)
	out, s, p := cut(&scratch, rows*a.D), cut(&scratch, strip16*tileLD), halves16(cut(&scratch, strip16*tileLD/2))
	most, sum := cut(&scratch, rows), cut(&scratch, rows)
	for r := range rows {
		most[r], sum[r] = float32(math.Inf(-1)), 0
	}
	windowed := a.windowed()
	if windowed {
		clear(out)
	}
	end := a.Seen // of the keys that are seen
	if a.Causal {
		end = q0 + a.past() + rows
	}
	for k0 := a.first(q0) / tile * tile; k0 < end; k0 += tile {
		panels, keys := scratch, min(tile, a.Seen-k0)
		k := isa.pack16(&panels, NT, a.K16[k0*a.LDK:], a.LDK, a.D, keys, room)
		v := isa.pack16(&panels, NN, a.V16[k0*a.LDK:], a.LDK, keys, a.D, room)
		rows, r, m := min(rows, a.until(k0)-q0), 0, 0
		if a.Causal {
			r = max(0, k0-q0-a.past())
		}
		for ; r < rows; r += m {
			q := q0 + r
			m = a.strip(q, rows-r, k0, strip16)
			t, out := a.view(q, m, k0), out[r*a.D:]
			n := wholeGroups(t.n, keys)
			k.product(isa, m, n, a.D, a.Q16[q*a.LDQ:], a.LDQ, s, tileLD, false, room)
			if windowed {
				a.hide(&t, s, q, k0)
			}
			if k0 == 0 && !windowed {
				isa.softmax(&t, s, most[r:], sum[r:])
			} else {
				isa.softmaxOn(&t, s, most[r:], sum[r:], out, a.D, a.D)
			}
			isa.drop(&a.AttentionHead, &t, s, q, k0)
			isa.round16(p, s, &t, n)
			v.product(isa, m, a.D, n, p, tileLD, out, a.D, k0 > 0 || windowed, room)
		}
	}
	for r := range rows {
		a.LSE[q0+r] = most[r] + float32(logOf(sum[r]))
		sum[r] = 1 / sum[r]
	}
	isa.scaleRows(out, sum, a.D, a.D)
	isa.roundRows(a.Out16[q0*a.LDOut:], a.LDOut, out, a.D, rows, a.D)
}

// AttentionBackward16 is AttentionBackward of heads in bfloat16. The gradients dQ, dK and dV are float32, with row
// strides LDQ and LDK.
func (isa ISA) AttentionBackward16(a *AttentionHead16, part int, dQ, dK, dV []float32, dOut []uint16, scratch []float32) {
	a.check(scratch)
	k0 := part * tile
	if unseen := a.beginBackward(part, dQ, dK, dV); k0 < unseen || k0 >= a.Seen {
		return
	}
	keys, kAt := min(tile, a.Seen-k0), k0*a.LDK
	room := room(cut(&scratch, Gemm16Small))
	s, d := cut(&scratch, strip16*tileLD), cut(&scratch, strip16*tileLD)
	p, ds := halves16(cut(&scratch, strip16*tileLD/2)), halves16(cut(&scratch, strip16*tileLD/2))
	row, delta := cut(&scratch, 2*MaxHeadDim), cut(&scratch, strip16)
	k := isa.pack16(&scratch, NT, a.K16[kAt:], a.LDK, a.D, keys, room)
	v := isa.pack16(&scratch, NT, a.V16[kAt:], a.LDK, a.D, keys, room)
	kRows := isa.pack16(&scratch, NN, a.K16[kAt:], a.LDK, keys, a.D, room)
	q, m, begun := 0, 0, 0 // keys, of those of the tile, that have gradients
	if a.Causal {
		q = k0
	}
	if a.More {
		begun = keys
	}
	for ; q < a.until(k0); q += m {
		m = a.strip(q, min(a.until(k0), roundUp(q+1, tile))-q, k0, strip16)
		t := a.view(q, m, k0)
		n := wholeGroups(t.n, keys)
		queries, grads := a.Q16[q*a.LDQ:], dOut[q*a.LDOut:]
		isa.dotHalves(delta[:m], grads, a.Out16[q*a.LDOut:], a.LDOut, a.D, row)
		k.product(isa, m, n, a.D, queries, a.LDQ, s, tileLD, false, room)
		v.product(isa, m, n, a.D, grads, a.LDOut, d, tileLD, false, room)
		if a.windowed() {
			a.hide(&t, s, q, k0)
		}
		isa.drop(&a.AttentionHead, &t, d, q, k0)
		isa.softmaxBackward(&t, s, d, a.LSE[q:], delta)
		isa.drop(&a.AttentionHead, &t, s, q, k0)
		isa.round16(p, s, &t, n)
		isa.round16(ds, d, &t, n)
		kRows.product(isa, m, a.D, n, ds, tileLD, dQ[q*a.LDQ:], a.LDQ, k0 > 0 || a.windowed(), room)
		panels := scratch
		gradRows := isa.pack16(&panels, TN, grads, a.LDOut, m, a.D, room)
		gradRows.add(isa, begun, n, a.D, m, p, dV[kAt:], a.LDK, room)
		panels = scratch
		queryRows := isa.pack16(&panels, TN, queries, a.LDQ, m, a.D, room)
		queryRows.add(isa, begun, n, a.D, m, ds, dK[kAt:], a.LDK, room)
		begun = max(begun, n)
	}
}
