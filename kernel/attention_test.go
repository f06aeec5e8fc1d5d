package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/rng"
)

// attentionCase is one head inside rows that are wider than it, all between
// guards.
type attentionCase struct {
	*operands
	AttentionHead
	dQKV, dOut []float32
}

func newAttentionCase(seed uint64, T, D int, causal bool, keep uint32, wild bool) *attentionCase {
	o := newOperands(seed, 0, wild)
	LD, LDOut := 3*D+o.r.IntN(9), D+o.r.IntN(9)
	qkv, out := o.slice(T*LD), o.slice(T*LDOut)
	return &attentionCase{operands: o,
		AttentionHead: AttentionHead{T: T, D: D, LD: LD, LDOut: LDOut, Scale: float32(1 / math.Sqrt(float64(D))), Causal: causal,
			Q: qkv, K: qkv[D:], V: qkv[2*D:], Out: out, LSE: o.slice(T),
			Keep: keep, Key: rng.Key{Seed: seed, Step: 3, Site: rng.SiteAttention}, Index: o.r.IntN(3)},
		dQKV: o.slice(T * LD), dOut: o.slice(T * LDOut)}
}

// run is the forward and the backward pass in scratch full of NaN.
func (c *attentionCase) run(isa ISA) {
	scratch := make([]float32, ScratchFloats)
	for i := range scratch {
		scratch[i] = nan
	}
	for part := range QueryTiles(c.T) {
		isa.Attention(&c.AttentionHead, part, scratch)
	}
	isa.AttentionBackward(&c.AttentionHead, c.dQKV, c.dQKV[c.D:], c.dQKV[2*c.D:], c.dOut, scratch)
}

// compare fails unless every operand of c, whatever lies between rows included,
// has the bits of want's.
func (c *attentionCase) compare(t *testing.T, want *attentionCase, what string) {
	t.Helper()
	if !c.guarded() {
		t.Fatalf("%s T=%d D=%d writes outside its slices", what, c.T, c.D)
	}
	for i, s := range c.all {
		for j, v := range s {
			if w := want.all[i][j]; !sameBits(v, w) {
				t.Fatalf("%s T=%d D=%d causal %v keep %d: operand %d element %d is %x, want %x",
					what, c.T, c.D, c.Causal, c.Keep, i, j-32, v, w)
			}
		}
	}
}

func checkAttention(t *testing.T, seed uint64, T, D int, causal bool, keep uint32, wild bool) {
	t.Helper()
	want := newAttentionCase(seed, T, D, causal, keep, wild)
	want.run(portable)
	if !wild {
		naive := newAttentionCase(seed, T, D, causal, keep, wild)
		naive.naive()
		want.compare(t, naive, "portable, beside the definition,")
	}
	for isa := avx2; isa <= ISA(cpufeat.Best()); isa++ {
		got := newAttentionCase(seed, T, D, causal, keep, wild)
		got.run(isa)
		got.compare(t, want, isa.String())
	}
}

// naive is the definition of attention, weight by weight, without strips, blocks
// or packing: only tiles of keys count.
func (c *attentionCase) naive() {
	dropped := func(row []float32, q, k0 int) {
		if c.Keep < 1<<16 {
			portable.Dropout(row, row, c.Key, uint32((c.Index*c.T+q)*((c.T+63)&^63)+k0), c.Keep)
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
	dQ, dK, dV := c.dQKV, c.dQKV[c.D:], c.dQKV[2*c.D:]
	for q := range c.T {
		clear(dQ[q*c.LD:][:3*c.D])
	}
	for q := range c.T {
		query, out, do, most, sum := c.Q[q*c.LD:], c.Out[q*c.LDOut:][:c.D], c.dOut[q*c.LDOut:], -inf, float32(0)
		each := func(f func(k0 int, row []float32)) { // of the scores of tiles of keys
			for k0 := 0; k0 < c.T && !(c.Causal && k0 > q); k0 += tile {
				end := min(c.T, k0+tile)
				if c.Causal {
					end = min(end, q+1)
				}
				row := make([]float32, end-k0)
				for i := range row {
					row[i] = dot(query, c.K[(k0+i)*c.LD:])
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
				addTo(out, p, c.V[(k0+i)*c.LD:])
			}
		})
		scaleGo(out, out, 1/sum)
		c.LSE[q] = most + float32(logOf(sum))
		delta := portable.Dot(do[:c.D], out)
		each(func(k0 int, row []float32) {
			dp := make([]float32, len(row))
			for i := range row {
				dp[i] = dot(do, c.V[(k0+i)*c.LD:])
			}
			portable.ExpSum(row, row, c.Scale, c.LSE[q])
			p := append([]float32(nil), row...)
			dropped(p, q, k0)
			dropped(dp, q, k0)
			for i := range row {
				ds := float32(row[i]*(dp[i]-delta)) * c.Scale
				addTo(dV[(k0+i)*c.LD:], p[i], do)
				addTo(dQ[q*c.LD:], ds, c.K[(k0+i)*c.LD:])
				addTo(dK[(k0+i)*c.LD:], ds, query)
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
				checkAttention(t, uint64(i), s[0], s[1], causal, 1<<16, false)
				checkAttention(t, uint64(i), s[0], s[1], causal, 1<<16, true)
				checkAttention(t, uint64(i), s[0], s[1], causal, 50000, i%2 == 0)
			}
		})
	}
}

func FuzzAttention(f *testing.F) {
	for _, s := range [][2]uint16{{37, 12}, {130, 40}, {270, 6}} {
		f.Add(uint64(s[0]), s[0], s[1], true, uint16(0), false)
		f.Add(uint64(s[0]), s[0], s[1], false, uint16(40000), true)
	}
	f.Fuzz(func(t *testing.T, seed uint64, T, D uint16, causal bool, keep uint16, wild bool) {
		k := uint32(keep)
		if k == 0 {
			k = 1 << 16
		}
		checkAttention(t, seed, 1+int(T)%600, 1+int(D)%MaxHeadDim, causal, k, wild)
	})
}

// TestAttentionIgnoresUnseen: a causal head gives the same bits whatever the keys
// and values of later strips hold, infinities and NaN included.
func TestAttentionIgnoresUnseen(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		const T, D, seen = 300, 8, tile + strip
		want, got := newAttentionCase(1, T, D, true, 1<<16, false), newAttentionCase(1, T, D, true, 1<<16, false)
		r := rand.New(rand.NewPCG(1, 1))
		for i := seen * got.LD; i < T*got.LD; i++ {
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
