package kernel

import "math"

// Attention with products of bfloat16 (see Gemm16), by the same tiles as in float32. Queries, keys and values are
// bfloat16, and so are the weights, after dropout, and the gradients of the scores when they are operands. Scores, the
// softmax, its sums and all outputs of products are float32. Products have up to strip16 rows of scores, and the keys
// that the strip sees.

const (
	strip16 = 64 // rows of scores that are made together; a tile is a multiple

	attentionScratch16 = tile*MaxHeadDim + 2*strip16*(tileLD+MaxHeadDim) + strip16*tileLD + 3*tile
)

// AttentionHead16 is one head of one sample in bfloat16: Q, K, V and Out of AttentionHead are not looked at.
type AttentionHead16 struct {
	AttentionHead
	Q16, K16, V16, Out16 []uint16
}

// cutHalves takes n elements of bfloat16 from the front of s; n is even.
func cutHalves(s *[]float32, n int) []uint16 { return halvesOf(cut(s, n/2)) }

// Attention16 computes the rows of Out16 and LSE that belong to tile number part of the queries.
func (isa ISA) Attention16(a *AttentionHead16, part int, scratch []float32) {
	a.check(scratch)
	products := scratch[attentionScratch16:]
	q0 := part * tile
	rows := min(tile, a.T-q0)
	out, s, p := cut(&scratch, rows*a.D), cut(&scratch, strip16*tileLD), cutHalves(&scratch, strip16*tileLD)
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
		rows, r, m := min(rows, a.until(k0)-q0), 0, 0
		if a.Causal {
			r = max(0, k0-q0-a.past())
		}
		for ; r < rows; r += m {
			q := q0 + r
			m = a.strip(q, rows-r, k0, strip16)
			t, out := a.view(q, m, k0), out[r*a.D:]
			isa.scores16(a, a.Q16[q*a.LDQ:], a.LDQ, a.K16, q, k0, &t, s, products)
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
			isa.round16(p, s, &t)
			isa.Gemm16(&Gemm16{Layout: NN, M: m, N: a.D, K: t.n, A: Operand{Half: p, LD: tileLD}, B: Operand{Half: a.V16[k0*a.LDK:], LD: a.LDK},
				C: out, LDC: a.D, Accumulate: true}, products)
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

// scores16 writes the products of the strip's rows at x with the tile's rows of keys (or values) to s. Scores that the
// windows of queries q.. hide become -Inf.
func (isa ISA) scores16(a *AttentionHead16, x []uint16, ld int, keys []uint16, q, k0 int, t *scores, s, scratch []float32) {
	isa.Gemm16(&Gemm16{Layout: NT, M: t.rows, N: t.n, K: a.D, A: Operand{Half: x, LD: ld}, B: Operand{Half: keys[k0*a.LDK:], LD: a.LDK},
		C: s, LDC: tileLD}, scratch)
	if a.windowed() {
		a.hide(t, s, q, k0)
	}
}

// round16 rounds the rows of a strip.
func (isa ISA) round16(dst []uint16, s []float32, t *scores) {
	for r := range t.rows {
		isa.RoundNearest(dst[r*tileLD:][:t.n], s[r*tileLD:][:t.n])
	}
}

// AttentionBackward16 is AttentionBackward of heads in bfloat16. The gradients dQ, dK and dV are float32, with row
// strides LDQ and LDK.
func (isa ISA) AttentionBackward16(a *AttentionHead16, part int, dQ, dK, dV []float32, dOut []uint16, scratch []float32) {
	a.check(scratch)
	products := scratch[attentionScratch16:]
	k0 := part * tile
	unseen := a.beginBackward(part, dQ, dK, dV)
	if k0 < unseen || k0 >= a.Seen {
		return
	}
	keys, kAt := min(tile, a.Seen-k0), k0*a.LDK
	if !a.More {
		for u := range keys {
			clear(dK[kAt+u*a.LDK:][:a.D])
			clear(dV[kAt+u*a.LDK:][:a.D])
		}
	}
	s, d := cut(&scratch, strip16*tileLD), cut(&scratch, strip16*tileLD)
	p, ds := cutHalves(&scratch, strip16*tileLD), cutHalves(&scratch, strip16*tileLD)
	wideOut, wideGrad, delta := cut(&scratch, strip16*a.D), cut(&scratch, strip16*a.D), cut(&scratch, strip16)
	q, m := 0, 0
	if a.Causal {
		q = k0
	}
	for ; q < a.until(k0); q += m {
		m = a.strip(q, min(a.until(k0), roundUp(q+1, tile))-q, k0, strip16)
		t := a.view(q, m, k0)
		dout := Operand{Half: dOut[q*a.LDOut:], LD: a.LDOut}
		for r := range m {
			isa.Widen(wideOut[r*a.D:][:a.D], a.Out16[(q+r)*a.LDOut:][:a.D])
			isa.Widen(wideGrad[r*a.D:][:a.D], dout.Half[r*a.LDOut:][:a.D])
		}
		isa.dotRows(delta[:m], wideGrad, wideOut, a.D, a.D)
		isa.scores16(a, a.Q16[q*a.LDQ:], a.LDQ, a.K16, q, k0, &t, s, products)
		isa.Gemm16(&Gemm16{Layout: NT, M: m, N: t.n, K: a.D, A: dout, B: Operand{Half: a.V16[kAt:], LD: a.LDK}, C: d, LDC: tileLD}, products)
		isa.drop(&a.AttentionHead, &t, d, q, k0)
		isa.softmaxBackward(&t, s, d, a.LSE[q:], delta)
		isa.drop(&a.AttentionHead, &t, s, q, k0)
		isa.round16(p, s, &t)
		isa.round16(ds, d, &t)
		isa.Gemm16(&Gemm16{Layout: NN, M: m, N: a.D, K: t.n, A: Operand{Half: ds, LD: tileLD}, B: Operand{Half: a.K16[kAt:], LD: a.LDK},
			C: dQ[q*a.LDQ:], LDC: a.LDQ, Accumulate: k0 > 0 || a.windowed()}, products)
		isa.Gemm16(&Gemm16{Layout: TN, M: t.n, N: a.D, K: m, A: Operand{Half: p, LD: tileLD}, B: dout,
			C: dV[kAt:], LDC: a.LDK, Accumulate: true}, products)
		isa.Gemm16(&Gemm16{Layout: TN, M: t.n, N: a.D, K: m, A: Operand{Half: ds, LD: tileLD}, B: Operand{Half: a.Q16[q*a.LDQ:], LD: a.LDQ},
			C: dK[kAt:], LDC: a.LDK, Accumulate: true}, products)
	}
}
