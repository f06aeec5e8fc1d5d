package generate

import (
	"fmt"
	"math"
	"slices"

	"github.com/bdia-go/bdia/internal/rng"
)

// sampler draws tokens from logits.
type sampler struct {
	o      Options
	sample int    // number of the text
	seen   []bool // (V): tokens that the text has; nil without a penalty
	ranks  ranking
	best   float32
	p      []float64 // unnormalised probabilities of the first ranks
}

// newSampler draws the tokens after prompt, whose ids are below V, from as many or
// fewer.
func newSampler(o Options, prompt []int32, V int) *sampler {
	s := &sampler{o: o, ranks: ranking{room: make([]int32, V)}}
	if o.RepetitionPenalty != 1 {
		s.seen = make([]bool, V)
		for _, id := range prompt {
			s.seen[id] = true
		}
	}
	return s
}

// choose returns the id of draw number i, and changes the logits. It fails with
// ErrNotFinite.
func (s *sampler) choose(logits []float32, i int) (int32, error) {
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
// 4.1, for positive logits) and returns the likeliest token, of equals the first.
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

// draw returns draw number i of the tokens that the options leave, with the
// probabilities that they have among each other. Only as many are put in order as
// that takes.
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

// weight is the probability of a token times a constant: 1 for the likeliest.
func (s *sampler) weight(logit float32) float64 {
	return math.Exp(float64(logit-s.best) / s.o.Temperature)
}

// probability is the weight of the token of rank j.
func (s *sampler) probability(j int) float64 {
	for len(s.p) <= j {
		s.p = append(s.p, s.weight(s.ranks.logits[s.ranks.at(len(s.p))]))
	}
	return s.p[j]
}

// nucleus returns how many of the n likeliest tokens, which add up to sum, make up
// the share TopP, and their sum (Holtzman et al., arXiv 1904.09751).
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

// likely returns how many of the n likeliest tokens, which add up to sum, are at
// least MinP times as likely as the first, and their sum (Nguyen et al., arXiv
// 2407.01082).
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

// ranking puts tokens in falling order of their logits, of equals the lowest first,
// as far as it is asked for. The last sorted ids are the likeliest, from the end;
// those before them are a heap, the likeliest at its root.
type ranking struct {
	logits []float32
	ids    []int32 // of room
	room   []int32 // (V)
	sorted int
}

// fewRanks is how many ranks are found faster by looking for them than by a heap.
const fewRanks = 256

// reset begins with other logits, of which the first n ranks may be asked for.
func (r *ranking) reset(logits []float32, n int) {
	r.logits, r.sorted = logits, 0
	if n <= fewRanks {
		r.ids = likeliest(r.room[:0], logits, n, func(int32) bool { return true })
		slices.Reverse(r.ids)
		r.sorted = n
		return
	}
	r.ids = r.room[:len(logits)]
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
