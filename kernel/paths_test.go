package kernel

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/bdia-go/bdia/internal/rng"
)

// Every path of every kernel must give the bits of the portable one, and write
// nothing outside its slices.

const guard = 0x7fc0dead

// operands is one call's worth of operands, the same for the same seed.
type operands struct {
	r     *rand.Rand
	n     int
	wild  bool // values of every kind rather than tame ones
	all   [][]float32
	sides [][]byte
}

func newOperands(seed uint64, n int, wild bool) *operands {
	return &operands{r: rand.New(rand.NewPCG(seed, 7)), n: n, wild: wild}
}

// value draws one operand.
func (o *operands) value() float32 {
	v := float32(o.r.NormFloat64() * 3)
	if !o.wild {
		return v
	}
	switch o.r.IntN(12) {
	case 0:
		return []float32{0, float32(math.Copysign(0, -1)), 1, -1, float32(math.NaN()),
			float32(math.Inf(1)), float32(math.Inf(-1)), math.MaxFloat32, -math.MaxFloat32,
			math.SmallestNonzeroFloat32, 0x1p-126, 88, -88, 0x1p31, -0x1p31, 0x1p22}[o.r.IntN(16)]
	case 1:
		return math.Float32frombits(o.r.Uint32())
	case 2:
		return v * 0x1p-130
	case 3:
		return v * 30
	case 4:
		return float32(math.Round(float64(v)*512)+0.5) / 512 // ties of the grid
	default:
		return v
	}
}

// slice returns n operands between guards.
func (o *operands) slice(n int) []float32 {
	s := make([]float32, n+64)
	for i := range s {
		s[i] = math.Float32frombits(guard)
	}
	for i := range n {
		s[32+i] = o.value()
	}
	o.all = append(o.all, s)
	return s[32 : 32+n : 32+n]
}

func (o *operands) vec() []float32 { return o.slice(o.n) }

// positive returns n finite operands >= 0.
func (o *operands) positive() []float32 {
	s := o.vec()
	for i, v := range s {
		if s[i] = absf(v); !(s[i] < 1e30) {
			s[i] = 0
		}
	}
	return s
}

// side returns n random bytes between guards.
func (o *operands) side(n int) []byte {
	s := bytes.Repeat([]byte{0xa5}, n+64)
	for i := range n {
		s[32+i] = byte(o.r.Uint32())
	}
	o.sides = append(o.sides, s)
	return s[32 : 32+n : 32+n]
}

// scores returns a tile of attention, causal or not, of at least n columns.
func (o *operands) scores() scores {
	t := scores{rows: 1 + o.r.IntN(strip), seen: 1 + o.n, more: o.r.IntN(2), scale: 0.1 + absf(float32(o.r.NormFloat64()))}
	t.n = t.seen + (t.rows-1)*t.more + (1-t.more)*o.r.IntN(40)
	t.ld = roundUp(t.n, lanes) + o.r.IntN(20)
	return t
}

func (o *operands) guarded() bool {
	for _, s := range o.all {
		for i := range 32 {
			if math.Float32bits(s[i]) != guard || math.Float32bits(s[len(s)-1-i]) != guard {
				return false
			}
		}
	}
	for _, s := range o.sides {
		if !bytes.Equal(s[:32], bytes.Repeat([]byte{0xa5}, 32)) || !bytes.Equal(s[len(s)-32:], s[:32]) {
			return false
		}
	}
	return true
}

