package kernel

import "slices"

// smoothChunk is the number of classes for which smoothing is applied in one call. The
// smoothing is the same for every class, so the kernels read it from a constant array
// of this length.
const smoothChunk = 512

// SmoothCrossEntropy is CrossEntropy with label smoothing (Szegedy et al., arXiv
// 1512.00567, section 7): against the probabilities smoothing/V for each of the V
// classes and 1-smoothing more for the target. The logits are summed 512 at a time
// (Dot with ones); these sums are added in float64, in ascending order:
//
//	m = RowMax(logits), e = exp(logits-m), s = sum(e) (ExpSum)
//	loss = log(s) - (1-smoothing)*(logits[target]-m) - smoothing*(sum(logits)/V-m)
//	logits = e*(scale/s) - scale*smoothing/V, and logits[target] -= scale*(1-smoothing)
//
// It panics when target is not an index of logits.
func (isa ISA) SmoothCrossEntropy(logits []float32, target int, smoothing, scale float32) (loss float32) {
	var same [smoothChunk]float32
	for i := range same {
		same[i] = 1
	}
	var sum float64
	for x := range slices.Chunk(logits, smoothChunk) {
		sum += float64(isa.Dot(x, same[:len(x)]))
	}
	m := isa.RowMax(logits)
	t, mean := float64(logits[target]-m), sum/float64(len(logits))-float64(m)
	s := isa.ExpSum(logits, logits, 1, m)
	isa.Scale(logits, logits, scale/s)
	each := float32(scale*smoothing) / float32(len(logits))
	for i := range same {
		same[i] = -each
	}
	for x := range slices.Chunk(logits, smoothChunk) {
		isa.Add(x, x, same[:len(x)])
	}
	logits[target] -= float32(scale * (1 - smoothing))
	return float32(logOf(s) - float64((1-float64(smoothing))*t) - float64(float64(smoothing)*mean))
}

// SoftCrossEntropy is CrossEntropy against probabilities: it returns the loss
// -sum(targets * log softmax(logits)) of one row and turns the logits into its
// gradient times scale. The sums over the classes are in ascending order, in
// float64, where the products are exact:
//
//	m = RowMax(logits), e = exp(logits-m), s = sum(e) (ExpSum)
//	mass = sum(targets), loss = mass*log(s) - sum(targets*(logits-m))
//	logits = e*(scale*mass/s) - scale*targets
//
// A one-hot row of targets gives the bits of CrossEntropy.
func (isa ISA) SoftCrossEntropy(logits, targets []float32, scale float32) (loss float32) {
	wantLen(len(logits), len(targets))
	m := isa.RowMax(logits)
	var mass, dot float64
	for j, p := range targets {
		if p != 0 { // a class of probability 0 may have an infinite logit
			mass += float64(p)
			dot += float64(p) * float64(logits[j]-m)
		}
	}
	s := isa.ExpSum(logits, logits, 1, m)
	isa.Scale(logits, logits, float32(scale*float32(mass))/s)
	for j, p := range targets {
		logits[j] -= float32(scale * p)
	}
	return float32(float64(mass*logOf(s)) - dot)
}
