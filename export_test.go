package bdia

import "github.com/bdia-go/bdia/backend"

// SetGammas makes every pass of s use the given values (K,B) instead of draws.
func (s *Stack) SetGammas(gammas []float32) {
	s.draw = func(dst []float32, _, _ int, _ backend.Pass) { copy(dst, gammas) }
}

// DrawGammas returns the values (K,B) that g draws for one pass of the blocks from
// first on.
func DrawGammas(g Gamma, first, K, B int, pass backend.Pass) []float32 {
	return DrawOf(Options{Gamma: g}, first, K, B, pass)
}

// DrawOf is DrawGammas by the law of o.
func DrawOf(o Options, first, K, B int, pass backend.Pass) []float32 {
	gammas := make([]float32, K*B)
	newCourse(o, K).draw(gammas, first, B, pass)
	return gammas
}
