package kernel

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestFMA compares fma with arbitrary-precision arithmetic on operands chosen
// to land on and near half-way points, subnormals, overflow and cancellation.
func TestFMA(t *testing.T) {
	t.Parallel()
	n := 2_000_000
	if testing.Short() {
		n = 100_000
	}
	rng := rand.New(rand.NewPCG(1, 2))
	doubt := 0
	for i := range n {
		a, b, c := hardFMA(rng)
		want := bigFMA(a, b, c)
		if got := fma(a, b, c); math.Float32bits(got) != math.Float32bits(want) {
			t.Fatalf("case %d: fma(%b, %b, %b) = %b, want %b", i, a, b, c, got, want)
		}
		if doubtful(float64(a)*float64(b) + float64(c)) {
			doubt++
		}
	}
	if doubt < n/20 {
		t.Errorf("only %d of %d cases were hard", doubt, n)
	}
}

// hardFMA draws finite operands.
func hardFMA(rng *rand.Rand) (a, b, c float32) {
	bits := func(lo, span int) float32 { // a float32 with few or many mantissa bits
		m := rng.Uint32() & 0x7fffff
		if rng.IntN(2) == 0 {
			m &= 0x7fffff << rng.IntN(24)
		} else if rng.IntN(2) == 0 {
			m |= 0x7fffff >> rng.IntN(24)
		}
		e := min(max(lo+rng.IntN(span), 0), 254)
		return math.Float32frombits(rng.Uint32()&(1<<31) | uint32(e)<<23 | m&0x7fffff)
	}
	switch rng.IntN(5) {
	case 0: // anything
		return bits(0, 255), bits(0, 255), bits(0, 255)
	case 1: // results below the normal range
		a, b = bits(0, 128), 0
		e := int(math.Float32bits(a)>>23&255) - 127
		return a, bits(127-150-e, 30), bits(0, 3)
	case 2: // product near half an ulp of c
		a, c = bits(90, 60), bits(100, 50)
		ea, ec := int(math.Float32bits(a)>>23&255)-127, int(math.Float32bits(c)>>23&255)-127
		return a, bits(127+ec-ea-26, 5), c
	case 3: // c far below the last bit of the product
		a, b = bits(100, 40), bits(100, 40)
		ep := int(math.Float32bits(a)>>23&255) + int(math.Float32bits(b)>>23&255) - 127
		return a, b, bits(ep-60, 60)
	}
	// cancellation, and overflow now and then
	a, b = bits(60, 130), bits(60, 130)
	c = -float32(float64(a) * float64(b))
	if math.IsInf(float64(c), 0) {
		c = math.MaxFloat32
	}
	return a, b, c
}

// bigFMA rounds the exact a*b+c once.
func bigFMA(a, b, c float32) float32 {
	x := new(big.Float).SetPrec(1000).SetFloat64(float64(a))
	x.Mul(x, new(big.Float).SetFloat64(float64(b)))
	x.Add(x, new(big.Float).SetFloat64(float64(c)))
	if x.Sign() == 0 { // big.Float has its own rule for the sign of a sum of zeros
		return float32(float64(a)*float64(b) + float64(c))
	}
	f, _ := x.Float32()
	return f
}
