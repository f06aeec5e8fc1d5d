package kernel

// Layer normalisation (Ba, Kiros and Hinton, arXiv 1607.06450) of rows of C.

// LayerNorm normalises one row x of C elements:
//
//	mean = sum(x)/C, rstd = 1/sqrt(sum((x-mean)^2)/C + eps)
//	y = fma((x-mean)*rstd, w, b)
//
// The sums have 16 lanes, that of squares by fma. A nil b leaves the product
// alone. y may be x. It returns what the backward pass needs.
func (isa ISA) LayerNorm(y, x, w, b []float32, eps float32) (mean, rstd float32) {
	n := len(x)
	wantLen(n, len(y), len(w))
	c := float32(n)
	var v vecArgs
	v.p[1] = ptr(x)
	i := isa.run(opSum, &v, n)
	sumGo(&v.acc, x[i:])
	mean = foldLanes(&v.acc) / c

	v.f[0] = mean
	v.acc = [lanes]float32{}
	i = isa.run(opSumSquaredDev, &v, n)
	sumSquaredDevGo(&v.acc, x[i:], mean)
	rstd = 1 / sqrtf(foldLanes(&v.acc)/c+eps)

	v.f[1] = rstd
	v.p[0], v.p[2] = ptr(y), ptr(w)
	if b == nil {
		i = isa.run(opNormaliseNoBias, &v, n)
		normaliseGo(y[i:], x[i:], w[i:], nil, mean, rstd)
		return mean, rstd
	}
	wantLen(n, len(b))
	v.p[3] = ptr(b)
	i = isa.run(opNormalise, &v, n)
	normaliseGo(y[i:], x[i:], w[i:], b[i:], mean, rstd)
	return mean, rstd
}

func sumGo(acc *[lanes]float32, x []float32) {
	for i, v := range x {
		acc[i%lanes] += v
	}
}

func sumSquaredDevGo(acc *[lanes]float32, x []float32, mean float32) {
	for i, v := range x {
		d := v - mean
		acc[i%lanes] = fma(d, d, acc[i%lanes])
	}
}

func normaliseGo(y, x, w, b []float32, mean, rstd float32) {
	if b == nil {
		for i, v := range x {
			y[i] = float32((v-mean)*rstd) * w[i]
		}
		return
	}
	for i, v := range x {
		y[i] = fma(float32((v-mean)*rstd), w[i], b[i])
	}
}

// LayerNormBackward is the gradient of LayerNorm in x, for one row:
//
//	xhat = (x-mean)*rstd, g = dy*w, a = sum(g)/C, c = sum(g*xhat)/C
//	dx = fma(-xhat, c, g-a)*rstd
//
// dx may be dy.
func (isa ISA) LayerNormBackward(dx, dy, x, w []float32, mean, rstd float32) {
	n := len(x)
	wantLen(n, len(dx), len(dy), len(w))
	v := vecArgs{f: [8]float32{mean, rstd}}
	v.p[0], v.p[1], v.p[2], v.p[3] = ptr(dx), ptr(dy), ptr(x), ptr(w)
	i := isa.run(opNormBackwardSums, &v, n)
	normBackwardSumsGo(&v.acc, &v.acc2, dy[i:], x[i:], w[i:], mean, rstd)
	a := foldLanes(&v.acc) / float32(n)
	c := foldLanes(&v.acc2) / float32(n)

	v.f[2], v.f[3] = a, c
	i = isa.run(opNormBackward, &v, n)
	normBackwardGo(dx[i:], dy[i:], x[i:], w[i:], mean, rstd, a, c)
}

func normBackwardSumsGo(acc, acc2 *[lanes]float32, dy, x, w []float32, mean, rstd float32) {
	for i, v := range x {
		g := float32(dy[i] * w[i])
		acc[i%lanes] += g
		acc2[i%lanes] = fma(g, float32((v-mean)*rstd), acc2[i%lanes])
	}
}

func normBackwardGo(dx, dy, x, w []float32, mean, rstd, a, c float32) {
	for i, v := range x {
		g := float32(dy[i] * w[i])
		xhat := float32((v - mean) * rstd)
		dx[i] = fma(-xhat, c, g-a) * rstd
	}
}

// LayerNormBackwardParams adds the gradients of weight and bias over rows, in
// ascending order, for the len(dw) columns that start at dy and x:
//
//	dw[j] = fma(dy, xhat, dw[j]), db[j] += dy
//
// Row r of dy and x is at r*ld; mean and rstd have one value a row; db may be
// nil.
func (isa ISA) LayerNormBackwardParams(dw, db, dy, x, mean, rstd []float32, rows, ld int) {
	n := len(dw)
	var v vecArgs
	one, four := opNormParamsNoBias, opNormParams4NoBias
	if db != nil {
		wantLen(n, len(db))
		one, four = opNormParams, opNormParams4
	}
	r := 0
	if assembly && isa != portable { // four rows at a time: fewer passes over dw and db
		v.ld = 4 * ld
		for ; r+4 <= rows; r += 4 {
			_, _ = dy[(r+3)*ld:][:n], x[(r+3)*ld:][:n]
			v.p[0], v.p[1], v.p[2], v.p[3] = ptr(dw), ptr(dy[r*ld:]), ptr(x[r*ld:]), ptr(db)
			copy(v.f[:4], mean[r:r+4])
			copy(v.f[4:], rstd[r:r+4])
			isa.run(four, &v, n)
		}
	}
	for ; r < rows; r++ {
		dy, x := dy[r*ld:][:n], x[r*ld:][:n]
		v.p[0], v.p[1], v.p[2], v.p[3] = ptr(dw), ptr(dy), ptr(x), ptr(db)
		v.f[0], v.f[1] = mean[r], rstd[r]
		i := isa.run(one, &v, n)
		normParamsGo(dw[i:], dy[i:], x[i:], mean[r], rstd[r])
		if db != nil {
			addGo(db[i:], db[i:], dy[i:])
		}
	}
}

func normParamsGo(dw, dy, x []float32, mean, rstd float32) {
	for i, v := range x {
		dw[i] = fma(dy[i], float32((v-mean)*rstd), dw[i])
	}
}
