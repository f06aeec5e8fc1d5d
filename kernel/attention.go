package kernel

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia/internal/rng"
)

// Attention of one head, by tiles (Dao et al., FlashAttention, arXiv
// 2205.14135): the T×S matrix of weights exists only as strips of rows by tile
// columns. The forward pass carries each row's running maximum and sum of
// exponentials; the backward pass recomputes the weights from the logarithm of
// that sum.
//
// The tiles are part of the definition: sums run over the keys of a tile in the
// order of ExpSum and over tiles in ascending order, matrix products as chains
// over ascending keys (or queries, for the gradients of keys and values). Keys
// that no query of a strip sees take no part in its products; a key that only some
// of them see has weight 0 for the others. Rejected: tiles chosen by cache size or
// thread count, which would make bits depend on the machine.
//
// A tile's keys and values are packed once for all queries of the call, and a
// strip of scores stays in the first-level cache from the product that makes it to
// the products that use it up.

const (
	tile  = 256       // queries or keys
	strip = 12        // rows of scores that are made together: two tiles of AVX2's product, one of AVX-512's
	block = 8 * strip // queries for which the backward pass holds the weights at a time

	tileLD = tile + lanes // not a multiple of the page, lest rows compete for cache lines
	// MaxHeadDim is the largest width of a head.
	MaxHeadDim = 256

	attentionScratch = 3*tile*MaxHeadDim + 2*block*(MaxHeadDim+tileLD) + block
	// ScratchFloats is the length, in floats, of the scratch buffer that each
	// thread needs for any kernel.
	ScratchFloats = max(GemmScratch, attentionScratch, attentionScratch16, backwardScratch16)
)

// AttentionHead is one head of one sample. Q, K, V, Out and their gradients
// start at the head's first column: row t of Q is at t*LDQ, row u of K and of V at
// u*LDK, row t of Out at t*LDOut. Gradients share these strides.
type AttentionHead struct {
	T, S, D         int       // queries, keys, head width
	Seen            int       // keys 0..Seen-1 are seen, at least one; the others have weight 0
	LDQ, LDK, LDOut int       // row strides in floats
	Scale           float32   // of the scores: 1/sqrt(D), or another
	Causal          bool      // query t sees keys 0..S-T+t only: queries are the last of S positions, and Seen is S
	Window          int       // a query sees the last Window of these keys only; 0: all
	Q, Out          []float32 // (T,D)
	K, V            []float32 // (S,D)
	LSE             []float32 // (T): log of the sum of exp(scale*score)
	More            bool      // AttentionBackward adds to dK and dV, which other heads of queries share

	// Dropout of the weights: Keep of 65536 survive; element (t,u) of head h is
	// number (h*T+t)*(S rounded up to 64)+u of the sample's stream.
	Keep  uint32
	Key   rng.Key
	Index int // h
}

// check panics on impossible shapes and on slices that are too short.
func (a *AttentionHead) check(scratch []float32) {
	if a.D < 1 || a.D > MaxHeadDim || a.T < 1 || a.Window < 0 || a.Seen < 1 || a.Seen > a.S || a.Causal && (a.S < a.T || a.Seen != a.S) ||
		len(a.LSE) != a.T || len(scratch) < ScratchFloats {
		panic(fmt.Sprintf("kernel: attention of %d queries over %d of %d keys (causal: %v) with head width %d (limit %d) in scratch of %d floats",
			a.T, a.Seen, a.S, a.Causal, a.D, MaxHeadDim, len(scratch)))
	}
}

// past is the number of positions before the first query of causal attention.
func (a *AttentionHead) past() int {
	if a.Causal {
		return a.S - a.T
	}
	return 0
}

// view returns the keys that a strip's queries q.. see in the tile that starts at
// key k0. Of causal attention the strip lies before the end of the tile, or behind it.
func (a *AttentionHead) view(q, rows, k0 int) scores {
	n := min(tile, a.Seen-k0)
	t := scores{rows: rows, n: n, seen: n, ld: tileLD, scale: a.Scale}
	if p := q + a.past(); a.Causal && p < k0+tile {
		t.n, t.seen, t.more = p+rows-k0, p+1-k0, 1
	}
	return t
}

// strip returns how many of the n queries q.. are a strip, of most at most, for the tile that starts at key k0.
func (a *AttentionHead) strip(q, n, k0, most int) int {
	if left := k0 + tile - q - a.past(); a.Causal && left > 0 {
		n = min(n, left)
	}
	return min(n, most)
}

// windowed reports whether queries do not see all earlier keys.
func (a *AttentionHead) windowed() bool { return a.Window > 0 && a.Window < a.Seen }

