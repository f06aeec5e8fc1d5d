package bdia

import "github.com/bdia-go/bdia/backend"

// SetGammas makes every pass of s use the given values (K,B) instead of draws.
func (s *Stack) SetGammas(gammas []float32) {
	s.draw = func(dst []float32, _, _, _ int, _ backend.Pass) { copy(dst, gammas) }
}

// DrawGammas returns the values (K,B) that g draws for one pass of the blocks from
// first on.
func DrawGammas(g Gamma, first, K, B int, pass backend.Pass) []float32 {
	gammas := make([]float32, K*B)
	g.draw(gammas, first, K, B, pass)
	return gammas
}
