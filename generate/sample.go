package generate

import (
	"fmt"
	"math"
	"slices"

	"github.com/bdia-go/bdia/internal/pmath"
	"github.com/bdia-go/bdia/internal/rng"
)

// sampler draws tokens from logits.
type sampler struct {
	o      Options
	sample int    // number of the text
	seen   []bool // (V): tokens already in the text; nil without a penalty
	ranks  ranking
	best   float32
	p      []float64 // unnormalised probabilities by rank
}

// newSampler returns the sampler of the tokens after prompt. V is the number of
// logits.
func newSampler(o Options, prompt []int32, V int) *sampler {
	s := &sampler{o: o, ranks: ranking{buffer: make([]int32, V)}}
	if o.RepetitionPenalty != 1 {
		s.seen = make([]bool, V)
		for _, id := range prompt {
			s.seen[id] = true
		}
	}
	return s
}

// choose returns the token of draw number i, which is the i-th of the text. It
// overwrites the logits and fails with ErrNotFinite.
func (s *sampler) choose(logits []float32, i int) (int32, error) {
	for _, id := range s.o.StopIDs {
		if i < s.o.MinTokens && id >= 0 && int(id) < len(logits) {
			logits[id] = float32(math.Inf(-1))
		}
	}
	best, err := s.penalise(logits)
	if err != nil {
		return 0, err
	}
	if s.o.Temperature > 0 {
		best = s.draw(logits, best, i)
	}
	if s.seen != nil {
		s.seen[best] = true
	}
	return best, nil
}

// penalise applies the repetition penalty (Keskar et al., arXiv 1909.05858, section
// 4.1, for positive logits) and returns the likeliest token, the first of equals.
func (s *sampler) penalise(logits []float32) (int32, error) {
	penalty := float32(s.o.RepetitionPenalty)
	best := int32(0)
	for id, l := range logits {
		if l != l {
			return 0, fmt.Errorf("generate: %w; are the weights damaged, or of a run that diverged?", ErrNotFinite)
		}
		if s.seen != nil && s.seen[id] {
			if l > 0 {
				l /= penalty
			} else {
				l *= penalty
			}
			logits[id] = l
		}
		if l > logits[best] {
			best = int32(id)
		}
	}
	if math.IsInf(float64(logits[best]), 0) {
		return 0, fmt.Errorf("generate: %w; are the weights damaged, or of a run that diverged?", ErrNotFinite)
	}
	return best, nil
}

// draw returns draw number i among the tokens that the options allow, with
// probabilities renormalised over them. It sorts only as many tokens as needed.
func (s *sampler) draw(logits []float32, best int32, i int) int32 {
	s.best, s.p = logits[best], s.p[:0]
	n, sum := len(logits), 0.0
	if s.o.TopK > 0 {
		n = min(n, s.o.TopK)
	}
	s.ranks.reset(logits, n)
	if n < len(logits) {
		for j := range n {
			sum += s.probability(j)
		}
	} else {
		for _, l := range logits {
			sum += s.weight(l)
		}
	}
	n, sum = s.nucleus(n, sum)
	n, sum = s.likely(n, sum)
	u := rng.Key{Seed: s.o.Seed, Sample: uint32(s.sample), Site: rng.SiteGenerate}.Float64(uint32(i)) * sum
	for j := range n {
		if u -= s.probability(j); u < 0 {
			return s.ranks.at(j)
		}
	}
	return s.ranks.at(n - 1)
}

// weight returns the probability of a token relative to the likeliest, so 1 for
// that one.
func (s *sampler) weight(logit float32) float64 {
	return pmath.Exp(float64(logit-s.best) / s.o.Temperature)
}

// probability returns the weight of the token of rank j.
func (s *sampler) probability(j int) float64 {
	for len(s.p) <= j {
		s.p = append(s.p, s.weight(s.ranks.logits[s.ranks.at(len(s.p))]))
	}
	return s.p[j]
}

// nucleus returns how many of the n likeliest tokens are needed for the share TopP
// of their sum, and the sum of these (Holtzman et al., arXiv 1904.09751).
func (s *sampler) nucleus(n int, sum float64) (int, float64) {
	if s.o.TopP >= 1 {
		return n, sum
	}
	var part float64
	for j := range n {
		part += s.probability(j)
		if part >= s.o.TopP*sum {
			return j + 1, part
		}
	}
	return n, sum
}

// likely returns how many of the n likeliest tokens, of total weight sum, are at
// least MinP times as likely as the first, and the sum of these (Nguyen et al.,
// arXiv 2407.01082).
func (s *sampler) likely(n int, sum float64) (int, float64) {
	if s.o.MinP <= 0 {
		return n, sum
	}
	var part float64
	for j := range n {
		p := s.probability(j)
		if p < s.o.MinP {
			return j, part
		}
		part += p
	}
	return n, sum
}

// ranking sorts tokens by falling logit (equals by rising id), only as far as
// needed. The likeliest tokens, sorted so far, are at the end of ids, the first
// last; the ids before them are a heap with the likeliest at its root.
type ranking struct {
	logits []float32
	ids    []int32 // slice of buffer
	buffer []int32 // (V)
	sorted int
}

// fewRanks is the number of ranks up to which scanning is faster than a heap.
const fewRanks = 256

// reset starts with new logits, of which only the first n ranks are needed.
func (r *ranking) reset(logits []float32, n int) {
	r.logits, r.sorted = logits, 0
	if n <= fewRanks {
		r.ids = likeliest(r.buffer[:0], logits, n, func(int32) bool { return true })
		slices.Reverse(r.ids)
		r.sorted = n
		return
	}
	r.ids = r.buffer[:len(logits)]
	for i := range r.ids {
		r.ids[i] = int32(i)
	}
	for i := len(r.ids)/2 - 1; i >= 0; i-- {
		r.sink(i, len(r.ids))
	}
}

// at returns the token of rank j.
func (r *ranking) at(j int) int32 {
	for r.sorted <= j {
		last := len(r.ids) - 1 - r.sorted
		r.ids[0], r.ids[last] = r.ids[last], r.ids[0]
		r.sink(0, last)
		r.sorted++
	}
	return r.ids[len(r.ids)-1-j]
}

// sink moves element i of a heap of n down to its place.
func (r *ranking) sink(i, n int) {
	for {
		child := 2*i + 1
		if child >= n {
			return
		}
		if child+1 < n && r.before(r.ids[child+1], r.ids[child]) {
			child++
		}
		if !r.before(r.ids[child], r.ids[i]) {
			return
		}
		r.ids[i], r.ids[child] = r.ids[child], r.ids[i]
		i = child
	}
}

// before reports whether token a is ranked before token b.
func (r *ranking) before(a, b int32) bool {
	return r.logits[a] > r.logits[b] || r.logits[a] == r.logits[b] && a < b
}