// first returns the first key that query q sees.
func (a *AttentionHead) first(q int) int {
	switch {
	case !a.windowed():
		return 0
	case a.Causal:
		return max(0, a.past()+q+1-a.Window)
	}
	return a.Seen - a.Window
}

// until returns the end of the queries that see keys of the tile that starts at key k0.
func (a *AttentionHead) until(k0 int) int {
	if a.windowed() && a.Causal {
		return min(a.T, k0+tile+a.Window-1-a.past())
	}
	return a.T
}

// hide gives the keys before the windows of queries q.. scores of which the weight is 0.
func (a *AttentionHead) hide(t *scores, s []float32, q, k0 int) {
	for r := range t.rows {
		for u := range max(0, a.first(q+r)-k0) {
			s[r*t.ld+u] = float32(math.Inf(-1))
		}
	}
}

// drop applies dropout to the weights p (or their gradient) of queries q.., for
// the keys they see.
func (isa ISA) drop(a *AttentionHead, t *scores, p []float32, q, k0 int) {
	if a.Keep == 1<<16 {
		return
	}
	padded := (a.S + 63) &^ 63
	for r := range t.rows {
		row := p[r*t.ld:][:t.seen+r*t.more]
		isa.Dropout(row, row, a.Key, uint32((a.Index*a.T+q+r)*padded+k0), a.Keep)
	}
}

// cut takes n floats from the front of s.
func cut(s *[]float32, n int) []float32 {
	front := (*s)[:n:n]
	*s = (*s)[n:]
	return front
}

// Tiles returns the number of tiles of n queries, for which Attention is called, or of n keys, for which
// AttentionBackward is.
func Tiles(n int) int { return ceilDiv(n, tile) }

// softmaxOn is softmax for a tile of keys after others: it rescales the sums and the outputs so far, rows of n
// elements, to the new maxima.
func (isa ISA) softmaxOn(t *scores, s, most, sum, out []float32, ld, n int) {
	var shrink, partial [strip16]float32
	m := t.rows
	copy(shrink[:m], most)
	isa.softmax(t, s, most, partial[:])
	for i := range m {
		shrink[i] -= most[i]
	}
	isa.ExpSum(shrink[:m], shrink[:m], 1, 0)
	for i, f := range shrink[:m] {
		sum[i] = float32(sum[i]*f) + partial[i]
	}
	isa.scaleRows(out, shrink[:m], ld, n)
}

// Attention computes the rows of Out and LSE that belong to tile number part of
// the queries.
func (isa ISA) Attention(a *AttentionHead, part int, scratch []float32) {
	a.check(scratch)
	q0 := part * tile
	rows, width := min(tile, a.T-q0), roundUp(a.D, 32)
	kPanels, vPanels := cut(&scratch, tile*a.D), cut(&scratch, tile*width)
	s, most, sum := cut(&scratch, strip*tileLD), cut(&scratch, rows), cut(&scratch, rows)
	windowed := a.windowed()
	for r := range rows {
		most[r], sum[r] = float32(math.Inf(-1)), 0
		if windowed {
			clear(a.Out[(q0+r)*a.LDOut:][:a.D])
		}
	}
	end := a.Seen // of the keys that are seen
	if a.Causal {
		end = q0 + a.past() + rows
	}
	for k0 := a.first(q0) / tile * tile; k0 < end; k0 += tile {
		keys := min(tile, a.Seen-k0)
		k := isa.pack(kPanels, NT, a.K[k0*a.LDK:], a.LDK, a.D, keys)
		v := isa.pack(vPanels, NN, a.V[k0*a.LDK:], a.LDK, keys, a.D)
		rows, r, m := min(rows, a.until(k0)-q0), 0, 0
		if a.Causal {
			r = max(0, k0-q0-a.past())
		}
		for ; r < rows; r += m {
			q := q0 + r
			m = a.strip(q, rows-r, k0, strip)
			t, out := a.view(q, m, k0), a.Out[q*a.LDOut:]
			k.product(isa, NT, m, t.n, 0, a.D, a.Q[q*a.LDQ:], a.LDQ, s, tileLD, false)
			if windowed {
				a.hide(&t, s, q, k0)
			}
			if k0 == 0 && !windowed {
				isa.softmax(&t, s, most[r:], sum[r:])
			} else {
				isa.softmaxOn(&t, s, most[r:], sum[r:], out, a.LDOut, a.D)
			}
			isa.drop(a, &t, s, q, k0)
			v.product(isa, NN, m, a.D, 0, t.n, s, tileLD, out, a.LDOut, k0 > 0 || windowed)
		}
	}
	for r := range rows {
		a.LSE[q0+r] = most[r] + float32(logOf(sum[r]))
		sum[r] = 1 / sum[r]
	}
	isa.scaleRows(a.Out[q0*a.LDOut:], sum, a.LDOut, a.D)
}

