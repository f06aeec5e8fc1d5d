package kernel

// PeakRound runs n rounds of fused multiply-adds on registers and returns the
// number of floating-point operations done. Timed, it gives the peak of one
// core, with which the speed of kernels is compared. Without assembly it
// returns 0.
func (isa ISA) PeakRound(n int) (flops int64) {
	const chains = 12 // independent accumulators, as in the generator
	return int64(n) * chains * 2 * int64(isa.peak(n))
}

// PeakRound16 is PeakRound for products of bfloat16: the matrix unit's own on registers, or fused multiply-adds.
func (isa ISA) PeakRound16(n int) (flops int64) {
	const tiles = 4 // independent accumulators, as in the generator
	if assembly && isa == amx {
		peakTiles(n)
		return int64(n) * tiles * 16 * 16 * group * 2
	}
	return isa.PeakRound(n)
}
