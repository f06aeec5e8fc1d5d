package kernel

import (
	"bytes"
	"math"
	"slices"
	"testing"
)

// published builds the values of the dynamic tree data type as the paper's
// authors do (bitsandbytes, create_dynamic_map): per decade the means of
// neighbouring boundaries from 0.1 to 1, then 0 and 1, in ascending order.
func published(signed bool) []float64 {
	values := []float64{0, 1}
	for i := range 7 {
		n := 1 << i
		if !signed {
			n *= 2
		}
		for j := range n {
			low, high := 0.1+0.9*float64(j)/float64(n), 0.1+0.9*float64(j+1)/float64(n)
			v := math.Pow(10, float64(i-6)) * (low + high) / 2
			values = append(values, v)
			if signed {
				values = append(values, -v)
			}
		}
	}
	slices.Sort(values)
	return values
}

func TestCodesArePublished(t *testing.T) {
	t.Parallel()
	for i, signed := range []bool{true, false} {
		want, got := published(signed), momentCodes[i].value
		if len(want) != len(got) {
			t.Fatalf("signed %v: %d values are published", signed, len(want))
		}
		for k, w := range want {
			if v := float64(got[k]); math.Abs(v-w) > 7e-7*math.Abs(w) {
				t.Errorf("signed %v: code %d is %.9g, want %.9g", signed, k, v, w)
			}
			if k > 0 && got[k] <= got[k-1] {
				t.Errorf("signed %v: code %d is not above code %d", signed, k, k-1)
			}
		}
	}
}

// encoded returns the codes of x, whose largest magnitude must be 1.
func encoded(isa ISA, x []float32, signed bool) []byte {
	codes := make([]byte, len(x))
	op := opEncodeUnsigned
	if signed {
		op = opEncodeSigned
	}
	isa.encode(op, codes, x, maxMagnitude(x), nil)
	return codes
}

func TestEncodeIsTheInverse(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		for i, signed := range []bool{true, false} {
			for k, code := range encoded(isa, momentCodes[i].value[:], signed) {
				if int(code) != k {
					t.Errorf("signed %v: the value of code %d is encoded as %d", signed, k, code)
				}
			}
		}
	})
}

// TestEncodeNearest: no code is nearer than the one chosen, by more than the
// rounding of the arithmetic, save in the two cases that encode names.
func TestEncodeNearest(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		const n = CodeGroup
		r := newRand()
		x := make([]float32, n)
		for i, signed := range []bool{true, false} {
			values := published(signed)
			for range 20 {
				for j := range x {
					x[j] = float32(math.Exp2(-26 * r.Float64()))
					if j%3 == 0 { // about half-way between two values
						k := 1 + r.IntN(255)
						x[j] = float32((values[k] + values[k-1]) / 2 * (1 + 1e-4*(r.Float64()-0.5)))
					}
					if signed && j%2 == 0 {
						x[j] = -x[j]
					}
					x[j] = min(max(x[j], float32(values[0])), 1)
				}
				x[0] = 1
				for j, code := range encoded(isa, x, signed) {
					v := float64(x[j])
					at, _ := slices.BinarySearch(values, v)
					nearest := min(values[at]-v, v-values[max(at-1, 0)])
					if at == 0 || values[at] == v {
						nearest = 0
					}
					if !signed && v > 0 && v < values[1] {
						nearest = values[1] - v
					}
					if d := math.Abs(float64(momentCodes[i].value[code]) - v); d > nearest+2e-6*math.Abs(v) {
						t.Fatalf("signed %v: %g is encoded as %g, off by %g; the nearest is off by %g", signed, v, momentCodes[i].value[code], d, nearest)
					}
				}
			}
		}
		if code := encoded(isa, []float32{0, 1e-30, 1}, false); code[0] != 0 || code[1] != 1 {
			t.Errorf("second moments 0 and 1e-30 of 1 are encoded as %v", code[:2])
		}
		if code := encoded(isa, []float32{-1, 0.5}, true); code[0] != 0 {
			t.Errorf("-1 is encoded as %d", code[0])
		}
	})
}

// adam8 is the state of one tensor in 8 bits.
type adam8 struct {
	m, v       []byte
	mMax, vMax []float32
}

func newAdam8(n int) adam8 {
	blocks := (n + CodeGroup - 1) / CodeGroup
	return adam8{make([]byte, n), make([]byte, n), make([]float32, blocks), make([]float32, blocks)}
}

