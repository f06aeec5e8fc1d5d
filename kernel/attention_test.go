package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bdia-go/bdia/internal/rng"
)

// sizes are those of a head: queries, keys, keys that are seen, width.
type sizes struct{ T, S, seen, D int }

// attentionCase is one head inside rows that are wider than it, all between
// guards. Causal, its queries, keys and values share rows.
type attentionCase struct {
	*operands
	AttentionHead
	dQ, dK, dV, dOut []float32
}

func newAttentionCase(seed uint64, s sizes, causal bool, keep uint32, wild bool) *attentionCase {
	o := newOperands(seed, 0, wild)
	LDQ, LDK, LDOut := 3*s.D+o.r.IntN(9), 2*s.D+o.r.IntN(9), s.D+o.r.IntN(9)
	q, dQ := o.slice(s.T*LDQ), o.slice(s.T*LDQ)
	k, dK := q[s.D:], dQ[s.D:]
	if causal {
		LDK = LDQ
	} else {
		k, dK = o.slice(s.S*LDK), o.slice(s.S*LDK)
	}
	return &attentionCase{operands: o,
		AttentionHead: AttentionHead{T: s.T, S: s.S, D: s.D, Seen: s.seen, LDQ: LDQ, LDK: LDK, LDOut: LDOut, Scale: float32(1 / math.Sqrt(float64(s.D))), Causal: causal,
			Q: q, K: k, V: k[s.D:], Out: o.slice(s.T * LDOut), LSE: o.slice(s.T),
			Keep: keep, Key: rng.Key{Seed: seed, Step: 3, Site: 2}, Index: o.r.IntN(3)},
		dQ: dQ, dK: dK, dV: dK[s.D:], dOut: o.slice(s.T * LDOut)}
}

// run is the forward and the backward pass in scratch full of NaN.
func (c *attentionCase) run(isa ISA) {
	scratch := make([]float32, ScratchFloats)
	for i := range scratch {
		scratch[i] = nan
	}
	for part := range Tiles(c.T) {
		isa.Attention(&c.AttentionHead, part, scratch)
	}
	for part := range Tiles(c.S) {
		isa.AttentionBackward(&c.AttentionHead, part, c.dQ, c.dK, c.dV, c.dOut, scratch)
	}
}

// compare fails unless every operand of c, whatever lies between rows included,
// has the bits of want's.
func (c *attentionCase) compare(t *testing.T, want *attentionCase, what string) {
	t.Helper()
	if !c.guarded() {
		t.Fatalf("%s T=%d S=%d seen=%d D=%d writes outside its slices", what, c.T, c.S, c.Seen, c.D)
	}
	for i, s := range c.all {
		for j, v := range s {
			if w := want.all[i][j]; !sameBits(v, w) {
				t.Fatalf("%s T=%d S=%d seen=%d D=%d causal %v keep %d: operand %d element %d is %x, want %x",
					what, c.T, c.S, c.Seen, c.D, c.Causal, c.Keep, i, j-32, v, w)
			}
		}
	}
}

func checkAttention(t *testing.T, seed uint64, s sizes, causal bool, keep uint32, wild bool) {
	t.Helper()
	want := newAttentionCase(seed, s, causal, keep, wild)
	want.run(portable)
	if !wild {
		naive := newAttentionCase(seed, s, causal, keep, wild)
		naive.naive()
		want.compare(t, naive, "portable, beside the definition,")
	}
	for _, isa := range levels()[1:] {
		got := newAttentionCase(seed, s, causal, keep, wild)
		got.run(isa)
		got.compare(t, want, isa.String())
	}
}