// beginBackward clears the gradients to which no query adds, of the keys of tile number part, and before the first tile
// the gradients of queries with a window. It returns the end of the keys before all windows.
func (a *AttentionHead) beginBackward(part int, dQ, dK, dV []float32) (unseen int) {
	if a.past() > 0 {
		panic(fmt.Sprintf("kernel: gradients of causal attention of %d queries to %d keys; they are one", a.T, a.S))
	}
	if a.windowed() {
		unseen = a.first(0) / tile * tile
		for t := 0; part == 0 && t < a.T; t++ {
			clear(dQ[t*a.LDQ:][:a.D])
		}
	}
	for u := part * tile; !a.More && u < min((part+1)*tile, a.S); u++ {
		if u >= a.Seen || u < unseen {
			clear(dK[u*a.LDK:][:a.D])
			clear(dV[u*a.LDK:][:a.D])
		}
	}
	return unseen
}

// AttentionBackward computes dQ, dK and dV from dOut for tile number part of the keys: dK and dV of its keys, and what
// they add to dQ. With p the weights after dropout, per row,
//
//	dV = pᵀ·dOut, dp = dOut·Vᵀ, ds = softmax'(dp), dQ = ds·K, dK = dsᵀ·Q
//
// It is called for the tiles of a head in ascending order. Keys that are not seen get gradients of 0. With More, the
// chains of dV and dK go on from what is there: so the gradients of keys and values that several heads of queries share
// are sums over these heads in the order of the calls.
func (isa ISA) AttentionBackward(a *AttentionHead, part int, dQ, dK, dV, dOut []float32, scratch []float32) {
	a.check(scratch)
	windowed, k0 := a.windowed(), part*tile
	if unseen := a.beginBackward(part, dQ, dK, dV); k0 < unseen || k0 >= a.Seen {
		return
	}
	width := roundUp(a.D, 32)
	kPanels, vPanels, rowPanels := cut(&scratch, tile*a.D), cut(&scratch, tile*a.D), cut(&scratch, tile*width)
	qPanels, outPanels := cut(&scratch, block*width), cut(&scratch, block*width)
	s, d, delta := cut(&scratch, block*tileLD), cut(&scratch, block*tileLD), cut(&scratch, block)
	keys, kAt := min(tile, a.Seen-k0), k0*a.LDK
	k := isa.pack(kPanels, NT, a.K[kAt:], a.LDK, a.D, keys)
	v := isa.pack(vPanels, NT, a.V[kAt:], a.LDK, a.D, keys)
	kRows := isa.pack(rowPanels, NN, a.K[kAt:], a.LDK, keys, a.D)
	first, end := 0, 0
	if a.Causal {
		first = k0
	}
	for q0 := first; q0 < a.until(k0); q0 = end {
		end = min(a.until(k0), q0+block, roundUp(q0+1, tile))
		rows := end - q0
		q := isa.pack(qPanels, NN, a.Q[q0*a.LDQ:], a.LDQ, rows, a.D)
		do := isa.pack(outPanels, NN, dOut[q0*a.LDOut:], a.LDOut, rows, a.D)
		isa.dotRows(delta[:rows], dOut[q0*a.LDOut:], a.Out[q0*a.LDOut:], a.LDOut, a.D)
		for r := 0; r < rows; r += strip {
			at, m := q0+r, min(strip, rows-r)
			t, s, d := a.view(at, m, k0), s[r*tileLD:], d[r*tileLD:]
			k.product(isa, NT, m, t.n, 0, a.D, a.Q[at*a.LDQ:], a.LDQ, s, tileLD, false)
			v.product(isa, NT, m, t.n, 0, a.D, dOut[at*a.LDOut:], a.LDOut, d, tileLD, false)
			if windowed {
				a.hide(&t, s, at, k0)
			}
			isa.drop(a, &t, d, at, k0)
			isa.softmaxBackward(&t, s, d, a.LSE[at:], delta[r:])
			isa.drop(a, &t, s, at, k0)
			kRows.product(isa, NN, m, a.D, 0, t.n, d, tileLD, dQ[at*a.LDQ:], a.LDQ, k0 > 0 || windowed)
		}
		n := a.view(q0, rows, k0).n
		for u := 0; u < n; u += strip {
			m, at, r, started := min(strip, n-u), (k0+u)*a.LDK, 0, q0 > 0
			if a.Causal {
				r, started = max(0, k0+u-q0), k0+u < q0
			}
			do.product(isa, TN, m, a.D, r, rows-r, s[r*tileLD+u:], tileLD, dV[at:], a.LDK, started || a.More)
			q.product(isa, TN, m, a.D, r, rows-r, d[r*tileLD+u:], tileLD, dK[at:], a.LDK, started || a.More)
		}
	}
}
