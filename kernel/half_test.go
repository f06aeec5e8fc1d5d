package kernel

import (
	"math"
	"testing"

	"github.com/bdia-go/bdia/internal/half"
	"github.com/bdia-go/bdia/internal/rng"
)

// TestWiden: every bfloat16 becomes the float32 of the same value, on every path and for every length.
func TestWiden(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		all := make([]uint16, 1<<16)
		for i := range all {
			all[i] = uint16(i)
		}
		got := make([]float32, len(all))
		isa.Widen(got, all)
		for i, v := range got {
			if math.Float32bits(v) != uint32(i)<<16 {
				t.Fatalf("%#x becomes %#x", i, math.Float32bits(v))
			}
		}
		for n := range 70 {
			clear(got)
			isa.Widen(got[:n], all[0x3f81:][:n])
			if n > 0 && got[n-1] != half.BToFloat(uint16(0x3f80+n)) || got[n] != 0 {
				t.Fatalf("the last of %d becomes %v, and what follows %v", n, got[max(0, n-1)], got[n])
			}
		}
	})
}

// TestHalfGemm: a product with B in bfloat16 is the one with the same numbers in float32, bit for bit, on every path.
func TestHalfGemm(t *testing.T) {
	t.Parallel()
	scratch := make([]float32, GemmScratch)
	shapes := [][3]int{{1, 5, 3}, {1, 130, 37}, {7, 33, 400}, {13, 16, 16}, {3, 5, 800}, {5, 6, 0}, {57, 129, 33}, {141, 37, 40}, {143, 600, 21}, {70, 140, 385}, {30, 129, 512}, {70, 290, 1024}}
	for i, s := range shapes {
		for layout := range Layout(2) {
			for _, pad := range []int{0, 11} {
				p := newProduct(layout, s[0], s[1], s[2], (i+int(layout))%4, pad, uint64(2*i)+uint64(layout))
				halves := make([]uint16, len(p.B))
				portable.RoundNearest(halves, p.B)
				portable.Widen(p.B, halves)
				want := p.on(portable, scratch)
				p.B, p.Half = nil, halves
				for _, isa := range levels() {
					for i := range scratch {
						scratch[i] = nan // nothing left over counts
					}
					if err := diff(p.on(isa, scratch), want); err != nil {
						t.Errorf("%v %v %v strides %d %d: %v", isa, layout, s, p.LDA, p.LDB, err)
					}
				}
			}
		}
	}
}

// TestHalfRow: one row is multiplied with weights in bfloat16 as with the same numbers in float32, wherever chains start
// and whatever is left over of rows and columns.
func TestHalfRow(t *testing.T) {
	t.Parallel()
	scratch := make([]float32, GemmScratch)
	for _, n := range []int{1, 15, 16, 31, 32, 100, 129} {
		for _, k := range []int{16, 31, 32, 48, 64, 99, 576} {
			for start := range 4 {
				for _, pad := range []int{0, 11} {
					p := newProduct(NT, 1, n, k, start, pad, uint64(n*k))
					halves := make([]uint16, len(p.B))
					portable.RoundNearest(halves, p.B)
					portable.Widen(p.B, halves)
					want := p.on(portable, scratch)
					for _, isa := range levels() {
						if err := diff(p.on(isa, scratch), want); err != nil {
							t.Errorf("%v, %d columns of %d in float32, start %d, stride %d: %v", isa, n, k, start, p.LDB, err)
						}
						half := *p
						half.B, half.Half = nil, halves
						if err := diff(half.on(isa, scratch), want); err != nil {
							t.Errorf("%v, %d columns of %d, start %d, stride %d: %v", isa, n, k, start, p.LDB, err)
						}
					}
				}
			}
		}
	}
}