// naive is the definition of attention, weight by weight, without strips, blocks
// or packing: only tiles of keys count.
func (c *attentionCase) naive() {
	dropped := func(row []float32, q, k0 int) {
		if c.Keep < 1<<16 {
			portable.Dropout(row, row, c.Key, uint32((c.Index*c.T+q)*((c.S+63)&^63)+k0), c.Keep)
		}
	}
	dot := func(a, b []float32) (s float32) {
		for i := range c.D {
			s = fma(a[i], b[i], s)
		}
		return s
	}
	addTo := func(y []float32, p float32, x []float32) {
		for i := range c.D {
			y[i] = fma(p, x[i], y[i])
		}
	}
	dQ, dK, dV := c.dQ, c.dK, c.dV
	for q := range c.T {
		clear(dQ[q*c.LDQ:][:c.D])
	}
	for u := range c.S {
		clear(dK[u*c.LDK:][:2*c.D])
	}
	for q := range c.T {
		query, out, do, most, sum := c.Q[q*c.LDQ:], c.Out[q*c.LDOut:][:c.D], c.dOut[q*c.LDOut:], -inf, float32(0)
		each := func(f func(k0 int, row []float32)) { // of the scores of tiles of keys
			for k0 := 0; k0 < c.Seen && !(c.Causal && k0 > q); k0 += tile {
				end := min(c.Seen, k0+tile)
				if c.Causal {
					end = min(end, q+1)
				}
				row := make([]float32, end-k0)
				for i := range row {
					row[i] = dot(query, c.K[(k0+i)*c.LDK:])
				}
				f(k0, row)
			}
		}
		clear(out)
		each(func(k0 int, row []float32) {
			top := max(most, portable.RowMax(row)*c.Scale)
			part := portable.ExpSum(row, row, c.Scale, top)
			shrink := expf(most - top)
			if k0 > 0 {
				part += float32(sum * shrink)
				scaleGo(out, out, shrink)
			}
			most, sum = top, part
			dropped(row, q, k0)
			for i, p := range row {
				addTo(out, p, c.V[(k0+i)*c.LDK:])
			}
		})
		scaleGo(out, out, 1/sum)
		c.LSE[q] = most + float32(logOf(sum))
		delta := portable.Dot(do[:c.D], out)
		each(func(k0 int, row []float32) {
			dp := make([]float32, len(row))
			for i := range row {
				dp[i] = dot(do, c.V[(k0+i)*c.LDK:])
			}
			portable.ExpSum(row, row, c.Scale, c.LSE[q])
			p := append([]float32(nil), row...)
			dropped(p, q, k0)
			dropped(dp, q, k0)
			for i := range row {
				ds := float32(row[i]*(dp[i]-delta)) * c.Scale
				addTo(dV[(k0+i)*c.LDK:], p[i], do)
				addTo(dQ[q*c.LDQ:], ds, c.K[(k0+i)*c.LDK:])
				addTo(dK[(k0+i)*c.LDK:], ds, query)
			}
		})
	}
}

func TestAttentionPathsAgree(t *testing.T) {
	t.Parallel()
	for i, s := range [][2]int{{1, 1}, {2, 7}, {11, 33}, {12, 16}, {13, 64}, {25, 31}, {64, 48}, {65, 32}, {96, 5}, {97, 15},
		{100, 256}, {192, 17}, {255, 3}, {256, 12}, {257, 8}, {300, 20}, {511, 2}, {513, 9}, {600, 4}} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for _, causal := range []bool{true, false} {
				s := sizes{s[0], s[0], s[0], s[1]}
				checkAttention(t, uint64(i), s, causal, 1<<16, false)
				checkAttention(t, uint64(i), s, causal, 1<<16, true)
				checkAttention(t, uint64(i), s, causal, 50000, i%2 == 0)
			}
		})
	}
}

// TestAttentionOfOtherKeys: queries and keys of different numbers, not all of which
// are seen.
func TestAttentionOfOtherKeys(t *testing.T) {
	t.Parallel()
	for i, s := range []sizes{{1, 1, 1, 8}, {1, 9, 5, 16}, {5, 40, 1, 32}, {40, 5, 5, 7}, {13, 300, 257, 8}, {13, 300, 256, 8},
		{97, 20, 19, 33}, {300, 13, 12, 16}, {270, 600, 513, 4}, {2, 3, 2, 256}} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			checkAttention(t, uint64(i), s, false, 1<<16, false)
			checkAttention(t, uint64(i), s, false, 1<<16, true)
			checkAttention(t, uint64(i), s, false, 50000, i%2 == 0)
		})
	}
}

func FuzzAttention(f *testing.F) {
	for _, s := range [][4]uint16{{37, 37, 37, 12}, {130, 61, 60, 40}, {270, 300, 7, 6}} {
		f.Add(uint64(s[0]), s[0], s[1], s[2], s[3], true, uint16(0), false)
		f.Add(uint64(s[0]), s[0], s[1], s[2], s[3], false, uint16(40000), true)
	}
	f.Fuzz(func(t *testing.T, seed uint64, T, S, seen, D uint16, causal bool, keep uint16, wild bool) {
		k := uint32(keep)
		if k == 0 {
			k = 1 << 16
		}
		s := sizes{T: 1 + int(T)%600, S: 1 + int(S)%600, D: 1 + int(D)%MaxHeadDim}
		s.seen = 1 + int(seen)%s.S
		if causal {
			s.S, s.seen = s.T, s.T
		}
		checkAttention(t, seed, s, causal, k, wild)
	})
}

// TestAttentionIgnoresUnseen: a causal head gives the same bits whatever the keys
// and values of later strips hold, infinities and NaN included.
func TestAttentionIgnoresUnseen(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		const T, D, seen = 300, 8, tile + strip
		s := sizes{T, T, T, D}
		want, got := newAttentionCase(1, s, true, 1<<16, false), newAttentionCase(1, s, true, 1<<16, false)
		r := rand.New(rand.NewPCG(1, 1))
		for i := seen * got.LDQ; i < T*got.LDQ; i++ {
			got.Q[i] = []float32{nan, inf, -inf}[r.IntN(3)]
		}
		want.run(isa)
		got.run(isa)
		for i, v := range got.Out[:seen*got.LDOut] {
			if !sameBits(v, want.Out[i]) {
				t.Fatalf("element %d of the output is %x beside later keys that are not finite, %x beside others", i, v, want.Out[i])
			}
		}
	})
}
