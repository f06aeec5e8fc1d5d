package kernel

import "math"

// SumChunk is the number of elements that are summed in float32 (16 lanes)
// before the sums are added up in float64, in ascending order. Work on one
// tensor may be split at multiples of it: adding the results of the chunks one
// by one, in ascending order from 0, gives the bits of one call.
const SumChunk = 4096

// SumSquares returns the sum of x^2: per SumChunk 16 lanes of fma, then float64.
func (isa ISA) SumSquares(x []float32) float64 {
	var sum float64
	for len(x) > SumChunk {
		sum += float64(isa.Dot(x[:SumChunk], x[:SumChunk]))
		x = x[SumChunk:]
	}
	return sum + float64(isa.Dot(x, x))
}

// AdamWScalars holds the numbers that one AdamW update needs. Bias1 is 1-Beta1^t
// and Bias2 is 1-Beta2^t at step t = 1, 2, ..., computed in float64 from the
// float32 betas. (float32(0.999) gives a 1-beta2 that is off by 5e-5.)
type AdamWScalars struct{ LR, Beta1, Beta2, Eps, Decay, Bias1, Bias2 float32 }

// AdamW updates p, m and v with gradient g (Loshchilov and Hutter, arXiv
// 1711.05101; decay decoupled). Every operation is rounded, in this order:
//
//	m = fma(beta1, m, (1-beta1)*g)
//	v = fma(beta2, v, ((1-beta2)*g)*g)
//	p = p - (lr*decay)*p
//	p = p - ((lr/bias1)*m) / (sqrt(v*(1/bias2)) + eps)
func (isa ISA) AdamW(p, g, m, v []float32, a AdamWScalars) {
	wantLen(len(p), len(g), len(m), len(v))
	args := vecArgs{f: a.factors()}
	args.p[0], args.p[1], args.p[2], args.p[3] = ptr(p), ptr(g), ptr(m), ptr(v)
	i := isa.run(opAdamW, &args, len(p))
	adamWGo(p[i:], g[i:], m[i:], v[i:], &args.f)
}

func (a AdamWScalars) factors() [8]float32 {
	return [8]float32{a.Beta1, 1 - a.Beta1, a.Beta2, 1 - a.Beta2, a.LR * a.Decay, a.LR / a.Bias1, 1 / a.Bias2, a.Eps}
}

func adamWGo(p, g, m, v []float32, f *[8]float32) {
	for i, g := range g {
		m[i] = fma(m[i], f[0], float32(g*f[1]))
		v[i] = fma(v[i], f[2], float32(float32(g*f[3])*g))
		w := p[i] - float32(p[i]*f[4])
		d := sqrtf(float32(v[i]*f[6])) + f[7]
		p[i] = w - float32(m[i]*f[5])/d
	}
}

// SGD updates p and its momentum buffer buf with gradient g, decay decoupled:
//
//	p = p - (lr*decay)*p, buf = fma(momentum, buf, g), p = p - lr*buf
func (isa ISA) SGD(p, g, buf []float32, lr, momentum, decay float32) {
	wantLen(len(p), len(g), len(buf))
	args := vecArgs{f: [8]float32{momentum, lr * decay, lr}}
	args.p[0], args.p[1], args.p[2] = ptr(p), ptr(g), ptr(buf)
	i := isa.run(opSGD, &args, len(p))
	sgdGo(p[i:], g[i:], buf[i:], momentum, lr*decay, lr)
}

func sgdGo(p, g, buf []float32, momentum, decay, lr float32) {
	for i := range p {
		buf[i] = fma(buf[i], momentum, g[i])
		p[i] = p[i] - float32(p[i]*decay) - float32(buf[i]*lr)
	}
}

// Moments is the first of the three passes of SET-Adam (Zhang, arXiv
// 2302.01029): it updates m and v as AdamW does and returns the sums of v and of
// v^2 over the tensor (per SumChunk 16 lanes, then float64; v is scaled by 2^32
// before it is squared, and the sum by 2^-64). As with AdamW, compute bias
// corrections from the float32 betas.
func (isa ISA) Moments(g, m, v []float32, beta1, beta2 float32) (sumV, sumV2 float64) {
	wantLen(len(g), len(m), len(v))
	for {
		n := min(SumChunk, len(g))
		args := vecArgs{f: [8]float32{beta1, 1 - beta1, beta2, 1 - beta2}}
		args.p[0], args.p[1], args.p[2] = ptr(g), ptr(m), ptr(v)
		i := isa.run(opMoments, &args, n)
		momentsGo(g[i:n], m[i:n], v[i:n], &args)
		sumV += float64(foldLanes(&args.acc))
		sumV2 += float64(float64(foldLanes(&args.acc2)) * 0x1p-64)
		if n == len(g) {
			return sumV, sumV2
		}
		g, m, v = g[n:], m[n:], v[n:]
	}
}

func momentsGo(g, m, v []float32, a *vecArgs) {
	f := &a.f
	for i, g := range g {
		m[i] = fma(m[i], f[0], float32(g*f[1]))
		w := fma(v[i], f[2], float32(float32(g*f[3])*g))
		v[i] = w
		a.acc[i%lanes] += w
		w = float32(w * consts[cTwo32])
		a.acc2[i%lanes] = fma(w, w, a.acc2[i%lanes])
	}
}

// SETMin is the second pass of SET-Adam: the least w = sqrt(fma(ratio, v, eps))
// over all v. It is computed from the least v, since w never falls as v grows.
// ratio = c/(1-beta2^t) >= 0, c = (sum v)^2/(d*sum v^2), d elements. NaN is
// skipped; the minimum of no elements is +Inf.
func (isa ISA) SETMin(v []float32, ratio, eps float32) float32 {
	var args vecArgs
	args.p[1] = ptr(v)
	least := float32(math.Inf(1))
	i := isa.run(opMin, &args, len(v))
	if i > 0 {
		least = minGo(least, args.acc[:])
	}
	least = minGo(least, v[i:])
	if math.IsInf(float64(least), 1) {
		return least
	}
	return sqrtf(fma(least, ratio, eps))
}

func minGo(m float32, x []float32) float32 {
	for _, v := range x {
		if v < m {
			m = v
		}
	}
	return m
}

// SETUpdate is the last pass of SET-Adam, rounded after every operation:
//
//	p = p - decay*p
//	p = p - (step*m) / (sqrt(fma(ratio, v, eps)) - shift)
//
// shift = tau*SETMin over the whole tensor, step = lr/(1-beta1^t), and decay is
// lr times the weight decay.
func (isa ISA) SETUpdate(p, m, v []float32, ratio, eps, shift, step, decay float32) {
	wantLen(len(p), len(m), len(v))
	args := vecArgs{f: [8]float32{ratio, eps, shift, step, decay}}
	args.p[0], args.p[1], args.p[2] = ptr(p), ptr(m), ptr(v)
	i := isa.run(opSETUpdate, &args, len(p))
	setUpdateGo(p[i:], m[i:], v[i:], ratio, eps, shift, step, decay)
}

func setUpdateGo(p, m, v []float32, ratio, eps, shift, step, decay float32) {
	for i := range p {
		w := p[i] - float32(p[i]*decay)
		d := sqrtf(fma(v[i], ratio, eps)) - shift
		p[i] = w - float32(m[i]*step)/d
	}
}
