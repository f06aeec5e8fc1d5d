//go:build amd64 && !noasm

package kernel

// peak runs n rounds and returns the floats in a vector.
func (isa ISA) peak(n int) (width int) {
	switch isa {
	case avx512, amx:
		fmaPeak512(n)
		return 16
	case avx2:
		fmaPeak256(n)
		return 8
	}
	return 0
}

func peakTiles(n int) { gemm16Peak(n) }
