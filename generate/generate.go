// Package generate has models write: it samples text from language models, and
// searches for the likeliest translations of encoder-decoders.
package generate

import (
	"fmt"
	"math"
	"slices"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/model"
)

// Options say how the next token is chosen.
type Options struct {
	MaxTokens   int       // tokens to generate
	Temperature float64   // 0 takes the most likely token
	TopK        int       // choose among the k most likely; 0: all
	TopP        float64   // choose among the most likely that make up this probability; 1: all
	Seed        uint64    // of the choices
	Grid        bdia.Grid // states are rounded to it, or not for bdia.NoGrid
}

// DefaultOptions returns the settings that suit small models.
func DefaultOptions() Options {
	return Options{MaxTokens: 200, Temperature: 0.8, TopK: 50, TopP: 1, Seed: 1, Grid: bdia.DefaultGrid}
}

// Validate reports the first setting that cannot be.
func (o Options) Validate() error {
	switch {
	case o.MaxTokens < 1:
		return fmt.Errorf("generate: %d tokens; ask for at least 1", o.MaxTokens)
	case !(o.Temperature >= 0) || math.IsInf(o.Temperature, 0):
		return fmt.Errorf("generate: temperature is %v; it must be at least 0", o.Temperature)
	case o.TopK < 0:
		return fmt.Errorf("generate: top-k is %d; it must be positive, or 0 for all", o.TopK)
	case !(o.TopP > 0 && o.TopP <= 1):
		return fmt.Errorf("generate: top-p is %v; it must be above 0 and at most 1", o.TopP)
	}
	return nil
}

// Tokens continues prompt and hands each new token to emit, until MaxTokens or
// until emit returns false. The model sees as much of the end of the text as
// its context holds. It fails for an empty prompt and for ids that the model
// does not have.
func Tokens(m *model.GPT, prompt []int32, o Options, emit func(id int32) bool) error {
	if err := o.Validate(); err != nil {
		return err
	}
	if len(prompt) == 0 {
		return fmt.Errorf("generate: the prompt is empty; give at least one token")
	}
	for i, id := range prompt {
		if id < 0 || int(id) >= m.Config.Vocab {
			return fmt.Errorf("generate: token %d of the prompt is %d; the model has ids 0 to %d", i, id, m.Config.Vocab-1)
		}
	}
	text := slices.Clone(prompt)
	logits := make([]float32, m.Config.Vocab)
	s := sampler{o: o, order: make([]int32, m.Config.Vocab), p: make([]float64, m.Config.Vocab)}
	for i := range o.MaxTokens {
		m.NextLogits(logits, text[max(0, len(text)-m.Config.Context):], o.Grid)
		id := s.choose(logits, i)
		text = append(text, id)
		if !emit(id) {
			break
		}
	}
	return nil
}

// Text continues prompt and returns the text of both.
func Text(m *model.GPT, tok interface {
	Decode(ids []int32) ([]byte, error)
}, prompt []int32, o Options) (string, error) {
	ids := slices.Clone(prompt)
	if err := Tokens(m, prompt, o, func(id int32) bool { ids = append(ids, id); return true }); err != nil {
		return "", err
	}
	text, err := tok.Decode(ids)
	return string(text), err
}

// sampler draws tokens from logits.
type sampler struct {
	o     Options
	order []int32   // ids, most likely first
	p     []float64 // unnormalised probabilities, in that order
}

// choose returns the id of draw number i.
func (s *sampler) choose(logits []float32, i int) int32 {
	best := int32(0)
	for id, l := range logits {
		if l > logits[best] {
			best = int32(id)
		}
	}
	if s.o.Temperature == 0 {
		return best
	}
	for id := range s.order {
		s.order[id] = int32(id)
	}
	slices.SortStableFunc(s.order, func(a, b int32) int {
		switch {
		case logits[a] > logits[b]:
			return -1
		case logits[a] < logits[b]:
			return 1
		}
		return 0
	})
	n := len(s.order)
	if s.o.TopK > 0 {
		n = min(n, s.o.TopK)
	}
	var sum float64
	for j, id := range s.order[:n] {
		s.p[j] = math.Exp(float64(logits[id]-logits[best]) / s.o.Temperature)
		sum += s.p[j]
	}
	n, sum = nucleus(s.p[:n], sum, s.o.TopP)
	u := rng.Key{Seed: s.o.Seed, Site: rng.SiteGenerate}.Float64(uint32(i)) * sum
	for j, p := range s.p[:n] {
		if u -= p; u < 0 {
			return s.order[j]
		}
	}
	return s.order[n-1]
}

// nucleus returns how many of the falling probabilities p, which add up to sum,
// make up the share topP, and their sum (Holtzman et al., arXiv 1904.09751).
func nucleus(p []float64, sum, topP float64) (int, float64) {
	if topP >= 1 {
		return len(p), sum
	}
	var part float64
	for j := range p {
		part += p[j]
		if part >= topP*sum {
			return j + 1, part
		}
	}
	return len(p), sum
}
