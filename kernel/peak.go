package kernel

// PeakRound runs n rounds of fused multiply-adds on registers and returns how
// many floating-point operations that was: the most that one core can do, which
// kernels are measured against. It returns 0 where there is no such loop.
func (isa ISA) PeakRound(n int) (flops int64) {
	const chains = 12 // independent accumulators, as in the generator
	return int64(n) * chains * 2 * int64(isa.peak(n))
}
