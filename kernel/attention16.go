package kernel

import "math"

// Attention with products of bfloat16 (see Gemm16), by the same tiles as in float32. Queries, keys and values are
// bfloat16, and so are the weights, after dropout, and the gradients of the scores when they are operands. Scores, the
// softmax, its sums and all outputs of products are float32. Products have up to strip16 rows of scores, and the keys
// that the strip sees, rounded up to whole groups: keys behind them, as those that only some queries see, have weight 0.

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
	p.b = Block16{Cols: n, Groups: ceilDiv(k, group)}
	p.b.stride = p.b.Groups
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

// whole is the number of keys, of a tile of so many, in the products of a strip that sees n.
func wholeGroups(n, keys int) int { return min(roundUp(n, group), keys) }

// round16 rounds the rows of a strip, and fills them up with zeros to n elements.
func (isa ISA) round16(dst []uint16, s []float32, t *scores, n int) {
	for r := range t.rows {
		isa.RoundNearest(dst[r*tileLD:][:t.n], s[r*tileLD:][:t.n])
		clear(dst[r*tileLD:][t.n:n])
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
	clear(out)
	var before, partial [strip16]float32
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
			if a.windowed() {
				a.hide(&t, s, q, k0)
			}
			copy(before[:m], most[r:])
			isa.softmax(&t, s, most[r:], partial[:])
			for i := range m {
				before[i] -= most[r+i]
			}
			isa.ExpSum(before[:m], before[:m], 1, 0)
			for i, shrink := range before[:m] {
				sum[r+i] = float32(sum[r+i]*shrink) + partial[i]
			}
			isa.scaleRows(out, before[:m], a.D, a.D)
			isa.drop(&a.AttentionHead, &t, s, q, k0)
			isa.round16(p, s, &t, n)
			v.product(isa, m, a.D, n, p, tileLD, out, a.D, true, room)
		}
	}
	for r := range rows {
		a.LSE[q0+r] = most[r] + float32(logOf(sum[r]))
		sum[r] = 1 / sum[r]
	}
	isa.scaleRows(out, sum, a.D, a.D)
	for r := range rows {
		isa.RoundNearest(a.Out16[(q0+r)*a.LDOut:][:a.D], out[r*a.D:][:a.D])
	}
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
	if !a.More {
		for u := range keys {
			clear(dK[kAt+u*a.LDK:][:a.D])
			clear(dV[kAt+u*a.LDK:][:a.D])
		}
	}
	room := room(cut(&scratch, Gemm16Small))
	s, d := cut(&scratch, strip16*tileLD), cut(&scratch, strip16*tileLD)
	p, ds := halves16(cut(&scratch, strip16*tileLD/2)), halves16(cut(&scratch, strip16*tileLD/2))
	row, delta := cut(&scratch, 2*MaxHeadDim), cut(&scratch, strip16)
	k := isa.pack16(&scratch, NT, a.K16[kAt:], a.LDK, a.D, keys, room)
	v := isa.pack16(&scratch, NT, a.V16[kAt:], a.LDK, a.D, keys, room)
	kRows := isa.pack16(&scratch, NN, a.K16[kAt:], a.LDK, keys, a.D, room)
	q, m := 0, 0
	if a.Causal {
		q = k0
	}
	for ; q < a.until(k0); q += m {
		m = a.strip(q, min(a.until(k0), roundUp(q+1, tile))-q, k0, strip16)
		t := a.view(q, m, k0)
		n := wholeGroups(t.n, keys)
		queries, grads := a.Q16[q*a.LDQ:], dOut[q*a.LDOut:]
		isa.deltas16(delta[:m], grads, a.Out16[q*a.LDOut:], a.LDOut, a.D, row)
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
		gradRows.product(isa, n, a.D, m, p, tileLD, dV[kAt:], a.LDK, true, room)
		panels = scratch
		queryRows := isa.pack16(&panels, TN, queries, a.LDQ, m, a.D, room)
		queryRows.product(isa, n, a.D, m, ds, tileLD, dK[kAt:], a.LDK, true, room)
	}
}

// deltas16 sets delta[r] to the dot product of row r of a and b, both of bfloat16, over n elements. It uses 2n floats of
// row.
func (isa ISA) deltas16(delta []float32, a, b []uint16, ld, n int, row []float32) {
	for r := range delta {
		isa.Widen(row[:n], a[r*ld:][:n])
		isa.Widen(row[n:2*n], b[r*ld:][:n])
		delta[r] = isa.Dot(row[:n], row[n:2*n])
	}
}