// TestRoundNearest: every path rounds as package half does, halves of steps, subnormals, infinities and NaN included.
func TestRoundNearest(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		x := newOperands(5, 3000, true).vec()
		for upper := range uint32(1 << 16) {
			for _, lower := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xffff} {
				x = append(x, math.Float32frombits(upper<<16|lower))
			}
		}
		got := make([]uint16, len(x)+1)
		for _, n := range []int{1, 15, 16, 70, len(x)} {
			got[n] = 7
			isa.RoundNearest(got[:n], x[:n])
			for i, v := range x[:n] {
				if want := half.BFromFloat(v); got[i] != want {
					t.Fatalf("%d: %v (%#x) becomes %#x, want %#x", i, v, math.Float32bits(v), got[i], want)
				}
			}
			if got[n] != 7 {
				t.Fatalf("%d elements: the one after them was written", n)
			}
		}
	})
}

// TestRoundStochastic: every path rounds alike, wherever the work is split; what fits stays, and a NaN stays one.
func TestRoundStochastic(t *testing.T) {
	t.Parallel()
	key := rng.Key{Seed: 3, Step: 5, Sample: 7, Site: rng.SiteRounding}
	o := newOperands(4, 5000, true)
	x := o.vec()
	want := make([]uint16, len(x))
	portable.RoundStochastic(want, x, key, 0)
	for _, isa := range levels() {
		for _, n := range []int{1, 7, 16, 70, 2048, 2049, len(x)} {
			for _, at := range []int{0, 8, 2056} {
				n := min(n, len(x)-at)
				got := make([]uint16, n+1)
				isa.RoundStochastic(got[:n], x[at:at+n], key, at)
				for i, h := range got[:n] {
					if h != want[at+i] {
						t.Fatalf("%v: element %d, %v (%#x), becomes %#x, want %#x", isa, at+i, x[at+i], math.Float32bits(x[at+i]), h, want[at+i])
					}
				}
				if got[n] != 0 {
					t.Fatalf("%v writes past %d elements", isa, n)
				}
			}
		}
	}
	for i, v := range x {
		h := half.BToFloat(want[i])
		below := math.Float32frombits(math.Float32bits(v) &^ 0xffff)
		switch {
		case v != v:
			if h == h {
				t.Fatalf("NaN %#x becomes %v", math.Float32bits(v), h)
			}
		case below == v && h != v || math.Signbit(float64(h)) != math.Signbit(float64(v)):
			t.Fatalf("%v becomes %v", v, h)
		case h != below && want[i] != uint16(math.Float32bits(v)>>16)+1:
			t.Fatalf("%v becomes %v, which is no neighbour", v, h)
		}
	}
}

// TestRoundingKeepsTheMean: updates far below half a step of a bfloat16 are lost by rounding to nearest, every one, and
// kept in the mean by stochastic rounding. A weight of 0.02 that moves by 1e-5 a step has steps of 2^-13.
func TestRoundingKeepsTheMean(t *testing.T) {
	t.Parallel()
	const n, steps, rate = 4096, 200, 1e-5
	start := half.BToFloat(half.BFromFloat(0.02))
	x := make([]float32, n)
	nearest, drawn := make([]uint16, n), make([]uint16, n)
	for i := range nearest {
		nearest[i], drawn[i] = half.BFromFloat(start), half.BFromFloat(start)
	}
	best := levels()[len(levels())-1]
	for step := range steps {
		for _, h := range [][]uint16{nearest, drawn} {
			best.Widen(x, h)
			for i := range x {
				x[i] -= rate
			}
			if &h[0] == &nearest[0] {
				portable.RoundNearest(h, x)
			} else {
				best.RoundStochastic(h, x, rng.Key{Seed: 1, Step: uint32(step), Site: rng.SiteRounding}, 0)
			}
		}
	}
	mean := func(h []uint16) (sum float64) {
		for _, h := range h {
			sum += float64(start-half.BToFloat(h)) / n
		}
		return sum
	}
	if d := mean(nearest); d != 0 {
		t.Errorf("rounding to nearest moves weights by %v", d)
	}
	// Standard deviation of the mean: about sqrt(200*0.08*0.92/4096) = 0.06 steps of 2^-13, 7e-6.
	if d := mean(drawn); math.Abs(d-steps*rate) > 3e-5 {
		t.Errorf("stochastic rounding moves weights by %v, want %v", d, steps*rate)
	}
}
