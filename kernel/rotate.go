package kernel

import "unsafe"

// Rotate turns heads of D elements, side by side in x, by the same D/2 angles with these cosines and sines. Elements i
// and i+D/2 of a head are a pair (Su et al., RoFormer, arXiv 2104.09864; half split):
//
//	x[i], x[i+D/2] = float32(x[i]*cos) - float32(x[i+D/2]*sin), float32(x[i+D/2]*cos) + float32(x[i]*sin)
//
// With back the angles are the opposite ones, -sin in place of sin, which is also the gradient.
func (isa ISA) Rotate(x, cos, sin []float32, back bool) {
	half, sign := len(cos), float32(1)
	if back {
		sign = -1
	}
	if half == 0 || len(sin) != half || len(x)%(2*half) != 0 {
		panic("kernel: heads that do not fit their angles")
	}
	heads := len(x) / (2 * half)
	if assembly && isa != portable && heads > 0 {
		for h := 0; h < heads; h += rowsPerCall(2 * half) {
			a := x[h*2*half:]
			isa.onRows(opRotate, &rowArgs{k: &consts, f: [2]float32{sign}, rows: min(rowsPerCall(2*half), heads-h), seen: half, ld: 4 * 2 * half,
				p: [6]unsafe.Pointer{ptr(a), ptr(a[half:]), ptr(cos), ptr(sin)}})
		}
		return
	}
	for h := range heads {
		a, b := x[h*2*half:][:half], x[(2*h+1)*half:][:half]
		for i, c := range cos {
			s, u, v := sin[i]*sign, a[i], b[i]
			a[i], b[i] = float32(u*c)-float32(v*s), float32(v*c)+float32(u*s)
		}
	}
}