// decoded returns both moments.
func (s adam8) decoded() (m, v []float32) {
	m, v = make([]float32, len(s.m)), make([]float32, len(s.m))
	for b := range s.mMax {
		lo, hi := b*CodeGroup, min((b+1)*CodeGroup, len(m))
		momentCodes[0].decode(m[lo:hi], s.m[lo:hi], s.mMax[b])
		momentCodes[1].decode(v[lo:hi], s.v[lo:hi], s.vMax[b])
	}
	return m, v
}

// TestAdamW8Arithmetic: a step has the bits of AdamW on the decoded moments; its
// own are the new ones, to the width of a code.
func TestAdamW8Arithmetic(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		const n = 3*CodeGroup + 77
		r := newRand()
		p, s := normals(r, n, 1), newAdam8(n)
		for step := 1; step <= 5; step++ {
			g := normals(r, n, 0.1)
			a := AdamWScalars{1e-2, 0.9, 0.999, 1e-8, 0.1, 1 - float32(math.Pow(0.9, float64(step))), 1 - float32(math.Pow(0.999, float64(step)))}
			m, v := s.decoded()
			want := slices.Clone(p)
			isa.AdamW(want, g, m, v, a)
			isa.AdamW8(p, g, s.m, s.v, s.mMax, s.vMax, a)
			if !slices.Equal(p, want) {
				t.Fatalf("step %d: not AdamW's weights", step)
			}
			m8, v8 := s.decoded()
			for i := range m {
				// 1/128 of the absmax and 1/16 of the value bound what a code changes.
				if d := absf(m8[i] - m[i]); d > s.mMax[i/CodeGroup]*0.0071 {
					t.Fatalf("step %d: m[%d] = %v, want %v", step, i, m8[i], m[i])
				}
				if d := absf(v8[i] - v[i]); d > s.vMax[i/CodeGroup]*0.0036 || v[i] > 0 && v8[i] <= 0 {
					t.Fatalf("step %d: v[%d] = %v, want %v", step, i, v8[i], v[i])
				}
			}
		}
	})
}

// TestAdamW8Splits: at multiples of a block work can be split.
func TestAdamW8Splits(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		const n, cut = 2*CodeGroup + 300, CodeGroup
		r := newRand()
		p, g := normals(r, n, 1), normals(r, n, 1)
		q, a := slices.Clone(p), AdamWScalars{1e-2, 0.9, 0.999, 1e-8, 0.1, 1, 1}
		whole, parts := newAdam8(n), newAdam8(n)
		for range 3 {
			isa.AdamW8(p, g, whole.m, whole.v, whole.mMax, whole.vMax, a)
			isa.AdamW8(q[cut:], g[cut:], parts.m[cut:], parts.v[cut:], parts.mMax[1:], parts.vMax[1:], a)
			isa.AdamW8(q[:cut], g[:cut], parts.m[:cut], parts.v[:cut], parts.mMax[:1], parts.vMax[:1], a)
		}
		if !slices.Equal(p, q) || !bytes.Equal(whole.m, parts.m) || !bytes.Equal(whole.v, parts.v) ||
			!slices.Equal(whole.mMax, parts.mMax) || !slices.Equal(whole.vMax, parts.vMax) {
			t.Error("the split shows")
		}
	})
}

// TestAdamW8Extremes: a block without gradients stays at zero; a gradient that
// is not finite, or whose square is not, shows in the weights of its block at
// the latest one step later, and of no other.
func TestAdamW8Extremes(t *testing.T) {
	everyISA(t, func(t *testing.T, isa ISA) {
		const n = 3 * CodeGroup
		a := AdamWScalars{LR: 1e-2, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Bias1: 1, Bias2: 1}
		for _, bad := range []float32{nan, inf, -inf, 1e30} {
			p, g, s := make([]float32, n), make([]float32, n), newAdam8(n)
			for i := range CodeGroup {
				g[i], g[CodeGroup+i] = 0.5, -0.5
			}
			isa.AdamW8(p, g, s.m, s.v, s.mMax, s.vMax, a)
			g[5] = bad
			isa.AdamW8(p, g, s.m, s.v, s.mMax, s.vMax, a)
			g[5] = 0.5
			isa.AdamW8(p, g, s.m, s.v, s.mMax, s.vMax, a)
			if p[0] == p[0] {
				t.Errorf("after a gradient of %v the block's weights are finite: %v", bad, p[0])
			}
			if v := p[CodeGroup]; !(v > 0 && v < 1) {
				t.Errorf("a gradient of %v reaches the next block: %v", bad, v)
			}
			if p[2*CodeGroup] != 0 || s.mMax[2] != 0 || s.vMax[2] != 0 {
				t.Error("a block without gradients has moved")
			}
		}
	})
}
