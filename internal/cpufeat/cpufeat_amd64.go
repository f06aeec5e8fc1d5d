//go:build amd64 && !noasm

package cpufeat

import "golang.org/x/sys/cpu"

var best, withoutAMX = detect()

func detect() (l Level, withoutAMX string) {
	x := &cpu.X86
	switch {
	case x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL:
		if !x.HasAMXTile || !x.HasAMXBF16 || !x.HasAVX512BF16 {
			return AVX512, ""
		}
		if err := permitTiles(); err != nil {
			return AVX512, "the system does not permit its registers: " + err.Error()
		}
		return AMX, ""
	case x.HasAVX2 && x.HasFMA:
		return AVX2, ""
	}
	return Portable, ""
}
