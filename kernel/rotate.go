package kernel

// Rotate turns the pairs (i, i+D/2) of a head x of D elements by the angles with these cosines and sines, D/2 of each
// (Su et al., RoFormer, arXiv 2104.09864; half split):
//
//	x[i], x[i+D/2] = float32(x[i]*cos) - float32(x[i+D/2]*sin), float32(x[i+D/2]*cos) + float32(x[i]*sin)
//
// RotateBack turns by the opposite angles, which is also the gradient.
func Rotate(x, cos, sin []float32) {
	a, b := halves(x, cos, sin)
	for i, c := range cos {
		s, u, v := sin[i], a[i], b[i]
		a[i], b[i] = float32(u*c)-float32(v*s), float32(v*c)+float32(u*s)
	}
}

// RotateBack undoes Rotate: sines count with the other sign.
func RotateBack(x, cos, sin []float32) {
	a, b := halves(x, cos, sin)
	for i, c := range cos {
		s, u, v := sin[i], a[i], b[i]
		a[i], b[i] = float32(u*c)+float32(v*s), float32(v*c)-float32(u*s)
	}
}

func halves(x, cos, sin []float32) (a, b []float32) {
	n := len(cos)
	wantLen(n, len(sin), len(x)-n)
	return x[:n], x[n:]
}
