// Package cpufeat names the instruction sets of the kernels and tells which of
// them this machine can run.
//
// A Level is an argument of a CPU backend, not a global, so tests can run all
// paths on one machine.
package cpufeat

import "fmt"

// Level is an instruction set, ordered from the one that runs anywhere to the
// fastest.
type Level uint8

const (
	Portable Level = iota // plain Go; every FMA emulated exactly, so slow
	AVX2                  // amd64 with AVX2 and FMA3
	AVX512                // amd64 with AVX-512 F, BW, DQ and VL
)

var names = [...]string{Portable: "portable", AVX2: "avx2", AVX512: "avx512"}

// String returns the name that Parse accepts.
func (l Level) String() string { return names[l] }

// Parse returns the named level. It fails for an unknown name and for a level
// that this machine cannot run.
func Parse(name string) (Level, error) {
	for l, n := range names {
		if n != name {
			continue
		}
		if Level(l) > Best() {
			return 0, fmt.Errorf("cpufeat: this machine (or build) cannot run %s; its best is %s", name, Best())
		}
		return Level(l), nil
	}
	return 0, fmt.Errorf("cpufeat: unknown instruction set %q; use portable, avx2 or avx512", name)
}

// Best returns the fastest level of this machine and build.
func Best() Level { return best }

// Supported returns every level up to Best, slowest first.
func Supported() []Level {
	s := make([]Level, 0, len(names))
	for l := Portable; l <= best; l++ {
		s = append(s, l)
	}
	return s
}
