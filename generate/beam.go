package generate

import (
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/model"
)

// Beam returns the NBest likeliest continuations of prompt, best first, as Search
// finds them: of at most maxTokens, or as many as the context has room for, and then
// the token end. Where end is negative they have no end, and all have as many. States
// are rounded to grid, or not for bdia.NoGrid. It fails for a prompt that is empty,
// has ids that the model does not have or leaves no room, and with ErrNotFinite.
func Beam(m *model.GPT, prompt []int32, end int32, maxTokens int, o SearchOptions, grid bdia.Grid) ([]Hypothesis, error) {
	V, n := m.Config.Vocab, len(prompt)
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := checkPrompt(m, prompt); err != nil {
		return nil, err
	}
	most := min(maxTokens, m.Config.Context-n)
	switch {
	case maxTokens < 1:
		return nil, fmt.Errorf("generate: %d tokens; ask for at least 1", maxTokens)
	case most < 1:
		return nil, fmt.Errorf("generate: a prompt of %d tokens leaves no room in a context of %d; shorten it", n, m.Config.Context)
	case int(end) >= V:
		return nil, fmt.Errorf("generate: the end is token %d; the model has ids 0 to %d", end, V-1)
	}
	d, err := m.Decode(o.Beam, n+most, grid)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if n > 1 {
		if err := d.Prefill(nil, prompt[:n-1]); err != nil {
			return nil, err
		}
	}
	s := Search{SearchOptions: o, End: end, Text: make([]bool, V)}
	for id := range s.Text {
		s.Text[id] = true
	}
	best, err := s.Run(d, []Start{{prompt[n-1], most}})
	if err != nil {
		return nil, err
	}
	return best[0], nil
}

// RehearseBeam uses the memory that Beam does after a prompt of n tokens, so that a
// planning backend knows it.
func RehearseBeam(m *model.GPT, n, maxTokens int, o SearchOptions, grid bdia.Grid) error {
	d, err := m.Decode(o.Beam, min(n+maxTokens, m.Config.Context), grid)
	if err != nil {
		return err
	}
	defer d.Close()
	if n > 1 {
		if err := d.Prefill(nil, make([]int32, n-1)); err != nil {
			return err
		}
	}
	return d.Next(make([]float32, o.Beam*m.Config.Vocab), make([]int32, o.Beam))
}
