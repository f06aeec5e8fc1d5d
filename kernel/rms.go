package kernel

import "unsafe"

// Root mean square normalisation (Zhang and Sennrich, arXiv 1910.07467) of rows, or of heads side by side, of len(w)
// elements; rstd has one value for each.

// RMSNorm normalises the rows of x and stores rstd for the backward pass. For a row of n elements:
//
//	rstd = 1/sqrt(Dot(x,x)/n + eps)
//	y = float32(x*rstd)*w
//
// y may be x.
func (isa ISA) RMSNorm(y, x, w, rstd []float32, eps float32) {
	n := len(w)
	wantLen(len(rstd)*n, len(y), len(x))
	if assembly && isa != portable {
		for r := 0; r < len(rstd); r += rowsPerCall(n) {
			isa.onRows(opRMSNorm, &rowArgs{k: &consts, f: [2]float32{float32(n), eps}, rows: min(rowsPerCall(n), len(rstd)-r), seen: n, ld: 4 * n,
				p: [6]unsafe.Pointer{ptr(y[r*n:]), ptr(x[r*n:]), ptr(rstd[r:]), ptr(w)}})
		}
		return
	}
	for r := range rstd {
		y, x := y[r*n:][:n], x[r*n:][:n]
		rstd[r] = 1 / sqrtf(isa.Dot(x, x)/float32(n)+eps)
		for i, v := range x {
			y[i] = float32(v*rstd[r]) * w[i]
		}
	}
}

// RMSNormBackward is the gradient of RMSNorm in x. For a row of n elements:
//
//	g = dy*w, xhat = x*rstd, c = float32(Dot(g,x)*rstd)/n
//	dx = (g - float32(xhat*c))*rstd
//
// dx may be dy.
func (isa ISA) RMSNormBackward(dx, dy, x, w, rstd []float32) {
	n := len(w)
	wantLen(len(rstd)*n, len(dx), len(dy), len(x))
	if assembly && isa != portable {
		for r := 0; r < len(rstd); r += rowsPerCall(n) {
			isa.onRows(opRMSNormBackward, &rowArgs{k: &consts, f: [2]float32{float32(n)}, rows: min(rowsPerCall(n), len(rstd)-r), seen: n, ld: 4 * n,
				p: [6]unsafe.Pointer{ptr(dx[r*n:]), ptr(dy[r*n:]), ptr(rstd[r:]), ptr(w), ptr(x[r*n:])}})
		}
		return
	}
	for r, rstd := range rstd {
		g, dy, x := dx[r*n:][:n], dy[r*n:][:n], x[r*n:][:n]
		for i, v := range dy {
			g[i] = v * w[i]
		}
		c := float32(isa.Dot(g, x)*rstd) / float32(n)
		for i, v := range x {
			g[i] = float32(g[i]-float32(float32(v*rstd)*c)) * rstd
		}
	}
}

// RMSNormBackwardWeight adds the gradient of the weight over rows, in ascending order, for the len(dw) columns that
// start at dy and x. Row r of dy and x is at r*ld:
//
//	dw[j] += float32(dy*float32(x*rstd))
func (isa ISA) RMSNormBackwardWeight(dw, dy, x, rstd []float32, ld int) {
	n, rows, r := len(dw), len(rstd), 0
	var v vecArgs
	if assembly && isa != portable { // four rows at a time: fewer passes over dw
		v.ld = 4 * ld
		for ; r+4 <= rows; r += 4 {
			_, _ = dy[(r+3)*ld:][:n], x[(r+3)*ld:][:n]
			v.p[0], v.p[1], v.p[2] = ptr(dw), ptr(dy[r*ld:]), ptr(x[r*ld:])
			copy(v.f[:4], rstd[r:])
			isa.run(opRMSNormWeight4, &v, n)
		}
	}
	for ; r < rows; r++ {
		dy, x := dy[r*ld:][:n], x[r*ld:][:n]
		v.p[0], v.p[1], v.p[2], v.f[0] = ptr(dw), ptr(dy), ptr(x), rstd[r]
		i := isa.run(opRMSNormWeight, &v, n)
		rmsNormWeightGo(dw[i:], dy[i:], x[i:], rstd[r])
	}
}

func rmsNormWeightGo(dw, dy, x []float32, rstd float32) {
	for i, v := range x {
		dw[i] += float32(dy[i] * float32(v*rstd))
	}
}
