package kernel

// PeakRound runs n rounds of fused multiply-adds on registers and returns the
// number of floating-point operations done. Timed, it gives the peak of one
// core, with which the speed of kernels is compared. Without assembly it
// returns 0.
func (isa ISA) PeakRound(n int) (flops int64) {
	const chains = 12 // independent accumulators, as in the generator
	return int64(n) * chains * 2 * int64(isa.peak(n))
}
