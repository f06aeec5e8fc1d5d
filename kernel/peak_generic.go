//go:build !amd64 || noasm

package kernel

func (isa ISA) peak(int) (width int) { return 0 }

func peakTiles(int) {}
