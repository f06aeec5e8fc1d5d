package kernel

import (
	"math"
	"unsafe"
)

// Dot returns the sum of a*b in 16 lanes of fma.
func (isa ISA) Dot(a, b []float32) float32 {
	wantLen(len(a), len(b))
	var v vecArgs
	v.p[1], v.p[2] = ptr(a), ptr(b)
	i := isa.run(opDot, &v, len(a))
	dotGo(&v.acc, a[i:], b[i:])
	return foldLanes(&v.acc)
}

func dotGo(acc *[lanes]float32, a, b []float32) {
	for i := range a {
		acc[i%lanes] = fma(a[i], b[i], acc[i%lanes])
	}
}

// RowMax returns the largest element of x, or -Inf if x is empty. NaN is skipped
// and -0 counts as +0. The order of the elements does not matter.
func (isa ISA) RowMax(x []float32) float32 {
	var v vecArgs
	v.p[1] = ptr(x)
	m := float32(math.Inf(-1))
	i := isa.run(opMax, &v, len(x))
	if i > 0 {
		m = largest(&v.acc)
	}
	return maxGo(m, x[i:]) + 0
}

// largest returns the largest of 16 values, none of which is NaN. It compares
// them as integers, with the magnitude bits of negative ones inverted, to avoid
// branches.
func largest(acc *[lanes]float32) float32 {
	m := int32(math.MinInt32)
	for _, v := range acc {
		b := int32(math.Float32bits(v))
		m = max(m, b^int32(uint32(b>>31)>>1))
	}
	return math.Float32frombits(uint32(m ^ int32(uint32(m>>31)>>1)))
}

func maxGo(m float32, x []float32) float32 {
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

// ExpSum sets p = exp(fma(s, scale, -shift)) and returns the sum of p in 16
// lanes. p may be s. The exponential is 0 below -87.68 (so at -Inf) and +Inf
// above 88.37.
func (isa ISA) ExpSum(p, s []float32, scale, shift float32) float32 {
	wantLen(len(p), len(s))
	var v vecArgs
	v.p[0], v.p[1] = ptr(p), ptr(s)
	v.f[0], v.f[1] = scale, -shift
	i := isa.run(opExpSum, &v, len(p))
	expSumGo(&v.acc, p[i:], s[i:], scale, -shift)
	return foldLanes(&v.acc)
}

func expSumGo(acc *[lanes]float32, p, s []float32, scale, add float32) {
	for i, v := range s {
		e := expf(fma(v, scale, add))
		p[i] = e
		acc[i%lanes] += e
	}
}

// scores is a tile of rows of attention: row r is at r*ld and its first
// seen+r*more elements, at least one and at most n, are seen. Kernels fill the
// rest of the row with zeros, up to n rounded up to 16, which is at most ld.
type scores struct {
	rows, n, ld, seen, more int
	scale                   float32
}

func (t *scores) args(s, d, a, b []float32) rowArgs {
	last := t.seen + (t.rows-1)*t.more
	if size := (t.rows-1)*t.ld + roundUp(t.n, lanes); t.rows < 1 || min(t.seen, last) < 1 || max(t.seen, last) > t.n || roundUp(t.n, lanes) > t.ld ||
		len(s) < size || len(d) < size || len(a) < t.rows || len(b) < t.rows {
		panic("kernel: impossible tile of attention")
	}
	return rowArgs{n: t.n, p: [6]unsafe.Pointer{ptr(s), ptr(d), ptr(a), ptr(b)}, k: &consts, f: [2]float32{t.scale},
		rows: t.rows, seen: t.seen, more: t.more, ld: 4 * t.ld}
}

// softmax turns scores into weights relative to the running maximum of each row:
//
//	if m := RowMax(s[r])*scale; m > top[r] { top[r] = m }
//	s[r] = exp(s[r]*scale - top[r]), sum[r] = sum(s[r])   (ExpSum)
func (isa ISA) softmax(t *scores, s, top, sum []float32) {
	a := t.args(s, s, top, sum)
	if assembly && isa != portable {
		isa.onRows(opSoftmax, &a)
		return
	}
	for r := range t.rows {
		row, seen := s[r*t.ld:][:roundUp(t.n, lanes)], t.seen+r*t.more
		if m := portable.RowMax(row[:seen]) * t.scale; m > top[r] {
			top[r] = m
		}
		sum[r] = portable.ExpSum(row[:seen], row[:seen], t.scale, top[r])
		clear(row[seen:])
	}
}

// softmaxBackward turns scores s into weights, and d from gradients of the
// weights into gradients of the scores. With delta = sum(s*d) over the whole row:
//
//	s[r] = exp(s[r]*scale - lse[r]), d[r] = (s[r]*(d[r]-delta[r]))*scale
func (isa ISA) softmaxBackward(t *scores, s, d, lse, delta []float32) {
	a := t.args(s, d, lse, delta)
	if assembly && isa != portable {
		isa.onRows(opSoftmaxBackward, &a)
		return
	}
	for r := range t.rows {
		n, seen := roundUp(t.n, lanes), t.seen+r*t.more
		row, grad := s[r*t.ld:][:n], d[r*t.ld:][:n]
		portable.ExpSum(row[:seen], row[:seen], t.scale, lse[r])
		for i, p := range row[:seen] {
			grad[i] = float32(p*(grad[i]-delta[r])) * t.scale
		}
		clear(row[seen:])
		clear(grad[seen:])
	}
}

// dotRows sets dst[r] to the Dot of the first n elements of rows a[r*ld:] and
// b[r*ld:].
func (isa ISA) dotRows(dst, a, b []float32, ld, n int) {
	last := (len(dst)-1)*ld + n
	a, b = a[:last], b[:last]
	if assembly && isa != portable {
		isa.onRows(opDotRows, &rowArgs{p: [6]unsafe.Pointer{ptr(a), ptr(b), ptr(dst)}, k: &consts, rows: len(dst), seen: n, ld: 4 * ld})
		return
	}
	for r := range dst {
		dst[r] = isa.Dot(a[r*ld:][:n], b[r*ld:][:n])
	}
}

// scaleRows multiplies the first n elements of row x[r*ld:] by f[r].
func (isa ISA) scaleRows(x, f []float32, ld, n int) {
	x = x[:(len(f)-1)*ld+n]
	if assembly && isa != portable {
		isa.onRows(opScaleRows, &rowArgs{p: [6]unsafe.Pointer{ptr(x), ptr(f)}, k: &consts, rows: len(f), seen: n, ld: 4 * ld})
		return
	}
	for r, f := range f {
		scaleGo(x[r*ld:][:n], x[r*ld:][:n], f)
	}
}

// CrossEntropy returns the loss -log softmax(logits)[target] of one row and
// turns the logits into its gradient times scale:
//
//	m = RowMax(logits), e = exp(logits-m), s = sum(e) (ExpSum)
//	loss = log(s) - (logits[target]-m)
//	logits = e*(scale/s), and logits[target] -= scale
//
// It panics when target is not an index of logits.
func (isa ISA) CrossEntropy(logits []float32, target int, scale float32) (loss float32) {
	m := isa.RowMax(logits)
	t := logits[target] - m
	s := isa.ExpSum(logits, logits, 1, m)
	isa.Scale(logits, logits, scale/s)
	logits[target] -= scale
	return float32(logOf(s) - float64(t))
}
