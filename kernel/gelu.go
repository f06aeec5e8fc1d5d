package kernel

// GELU (Hendrycks and Gimpel, arXiv 1606.08415) in its two forms. Both meet
// float64 within 1e-6 absolutely for |x| <= 20, tend to 0 and x beyond, and
// map NaN to NaN (-Inf too, as 0*Inf).

// GELUTanh sets y = x*sigmoid(2u), u = sqrt(2/pi)*(x + 0.044715x^3), which is
// the tanh form of GELU, computed as x/(1+exp(-2u)).
func (isa ISA) GELUTanh(y, x []float32) {
	wantLen(len(y), len(x))
	var a vecArgs
	a.p[0], a.p[1] = ptr(y), ptr(x)
	i := isa.run(opGELUTanh, &a, len(y))
	geluTanhGo(y[i:], x[i:])
}

func geluTanhGo(y, x []float32) {
	for i, v := range x {
		w := fma(float32(v*v), consts[cNegTanh3], consts[cNegTanh1])
		y[i] = v / (expf(float32(v*w)) + consts[cOne])
	}
}

// GELUTanhBackward sets dx = dy*f'(x) for the tanh form:
// f' = s + x*s*(1-s)*(2u)', s = sigmoid(2u).
func (isa ISA) GELUTanhBackward(dx, dy, x []float32) {
	wantLen(len(dx), len(dy), len(x))
	var a vecArgs
	a.p[0], a.p[1], a.p[2] = ptr(dx), ptr(dy), ptr(x)
	i := isa.run(opGELUTanhBackward, &a, len(dx))
	geluTanhBackwardGo(dx[i:], dy[i:], x[i:])
}

func geluTanhBackwardGo(dx, dy, x []float32) {
	c := &consts
	for i, v := range x {
		v = clampSpan(v)
		v2 := float32(v * v)
		// -|2u|, so that the exponential stays within (0,1] on both sides.
		z := float32(v * fma(v2, c[cNegTanh3], c[cNegTanh1]))
		e := expf(-absf(z))
		t := c[cOne] / (e + c[cOne])
		et := float32(e * t)
		s := t
		if signed(v) {
			s = et
		}
		du := fma(v2, c[cTanhD3], -c[cNegTanh1])
		d := fma(float32(v*du), float32(et*t), s)
		dx[i] = dy[i] * d
	}
}

// GELUErf sets y = x*Phi(x), Phi(x) = erfc(-x/sqrt 2)/2.
func (isa ISA) GELUErf(y, x []float32) {
	wantLen(len(y), len(x))
	var a vecArgs
	a.p[0], a.p[1] = ptr(y), ptr(x)
	i := isa.run(opGELUErf, &a, len(y))
	geluErfGo(y[i:], x[i:])
}

func geluErfGo(y, x []float32) {
	for i, v := range x {
		phi, _ := normalCDF(v)
		y[i] = v * phi
	}
}

// GELUErfBackward sets dx = dy*(Phi(x) + x*phi(x)), phi the normal density.
func (isa ISA) GELUErfBackward(dx, dy, x []float32) {
	wantLen(len(dx), len(dy), len(x))
	var a vecArgs
	a.p[0], a.p[1], a.p[2] = ptr(dx), ptr(dy), ptr(x)
	i := isa.run(opGELUErfBackward, &a, len(dx))
	geluErfBackwardGo(dx[i:], dy[i:], x[i:])
}

func geluErfBackwardGo(dx, dy, x []float32) {
	for i, v := range x {
		cdf, z2 := normalCDF(v)
		density := float32(expf(-z2) * consts[cInvSqrt2P])
		dx[i] = dy[i] * fma(clampSpan(v), density, cdf)
	}
}

// normalCDF returns Phi(x) and z^2 = x^2/2, z bounded by cErfSpan.
func normalCDF(x float32) (cdf, z2 float32) {
	c := &consts
	z := float32(absf(x) * c[cSqrtHalf])
	if c[cErfSpan] < z {
		z = c[cErfSpan]
	}
	t := c[cOne] / fma(z, c[cHalf], c[cOne])
	p := c[cErf9]
	for k := cErf8; k <= cErf0; k++ {
		p = fma(p, t, c[k])
	}
	z2 = float32(z * z)
	q := float32(float32(t*c[cHalf]) * expf(p-z2))
	if signed(x) {
		return q, z2
	}
	return c[cOne] - q, z2
}

// clampSpan bounds x to ±cSpan and keeps NaN.
func clampSpan(x float32) float32 {
	if span := consts[cSpan]; span < x {
		return span
	} else if span := consts[cNegSpan]; span > x {
		return span
	}
	return x
}
