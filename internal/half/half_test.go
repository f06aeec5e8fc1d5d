package half

import (
	"math"
	"testing"
)

// Every binary16 is the double that its fields spell, and rounds to itself.
func TestToFloatAll(t *testing.T) {
	t.Parallel()
	for h := range 0x7c00 {
		e, m := h>>10, float64(h&0x3ff)
		want := math.Ldexp(1024+m, e-25)
		if e == 0 {
			want = math.Ldexp(m, -24)
		}
		for _, tc := range []struct {
			h    uint16
			want float64
		}{{uint16(h), want}, {uint16(h | 0x8000), -want}} {
			got := ToFloat(tc.h)
			if float64(got) != tc.want || math.Signbit(float64(got)) != (tc.h >= 0x8000) {
				t.Fatalf("%#x: got %v, want %v", tc.h, got, tc.want)
			}
			if back := FromFloat(got); back != tc.h {
				t.Fatalf("%v: got %#x, want %#x", got, back, tc.h)
			}
		}
	}
}

// Between two neighbours the half-way point goes to the even one, what is beyond
// it to the other. Infinity counts as the neighbour of the largest number.
func TestRounding(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]struct {
		to   func(uint16) float32
		from func(float32) uint16
		inf  uint16
	}{
		"binary16": {ToFloat, FromFloat, 0x7c00},
		"bfloat16": {BToFloat, BFromFloat, 0x7f80},
	} {
		next := func(v float32, up int) float32 { return math.Float32frombits(uint32(int(math.Float32bits(v)) + up)) }
		for h := range f.inf {
			low, above := float64(f.to(h)), float64(f.to(h+1))
			if h+1 == f.inf {
				above = 2*low - float64(f.to(h-1))
			}
			mid := float32((low + above) / 2)
			for sign, s := range map[uint16]float32{0: 1, 0x8000: -1} {
				for v, want := range map[float32]uint16{mid: h + h&1, next(mid, -1): h, next(mid, 1): h + 1} {
					if got := f.from(s * v); got != sign|want {
						t.Fatalf("%s: %g rounds to %#x, want %#x", name, s*v, got, sign|want)
					}
				}
			}
		}
	}
}

func TestSpecial(t *testing.T) {
	t.Parallel()
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for what, tc := range map[string]struct{ got, want uint16 }{
		"inf":                 {FromFloat(inf), 0x7c00},
		"-inf":                {FromFloat(-inf), 0xfc00},
		"nan":                 {FromFloat(nan), 0x7e00},
		"nan of small bits":   {FromFloat(math.Float32frombits(0xff800001)), 0xfe00},
		"largest":             {FromFloat(65519.996), 0x7bff},
		"least to round up":   {FromFloat(65520), 0x7c00},
		"maximum":             {FromFloat(-math.MaxFloat32), 0xfc00},
		"tiny":                {FromFloat(-1e-30), 0x8000},
		"b inf":               {BFromFloat(-inf), 0xff80},
		"b nan":               {BFromFloat(math.Float32frombits(0x7f800001)), 0x7fc0},
		"b maximum":           {BFromFloat(math.MaxFloat32), 0x7f80},
		"b smallest":          {BFromFloat(math.SmallestNonzeroFloat32), 0},
		"b smallest bfloat16": {BFromFloat(0x1p-133), 1},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %#x, want %#x", what, tc.got, tc.want)
		}
	}
	if !IsInf(0xfc00) || IsInf(0x7e00) || IsInf(0x7bff) || !BIsInf(0x7f80) || BIsInf(0x7fc0) {
		t.Error("infinities are not told")
	}
	if v := ToFloat(0x7e00); v == v {
		t.Errorf("NaN widens to %v", v)
	}
}
