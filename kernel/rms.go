package kernel

// Root mean square normalisation (Zhang and Sennrich, arXiv 1910.07467) of one row, or of one head of a row.

// RMSNorm normalises x, of n elements, and returns rstd for the backward pass:
//
//	rstd = 1/sqrt(Dot(x,x)/n + eps)
//	y = float32(x*rstd)*w
//
// y may be x.
func (isa ISA) RMSNorm(y, x, w []float32, eps float32) (rstd float32) {
	wantLen(len(w), len(y), len(x))
	rstd = 1 / sqrtf(isa.Dot(x, x)/float32(len(x))+eps)
	for i, v := range x {
		y[i] = float32(v*rstd) * w[i]
	}
	return rstd
}

// RMSNormBackward is the gradient of RMSNorm in x, of n elements:
//
//	g = dy*w, xhat = x*rstd, c = float32(Dot(g,x)*rstd)/n
//	dx = (g - float32(xhat*c))*rstd
//
// dx may be dy.
func (isa ISA) RMSNormBackward(dx, dy, x, w []float32, rstd float32) {
	wantLen(len(w), len(dx), len(dy), len(x))
	for i, v := range dy {
		dx[i] = v * w[i]
	}
	c := float32(isa.Dot(dx, x)*rstd) / float32(len(x))
	for i, v := range x {
		dx[i] = float32(dx[i]-float32(float32(v*rstd)*c)) * rstd
	}
}

// RMSNormBackwardWeight adds the gradient of the weight: dw += float32(dy*float32(x*rstd)).
func RMSNormBackwardWeight(dw, dy, x []float32, rstd float32) {
	wantLen(len(dw), len(dy), len(x))
	for i, v := range x {
		dw[i] += float32(dy[i] * float32(v*rstd))
	}
}
