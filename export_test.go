package bdia

import "github.com/bdia-go/bdia/backend"

// SetGammas makes every pass of s use the given values (K,B) instead of draws.
func (s *Stack) SetGammas(gammas []float32) {
	s.draw = func(dst []float32, _, _ int, _ backend.Pass) { copy(dst, gammas) }
}
