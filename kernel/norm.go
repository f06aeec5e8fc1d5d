package kernel

import "unsafe"

// Layer normalisation (Ba, Kiros and Hinton, arXiv 1607.06450) of rows of
// len(w) elements; mean and rstd have one value for each row.

// LayerNorm normalises the rows of x and stores mean and rstd for the backward
// pass. For a row of C elements:
//
//	mean = sum(x)/C, rstd = 1/sqrt(sum((x-mean)^2)/C + eps)
//	y = fma((x-mean)*rstd, w, b)
//
// The sums have 16 lanes, the sum of squares by fma. With a nil b nothing is
// added to the product. y may be x.
func (isa ISA) LayerNorm(y, x, w, b, mean, rstd []float32, eps float32) {
	n := len(w)
	wantLen(len(mean)*n, len(y), len(x))
	wantLen(len(mean), len(rstd))
	op := opLayerNormNoBias
	if b != nil {
		wantLen(n, len(b))
		op = opLayerNorm
	}
	if assembly && isa != portable {
		for r := 0; r < len(mean); r += rowsPerCall(n) {
			isa.onRows(op, &rowArgs{k: &consts, f: [2]float32{float32(n), eps}, rows: min(rowsPerCall(n), len(mean)-r), seen: n, ld: 4 * n,
				p: [6]unsafe.Pointer{ptr(y[r*n:]), ptr(x[r*n:]), ptr(mean[r:]), ptr(rstd[r:]), ptr(w), ptr(b)}})
		}
		return
	}
	for r := range mean {
		y, x := y[r*n:][:n], x[r*n:][:n]
		mean[r], rstd[r] = layerNormGo(y, x, w, b, eps)
	}
}

func layerNormGo(y, x, w, b []float32, eps float32) (mean, rstd float32) {
	n := float32(len(x))
	var sum, squares [lanes]float32
	for i, v := range x {
		sum[i%lanes] += v
	}
	mean = foldLanes(&sum) / n
	for i, v := range x {
		d := v - mean
		squares[i%lanes] = fma(d, d, squares[i%lanes])
	}
	rstd = 1 / sqrtf(foldLanes(&squares)/n+eps)
	for i, v := range x {
		if xhat := float32((v - mean) * rstd); b != nil {
			y[i] = fma(xhat, w[i], b[i])
		} else {
			y[i] = xhat * w[i]
		}
	}
	return mean, rstd
}

// LayerNormBackward is the gradient of LayerNorm in x. For a row:
//
//	xhat = (x-mean)*rstd, g = dy*w, a = sum(g)/C, c = sum(g*xhat)/C
//	dx = fma(-xhat, c, g-a)*rstd
//
// dx may be dy.
func (isa ISA) LayerNormBackward(dx, dy, x, w, mean, rstd []float32) {
	n := len(w)
	wantLen(len(mean)*n, len(dx), len(dy), len(x))
	wantLen(len(mean), len(rstd))
	if assembly && isa != portable {
		for r := 0; r < len(mean); r += rowsPerCall(n) {
			isa.onRows(opLayerNormBackward, &rowArgs{k: &consts, f: [2]float32{float32(n)}, rows: min(rowsPerCall(n), len(mean)-r), seen: n, ld: 4 * n,
				p: [6]unsafe.Pointer{ptr(dx[r*n:]), ptr(dy[r*n:]), ptr(mean[r:]), ptr(rstd[r:]), ptr(w), ptr(x[r*n:])}})
		}
		return
	}
	for r := range mean {
		layerNormBackwardGo(dx[r*n:][:n], dy[r*n:][:n], x[r*n:][:n], w, mean[r], rstd[r])
	}
}

func layerNormBackwardGo(dx, dy, x, w []float32, mean, rstd float32) {
	n := float32(len(x))
	var sum, dot [lanes]float32
	for i, v := range x {
		g := float32(dy[i] * w[i])
		sum[i%lanes] += g
		dot[i%lanes] = fma(g, float32((v-mean)*rstd), dot[i%lanes])
	}
	a, c := foldLanes(&sum)/n, foldLanes(&dot)/n
	for i, v := range x {
		dx[i] = fma(-float32((v-mean)*rstd), c, float32(dy[i]*w[i])-a) * rstd
	}
}

// rowsPerCall returns the number of rows of n elements for one call of assembly,
// so that no call is long.
func rowsPerCall(n int) int { return max(1, vecChunk/max(1, n)) }

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