// sameBits compares values of any finite or infinite kind as bits, NaN with NaN.
func sameBits(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

func sameBits64(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || a != a && b != b
}

// kernels holds one call of each kernel; scalar results are returned.
var kernels = []struct {
	name string
	call func(isa ISA, o *operands) []float64
}{
	{"LayerNorm", func(isa ISA, o *operands) []float64 {
		w, rows := o.vec(), 1+o.r.IntN(3)
		isa.LayerNorm(o.slice(rows*o.n), o.slice(rows*o.n), w, o.vec(), o.slice(rows), o.slice(rows), 1e-5)
		return nil
	}},
	{"LayerNormNoBias", func(isa ISA, o *operands) []float64 {
		w, rows := o.vec(), 1+o.r.IntN(3)
		x := o.slice(rows * o.n)
		isa.LayerNorm(x, x, w, nil, o.slice(rows), o.slice(rows), 1e-5)
		return nil
	}},
	{"LayerNormBackward", func(isa ISA, o *operands) []float64 {
		w, rows := o.vec(), 1+o.r.IntN(3)
		isa.LayerNormBackward(o.slice(rows*o.n), o.slice(rows*o.n), o.slice(rows*o.n), w, o.slice(rows), o.slice(rows))
		return nil
	}},
	{"LayerNormBackwardAlias", func(isa ISA, o *operands) []float64 {
		w, dy := o.vec(), o.slice(2*o.n)
		isa.LayerNormBackward(dy, dy, o.slice(2*o.n), w, o.slice(2), o.slice(2))
		return nil
	}},
	{"LayerNormBackwardParams", func(isa ISA, o *operands) []float64 {
		const rows = 6
		ld := o.n + 5
		isa.LayerNormBackwardParams(o.vec(), o.vec(), o.slice(rows*ld), o.slice(rows*ld), o.slice(rows), o.slice(rows), rows, ld)
		isa.LayerNormBackwardParams(o.vec(), nil, o.slice(rows*ld), o.slice(rows*ld), o.slice(rows), o.slice(rows), rows, ld)
		return nil
	}},
	{"RMSNorm", func(isa ISA, o *operands) []float64 {
		w, rows := o.vec(), 1+o.r.IntN(3)
		isa.RMSNorm(o.slice(rows*o.n), o.slice(rows*o.n), w, o.slice(rows), 1e-5)
		return nil
	}},
	{"RMSNormAlias", func(isa ISA, o *operands) []float64 {
		x := o.slice(2 * o.n)
		isa.RMSNorm(x, x, o.vec(), o.slice(2), 1e-6)
		return nil
	}},
	{"RMSNormBackward", func(isa ISA, o *operands) []float64 {
		w, rows := o.vec(), 1+o.r.IntN(3)
		isa.RMSNormBackward(o.slice(rows*o.n), o.slice(rows*o.n), o.slice(rows*o.n), w, o.slice(rows))
		return nil
	}},
	{"RMSNormBackwardAlias", func(isa ISA, o *operands) []float64 {
		dy := o.slice(2 * o.n)
		isa.RMSNormBackward(dy, dy, o.slice(2*o.n), o.vec(), o.slice(2))
		return nil
	}},
	{"RMSNormBackwardWeight", func(isa ISA, o *operands) []float64 {
		const rows = 6
		ld := o.n + 5
		isa.RMSNormBackwardWeight(o.vec(), o.slice(rows*ld), o.slice(rows*ld), o.slice(rows), ld)
		return nil
	}},
	{"Rotate", func(isa ISA, o *operands) []float64 {
		if o.n > 0 {
			isa.Rotate(o.slice(2*o.n*o.r.IntN(4)), o.vec(), o.vec(), o.r.IntN(2) == 0)
		}
		return nil
	}},
	{"GatedSiLU", func(isa ISA, o *operands) []float64 { isa.GatedSiLU(o.vec(), o.vec(), o.vec()); return nil }},
	{"GatedSiLUAlias", func(isa ISA, o *operands) []float64 {
		g, u := o.vec(), o.vec()
		isa.GatedSiLU(g, g, u)
		isa.GatedSiLU(u, g, u)
		return nil
	}},
	{"GatedSiLUBackward", func(isa ISA, o *operands) []float64 {
		isa.GatedSiLUBackward(o.vec(), o.vec(), o.vec(), o.vec(), o.vec())
		return nil
	}},
	{"GatedSiLUBackwardAlias", func(isa ISA, o *operands) []float64 {
		g, u := o.vec(), o.vec()
		isa.GatedSiLUBackward(g, u, o.vec(), g, u)
		return nil
	}},
	{"ColumnSum", func(isa ISA, o *operands) []float64 {
		isa.ColumnSum(o.vec(), o.slice(4*(o.n+3)), 4, o.n+3)
		return nil
	}},
	{"Dot", func(isa ISA, o *operands) []float64 { return []float64{float64(isa.Dot(o.vec(), o.vec()))} }},
	{"RowMax", func(isa ISA, o *operands) []float64 { return []float64{float64(isa.RowMax(o.vec()))} }},
	{"ExpSum", func(isa ISA, o *operands) []float64 {
		return []float64{float64(isa.ExpSum(o.vec(), o.vec(), o.value(), o.value()))}
	}},
	{"ExpSumAlias", func(isa ISA, o *operands) []float64 {
		p := o.vec()
		return []float64{float64(isa.ExpSum(p, p, 1, isa.RowMax(p)))}
	}},
	{"Softmax", func(isa ISA, o *operands) []float64 {
		t := o.scores()
		isa.softmax(&t, o.slice(t.rows*t.ld), o.slice(t.rows), o.slice(t.rows))
		return nil
	}},
	{"SoftmaxBackward", func(isa ISA, o *operands) []float64 {
		t := o.scores()
		isa.softmaxBackward(&t, o.slice(t.rows*t.ld), o.slice(t.rows*t.ld), o.slice(t.rows), o.slice(t.rows))
		return nil
	}},
	{"DotRows", func(isa ISA, o *operands) []float64 {
		ld := o.n + 3
		isa.dotRows(o.slice(4), o.slice(4*ld), o.slice(4*ld), ld, o.n)
		return nil
	}},
	{"ScaleRows", func(isa ISA, o *operands) []float64 {
		ld := o.n + 3
		isa.scaleRows(o.slice(4*ld), o.slice(4), ld, o.n)
		return nil
	}},
	{"CrossEntropy", func(isa ISA, o *operands) []float64 {
		if o.n == 0 {
			return nil
		}
		return []float64{float64(isa.CrossEntropy(o.vec(), o.n/2, 0.25))}
	}},
	{"SoftCrossEntropy", func(isa ISA, o *operands) []float64 {
		return []float64{float64(isa.SoftCrossEntropy(o.vec(), o.vec(), 0.25))}
	}},
	{"SmoothCrossEntropy", func(isa ISA, o *operands) []float64 {
		if o.n == 0 {
			return nil
		}
		return []float64{float64(isa.SmoothCrossEntropy(o.vec(), o.n/2, 0.1, 0.25))}
	}},
	{"GELUTanh", func(isa ISA, o *operands) []float64 { isa.GELUTanh(o.vec(), o.vec()); return nil }},
	{"GELUTanhBackward", func(isa ISA, o *operands) []float64 {
		isa.GELUTanhBackward(o.vec(), o.vec(), o.vec())
		return nil
	}},
	{"GELUErf", func(isa ISA, o *operands) []float64 { x := o.vec(); isa.GELUErf(x, x); return nil }},
	{"GELUErfBackward", func(isa ISA, o *operands) []float64 {
		isa.GELUErfBackward(o.vec(), o.vec(), o.vec())
		return nil
	}},
	{"Add", func(isa ISA, o *operands) []float64 { isa.Add(o.vec(), o.vec(), o.vec()); return nil }},
	{"AddAlias", func(isa ISA, o *operands) []float64 { x := o.vec(); isa.Add(x, x, o.vec()); return nil }},
	{"Scale", func(isa ISA, o *operands) []float64 { isa.Scale(o.vec(), o.vec(), o.value()); return nil }},
	{"Quantise", func(isa ISA, o *operands) []float64 { return asScalar(isa.Quantise(o.vec(), 9)) }},
	{"AddQuantised", func(isa ISA, o *operands) []float64 {
		return asScalar(isa.AddQuantised(o.vec(), o.side(o.n), o.vec(), o.vec(), 26))
	}},
	{"QuantisedAdd", func(isa ISA, o *operands) []float64 { return asScalar(isa.QuantisedAdd(o.vec(), o.vec(), o.vec(), 9)) }},
	{"AdvanceQuantised1", func(isa ISA, o *operands) []float64 {
		return asScalar(isa.AdvanceQuantised(o.vec(), o.side(o.n), o.vec(), o.vec(), o.side((o.n+7)/8), 0, 0.5, 1, 9))
	}},
	{"AdvanceQuantised1NoSide", func(isa ISA, o *operands) []float64 {
		return asScalar(isa.AdvanceQuantised(o.vec(), o.side(o.n), o.vec(), o.vec(), nil, 0, -0.5, 1, 9))
	}},
	{"AdvanceQuantised2", func(isa ISA, o *operands) []float64 {
		stride := (o.n+7)/8 + 3
		return asScalar(isa.AdvanceQuantised(o.vec(), o.side(o.n), o.vec(), o.vec(), o.side(2*stride), stride, -0.25, 2, 9))
	}},
	{"AdvanceQuantised2NoSide", func(isa ISA, o *operands) []float64 {
		return asScalar(isa.AdvanceQuantised(o.vec(), o.side(o.n), o.vec(), o.vec(), nil, 0, 0.25, 2, 7))
	}},
	{"AdvanceQuantised3", func(isa ISA, o *operands) []float64 {
		stride := (o.n + 7) / 8
		return asScalar(isa.AdvanceQuantised(o.vec(), o.side(o.n), o.vec(), o.vec(), o.side(3*stride), stride, 0.125, 3, 12))
	}},
	{"AdvanceQuantised3NoSide", func(isa ISA, o *operands) []float64 {
		return asScalar(isa.AdvanceQuantised(o.vec(), o.side(o.n), o.vec(), o.vec(), nil, 0, -0.125, 3, 9))
	}},
	{"AdvanceQuantised4", func(isa ISA, o *operands) []float64 {
		stride := (o.n + 7) / 8
		return asScalar(isa.AdvanceQuantised(o.vec(), o.side(o.n), o.vec(), o.vec(), o.side(4*stride), stride, 0.0625, 4, 9))
	}},
	{"RetreatQuantised3", func(isa ISA, o *operands) []float64 {
		stride := (o.n+7)/8 + 1
		return asScalar(isa.RetreatQuantised(o.vec(), o.side(o.n), o.vec(), o.vec(), o.side(3*stride), stride, -0.125, 3, 9))
	}},
	{"RetreatQuantised1", func(isa ISA, o *operands) []float64 {
		return asScalar(isa.RetreatQuantised(o.vec(), o.side(o.n), o.vec(), o.vec(), o.side((o.n+7)/8), 0, -0.5, 1, 9))
	}},
	{"RetreatQuantised2", func(isa ISA, o *operands) []float64 {
		stride := (o.n + 7) / 8
		return asScalar(isa.RetreatQuantised(o.vec(), o.side(o.n), o.vec(), o.vec(), o.side(2*stride), stride, 0.25, 2, 9))
	}},
	{"Advance", func(isa ISA, o *operands) []float64 {
		return asScalar(isa.Advance(o.vec(), o.vec(), o.vec(), o.value()))
	}},
	{"Retreat", func(isa ISA, o *operands) []float64 {
		return asScalar(isa.Retreat(o.vec(), o.vec(), o.vec(), o.value()))
	}},
	{"CompleteGrad", func(isa ISA, o *operands) []float64 {
		isa.CompleteGrad(o.vec(), o.vec(), o.vec(), o.value())
		return nil
	}},
	{"AdamW", func(isa ISA, o *operands) []float64 {
		isa.AdamW(o.vec(), o.vec(), o.vec(), o.positive(), AdamWScalars{1e-3, 0.9, 0.999, 1e-8, 0.1, 0.1, 0.001})
		return nil
	}},
	{"AdamW8", func(isa ISA, o *operands) []float64 {
		blocks := (o.n + CodeGroup - 1) / CodeGroup
		mMax, vMax := o.slice(blocks), o.slice(blocks)
		for i := range vMax {
			vMax[i] = absf(vMax[i])
		}
		isa.AdamW8(o.vec(), o.vec(), o.side(o.n), o.side(o.n), mMax, vMax, AdamWScalars{1e-3, 0.9, 0.999, 1e-8, 0.1, 0.1, 0.001})
		return nil
	}},
	{"SGD", func(isa ISA, o *operands) []float64 {
		isa.SGD(o.vec(), o.vec(), o.vec(), 0.1, 0.9, 0.01)
		return nil
	}},
	{"Moments", func(isa ISA, o *operands) []float64 {
		a, b := isa.Moments(o.vec(), o.vec(), o.positive(), 0.9, 0.999)
		return []float64{a, b}
	}},
	{"SETMin", func(isa ISA, o *operands) []float64 { return []float64{float64(isa.SETMin(o.vec(), 0.3, 1e-16))} }},
	{"SETUpdate", func(isa ISA, o *operands) []float64 {
		isa.SETUpdate(o.vec(), o.vec(), o.positive(), 0.3, 1e-16, 0.1, 0.01, 0.001)
		return nil
	}},
	{"SumSquares", func(isa ISA, o *operands) []float64 { return []float64{isa.SumSquares(o.vec())} }},
	{"Dropout", func(isa ISA, o *operands) []float64 {
		key := rng.Key{Seed: o.r.Uint64(), Step: o.r.Uint32(), Sample: o.r.Uint32(), Block: o.r.Uint32N(1 << 24), Site: 4}
		isa.Dropout(o.vec(), o.vec(), key, o.r.Uint32()&^7, 1+o.r.Uint32N(1<<16))
		return nil
	}},
}

// asScalar makes a scalar result of a magnitude, NaN of whatever payload as one.
func asScalar(maxBits uint32) []float64 { return []float64{float64(math.Float32frombits(maxBits))} }

// checkPaths runs kernel k on every level above portable against portable.
func checkPaths(t *testing.T, k int, seed uint64, n int, wild bool) {
	t.Helper()
	name := kernels[k].name
	want := newOperands(seed, n, wild)
	wantScalars := kernels[k].call(portable, want)
	if !want.guarded() {
		t.Fatalf("%s portable n=%d seed=%d writes outside its slices", name, n, seed)
	}
	for _, isa := range levels()[1:] {
		got := newOperands(seed, n, wild)
		scalars := kernels[k].call(isa, got)
		if !got.guarded() {
			t.Errorf("%s %v n=%d seed=%d writes outside its slices", name, isa, n, seed)
		}
		for i, v := range scalars {
			if !sameBits64(v, wantScalars[i]) {
				t.Errorf("%s %v n=%d seed=%d: scalar %d is %x, portable %x", name, isa, n, seed, i, v, wantScalars[i])
			}
		}
		for i, s := range got.all {
			for j, v := range s {
				if w := want.all[i][j]; !sameBits(v, w) {
					t.Fatalf("%s %v n=%d seed=%d: operand %d element %d is %x, portable %x", name, isa, n, seed, i, j-32, v, w)
				}
			}
		}
		for i, s := range got.sides {
			if !bytes.Equal(s, want.sides[i]) {
				t.Fatalf("%s %v n=%d seed=%d: side information differs", name, isa, n, seed)
			}
		}
	}
}

func TestPathsAgree(t *testing.T) {
	t.Parallel()
	for k := range kernels {
		t.Run(kernels[k].name, func(t *testing.T) {
			t.Parallel()
			for n := range 101 {
				checkPaths(t, k, uint64(n), n, n%2 == 0)
			}
			for i, n := range []int{1000, 4096, 4111, 8209, vecChunk + 48, 2*vecChunk + 3} {
				checkPaths(t, k, uint64(i), n, false)
				checkPaths(t, k, uint64(i), n, true)
			}
		})
	}
}

func FuzzPaths(f *testing.F) {
	for k := range kernels {
		f.Add(uint8(k), uint16(100+k), uint64(k), k%2 == 0)
	}
	f.Fuzz(func(t *testing.T, k uint8, n uint16, seed uint64, wild bool) {
		checkPaths(t, int(k)%len(kernels), seed, int(n)%5000, wild)
	})
}
