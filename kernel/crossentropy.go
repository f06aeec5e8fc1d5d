package kernel

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
		if p != 0 { // so that a class without probability may have an infinite logit
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
