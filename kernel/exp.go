package kernel

import "math"

// Indexes into consts. _gen/vector knows them by number.
const (
	cExpLo    = iota // below it exp is 0
	cExpHi           // above it exp is +Inf
	cLog2E           // 1/ln 2
	cMagic           // 1.5*2^23+127: adding it rounds to an integer, in the low bits plus 127
	cNegLn2Hi        // -ln 2 in two parts; the first is exact times any n
	cNegLn2Lo
	cExp6 // coefficients of exp on [-ln2/2, ln2/2], highest first
	cExp5
	cExp4
	cExp3
	cExp2
	cOne      // also the last two coefficients of exp
	cNegTanh1 // -2*sqrt(2/pi)
	cNegTanh3 // -2*sqrt(2/pi)*0.044715
	cTanhD3   // 2*sqrt(2/pi)*0.044715*3
	cSpan     // |x| beyond which the derivative of GELU is 0 or 1
	cHalf
	cSqrtHalf  // 1/sqrt 2
	cErfSpan   // |x|/sqrt 2 beyond which erfc is 0
	cInvSqrt2P // 1/sqrt(2 pi)
	cErf9      // coefficients of log(erfc(z)/t)+z^2 in t, highest first
	cErf8
	cErf7
	cErf6
	cErf5
	cErf4
	cErf3
	cErf2
	cErf1
	cErf0
	cNegSpan
	cZero
	cAbs  // every bit but the sign
	cSign // the sign bit
	cNegInf
	cPosInf
	cTwo32 // 2^32, which keeps squares of second moments from underflowing
	cThreeHalves
	cInt1 // integers, as bits
	cInt127
	cDecade0    // upper half of the bits of about 4e-7
	cDecadeUnit // 2^16 over what a decade takes in upper halves, rounded
	constCount
)

// consts holds the constants that portable code and assembly share.
//
// The coefficients of exp are from Cephes expf (S. L. Moshier, 1984-1992), the
// coefficients of erfc from W. H. Press et al., "Numerical Recipes", erfcc:
// erfc(z) = t*exp(-z^2 + poly(t)), t = 1/(1+z/2), fractional error 1.2e-7.
var consts = [constCount]float32{
	cExpLo: -88, cExpHi: 88.5, cLog2E: math.Log2E, cMagic: 0x1.8p23 + 127,
	cNegLn2Hi: -0.693359375, cNegLn2Lo: 2.12194440e-4,
	cExp6: 1.9875691500e-4, cExp5: 1.3981999507e-3, cExp4: 8.3334519073e-3,
	cExp3: 4.1665795894e-2, cExp2: 1.6666665459e-1,
	cOne: 1, cHalf: 0.5,
	cNegTanh1: -2 * 0.79788456080286535588, cNegTanh3: -2 * 0.79788456080286535588 * 0.044715,
	cTanhD3: 6 * 0.79788456080286535588 * 0.044715, cSpan: 16,
	cSqrtHalf: math.Sqrt2 / 2, cErfSpan: 10, cInvSqrt2P: 0.39894228040143267794,
	cErf9: 0.17087277, cErf8: -0.82215223, cErf7: 1.48851587, cErf6: -1.13520398,
	cErf5: 0.27886807, cErf4: -0.18628806, cErf3: 0.09678418, cErf2: 0.37409196,
	cErf1: 1.00002368, cErf0: -1.26551223,
	cNegInf: float32(math.Inf(-1)), cPosInf: float32(math.Inf(1)),
	cNegSpan: -16, cZero: 0, cTwo32: 1 << 32,
	cThreeHalves: 1.5, cInt1: math.Float32frombits(1), cInt127: math.Float32frombits(127),
	cDecade0: math.Float32frombits(13533), cDecadeUnit: math.Float32frombits(154),
	cAbs: math.Float32frombits(1<<31 - 1), cSign: math.Float32frombits(1 << 31),
}

// expf returns e^x within 2 units in the last place. It is 0 below about
// -87.68 and +Inf above about 88.37; NaN stays NaN.
func expf(x float32) float32 {
	c := &consts
	if c[cExpLo] > x {
		x = c[cExpLo]
	}
	if c[cExpHi] < x {
		x = c[cExpHi]
	}
	t := fma(x, c[cLog2E], c[cMagic])
	n := t - c[cMagic]
	// 2^n: 0 at n = -127 and +Inf at n = 128.
	scale := math.Float32frombits(math.Float32bits(t) << 23)
	r := fma(n, c[cNegLn2Hi], x)
	r = fma(n, c[cNegLn2Lo], r)
	p := fma(c[cExp6], r, c[cExp5])
	p = fma(p, r, c[cExp4])
	p = fma(p, r, c[cExp3])
	p = fma(p, r, c[cExp2])
	p = fma(p, r, c[cHalf])
	p = fma(p, r, c[cOne])
	p = fma(p, r, c[cOne])
	return float32(p * scale)
}

// logOf returns the natural logarithm of s in float64, within 1e-14. Unlike
// math.Log it has the same bits on every machine.
func logOf(s float32) float64 {
	if !(s > 0) || math.IsInf(float64(s), 0) {
		return math.Log(float64(s)) // 0, negative, Inf and NaN: the same result on every machine
	}
	// s = m 2^e with m in [sqrt(1/2), sqrt 2): a float64 holds every float32 as a
	// normal number.
	bits := math.Float64bits(float64(s))
	e := int(bits>>52) - 1022
	m := math.Float64frombits(bits&(1<<52-1) | 1022<<52)
	if m < math.Sqrt2/2 {
		m *= 2
		e--
	}
	// log m = 2 atanh f, f = (m-1)/(m+1), |f| < 0.172
	f := (m - 1) / (m + 1)
	f2 := float64(f * f)
	var sum float64
	for _, c := range &atanhSeries {
		sum = float64(sum*f2) + c
	}
	return float64(2*float64(f*sum)) + float64(float64(e)*math.Ln2)
}

// atanhSeries holds the coefficients of atanh(f)/f in f^2, highest first.
var atanhSeries = [10]float64{1. / 19, 1. / 17, 1. / 15, 1. / 13, 1. / 11, 1. / 9, 1. / 7, 1. / 5, 1. / 3, 1}

// signed reports whether the sign bit of x is set.
func signed(x float32) bool { return math.Float32bits(x)>>31 != 0 }

// absf returns x without its sign bit.
func absf(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

// sqrtf returns the square root of x, correctly rounded.
func sqrtf(x float32) float32 { return float32(math.Sqrt(float64(x))) }
