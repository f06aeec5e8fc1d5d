// Package cpufeat names the instruction sets of the kernels and tells which of
// them this machine can run.
//
// A Level is an argument of a CPU backend, not a global, so tests can run all
// paths on one machine.
package cpufeat

import (
	"fmt"
	"slices"
)

// Level is an instruction set, ordered from the one that runs anywhere to the
// fastest.
type Level uint8

const (
	Portable Level = iota // plain Go; every FMA emulated exactly, so slow
	AVX2                  // amd64 with AVX2 and FMA3
	AVX512                // amd64 with AVX-512 F, BW, DQ and VL
	AMX                   // AVX512 with its conversions to bfloat16 and matrix units for it, which the system permits
)

var names = [...]string{Portable: "portable", AVX2: "avx2", AVX512: "avx512", AMX: "amx"}

// String returns the name that Parse accepts.
func (l Level) String() string { return names[l] }

// Parse returns the named level. It fails for an unknown name and for a level
// that this machine cannot run.
func Parse(name string) (Level, error) {
	for l, n := range names {
		if n != name {
			continue
		}
		if Level(l) == AMX && best < AMX && withoutAMX != "" {
			return 0, fmt.Errorf("cpufeat: amx cannot be used: %s; use %s", withoutAMX, best)
		}
		if Level(l) > best {
			return 0, fmt.Errorf("cpufeat: this machine (or build) cannot run %s; its best is %s", name, Best())
		}
		return Level(l), nil
	}
	return 0, fmt.Errorf("cpufeat: unknown instruction set %q; use portable, avx2, avx512 or amx", name)
}

// Best returns the fastest level of this machine and build.
func Best() Level { return best }

// WithoutAMX says why a processor with matrix units is not at level AMX. It is
// empty on other processors, and where they are used.
func WithoutAMX() string { return withoutAMX }

// Supported returns every level up to Best with float32 kernels of its own,
// slowest first: all but AMX, which runs AVX512's.
func Supported() []Level {
	return slices.DeleteFunc(SupportedBF16(), func(l Level) bool { return l == AMX })
}

// SupportedBF16 returns every level up to Best, slowest first: those whose products of
// bfloat16 differ.
func SupportedBF16() []Level {
	s := make([]Level, 0, len(names))
	for l := Portable; l <= best; l++ {
		s = append(s, l)
	}
	return s
}
