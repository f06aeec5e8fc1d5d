// Package pmath has elementary functions with the same bits on every machine. The standard library's depend on the
// processor: its Exp has instructions of its own where the processor has fused multiply-adds, and the compiler fuses
// products and sums where it may. Numbers that enter weights, draws, records or decisions go through this package.
//
// Its bits are the ones of the standard library on amd64 with fused multiply-adds, and every rounding is written out.
package pmath

import "math"

const (
	ln2Hi = 6.93147180369123816490e-01
	ln2Lo = 1.90821492927058770002e-10
)

// Exp returns e**x.
func Exp(x float64) float64 {
	const (
		overflow = 7.09782712893384e+02
		ln2Upper = 0.69314718055966295651160180568695068359375
		ln2Lower = 0.28235290563031577122588448175013436025525412068e-12
	)
	switch {
	case math.IsNaN(x):
		return x
	case x > overflow:
		return math.Inf(1)
	case x < -1100:
		return 0
	}
	k := math.RoundToEven(float64(math.Log2E * x))
	x = math.FMA(-k, ln2Upper, x)
	x = math.FMA(-k, ln2Lower, x)
	x = float64(x * 0.0625)
	y := 2.4801587301587301587e-5
	for _, c := range [...]float64{1.9841269841269841270e-4, 1.3888888888888888889e-3, 8.3333333333333333333e-3,
		4.1666666666666666667e-2, 1.6666666666666666667e-1, 0.5, 1} {
		y = math.FMA(y, x, c)
	}
	x = float64(x * y)
	for range 3 { // (1+x)**2 = 1 + x*(x+2)
		x = float64(x * (x + 2))
	}
	return math.Ldexp(math.FMA(x+2, x, 1), int(k))
}

// Log returns the natural logarithm of x.
func Log(x float64) float64 {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 1):
		return x
	case x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	}
	f, e := math.Frexp(x)
	if f < math.Sqrt2/2 {
		f = float64(f * 2)
		e--
	}
	f--
	k := float64(e)
	s := f / (2 + f)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	t1 := float64(s2 * horner(s4, 1.479819860511658591e-01, 1.818357216161805012e-01, 2.857142874366239149e-01, 6.666666666666735130e-01))
	t2 := float64(s4 * horner(s4, 1.531383769920937332e-01, 2.222219843214978396e-01, 3.999999999940941908e-01))
	half := float64(0.5 * f * f)
	r := float64(s*(half+(t1+t2))) + float64(k*ln2Lo)
	return float64(k*ln2Hi) - ((half - r) - f)
}

// horner is a polynomial of x, from its highest coefficient to its lowest.
func horner(x float64, c ...float64) float64 {
	y := c[0]
	for _, next := range c[1:] {
		y = float64(y*x) + next
	}
	return y
}

// largestAngle is where Sin and Cos stop being exact to the last bits: |x| must be smaller.
const largestAngle = 1 << 29

// angle reduces x, at least 0 and below largestAngle, to an octant and what is left in it.
func angle(x float64) (octant uint64, z float64) {
	octant = uint64(x * (4 / math.Pi))
	if octant&1 == 1 {
		octant++
	}
	y := float64(octant)
	z = x - float64(y*7.85398125648498535156e-1)
	z -= float64(y * 3.77489470793079817668e-8)
	z -= float64(y * 2.69515142907905952645e-15)
	return octant & 7, z
}

func sine(z float64) float64 {
	zz := float64(z * z)
	p := horner(zz, 1.58962301576546568060e-10, -2.50507477628578072866e-8, 2.75573136213857245213e-6,
		-1.98412698295895385996e-4, 8.33333333332211858878e-3, -1.66666666666666307295e-1)
	return z + float64(float64(z*zz)*p)
}

func cosine(z float64) float64 {
	zz := float64(z * z)
	p := horner(zz, -1.13585365213876817300e-11, 2.08757008419747316778e-9, -2.75573141792967388112e-7,
		2.48015872888517045348e-5, -1.38888888888730564116e-3, 4.16666666666665929218e-2)
	return 1 - float64(0.5*zz) + float64(float64(zz*zz)*p)
}

// Cos returns the cosine of x radians, with |x| below 2^29; NaN beyond.
func Cos(x float64) float64 {
	x = math.Abs(x)
	if !(x < largestAngle) {
		return math.NaN()
	}
	j, z := angle(x)
	minus := j > 3
	if j > 3 {
		j -= 4
	}
	if j > 1 {
		minus = !minus
	}
	y := 0.0
	if j == 1 || j == 2 {
		y = sine(z)
	} else {
		y = cosine(z)
	}
	if minus {
		y = -y
	}
	return y
}

// Sin returns the sine of x radians, with |x| below 2^29; NaN beyond.
func Sin(x float64) float64 {
	if x == 0 {
		return x
	}
	minus := x < 0
	x = math.Abs(x)
	if !(x < largestAngle) {
		return math.NaN()
	}
	j, z := angle(x)
	if j > 3 {
		minus = !minus
		j -= 4
	}
	y := 0.0
	if j == 1 || j == 2 {
		y = cosine(z)
	} else {
		y = sine(z)
	}
	if minus {
		y = -y
	}
	return y
}

// Pow returns x**y for finite x >= 0 and finite y below 2^63 in size; NaN for others.
func Pow(x, y float64) float64 {
	switch {
	case y == 0 || x == 1:
		return 1
	case !(x >= 0) || math.IsInf(x, 1) || !(math.Abs(y) < 1<<63):
		return math.NaN()
	case x == 0 && y < 0:
		return math.Inf(1)
	case x == 0:
		return 0
	case y == 0.5:
		return math.Sqrt(x)
	case y == -0.5:
		return 1 / math.Sqrt(x)
	}
	whole, part := math.Modf(math.Abs(y))
	a, exponent := 1.0, 0
	if part != 0 {
		if part > 0.5 {
			part--
			whole++
		}
		a = Exp(part * Log(x))
	}
	f, e := math.Frexp(x)
	for i := int64(whole); i != 0; i >>= 1 {
		if e < -1<<12 || 1<<12 < e { // the result is 0 or infinite
			exponent += e
			break
		}
		if i&1 == 1 {
			a *= f
			exponent += e
		}
		f *= f
		e <<= 1
		if f < .5 {
			f += f
			e--
		}
	}
	if y < 0 {
		a, exponent = 1/a, -exponent
	}
	return math.Ldexp(a, exponent)
}
