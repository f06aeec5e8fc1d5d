package generate

import (
	"context"
	"fmt"
	"slices"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
)

// Beam returns the NBest likeliest continuations of prompt, best first, found by beam
// search (see Search). A continuation has at most maxTokens tokens, or fewer if the
// context is full earlier, and then one of the tokens ends. Without ends it has no end
// token and always the full length. Only ids below vocab, the tokenizer's, are used.
// States are rounded to grid; bdia.NoGrid leaves them unrounded. It fails if the prompt
// is empty, has ids that the model does not have or fills the context, and with
// ErrNotFinite.
func Beam(m *model.GPT, prompt []int32, vocab int, ends []int32, maxTokens int, o SearchOptions, grid bdia.Grid) ([]Hypothesis, error) {
	best, err := BeamEach(context.Background(), m, [][]int32{prompt}, vocab, ends, maxTokens, o, grid)
	if err != nil {
		return nil, err
	}
	return best[0], nil
}

// BeamEach is Beam for several prompts at a time, which is faster than one after
// another. The results are the same as for each prompt alone. If ctx is done, it stops
// with the context's error.
func BeamEach(ctx context.Context, m *model.GPT, prompts [][]int32, vocab int, ends []int32, maxTokens int, o SearchOptions, grid bdia.Grid) ([][]Hypothesis, error) {
	V, T := m.Config.Vocab, m.Config.CacheContext()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if maxTokens < 1 {
		return nil, fmt.Errorf("generate: %d tokens; ask for at least 1", maxTokens)
	}
	if vocab < 1 || vocab > V || slices.ContainsFunc(ends, func(id int32) bool { return id < 0 || int(id) >= V }) {
		return nil, fmt.Errorf("generate: %d tokens and the ends %d for a model of %d ids; %w", vocab, ends, V, hub.ErrMismatch)
	}
	starts, positions := make([]Start, len(prompts)), 1
	for i, prompt := range prompts {
		if err := checkPrompt(m, prompt); err != nil {
			return nil, err
		}
		n := len(prompt)
		if n >= T {
			return nil, fmt.Errorf("generate: a prompt of %d tokens leaves no room in a context of %d; shorten it", n, T)
		}
		starts[i] = Start{prompt[n-1], min(maxTokens, T-n)}
		positions = max(positions, n+starts[i].Most)
	}
	if len(prompts) == 0 {
		return nil, nil
	}
	d, err := m.Decode(len(prompts)*o.Beam, positions, grid)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	for i, prompt := range prompts {
		if n := len(prompt); n > 1 { // the search feeds the last token itself
			if err := d.Begin(i*o.Beam, (i+1)*o.Beam, nil, prompt[:n-1]); err != nil {
				return nil, err
			}
		}
	}
	s := Search{SearchOptions: o, Ends: ends, Text: append(slices.Repeat([]bool{true}, vocab), make([]bool, V-vocab)...)}
	return s.Run(until{d, ctx}, starts)
}

// until is a decoding that stops when a context is done.
type until struct {
	*model.GPTDecoding
	ctx context.Context
}

func (d until) Next(dst []float32, ids []int32) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	return d.GPTDecoding.Next(dst, ids)
}

// RehearseBeam allocates what BeamEach needs for the given number of prompts of n
// tokens. Run it on a planning backend to learn the memory.
func RehearseBeam(m *model.GPT, prompts, n, maxTokens int, o SearchOptions, grid bdia.Grid) error {
	N := prompts * o.Beam
	T := m.Config.CacheContext()
	d, err := m.Decode(N, min(n+min(maxTokens, T), T), grid)
	if err != nil {
		return err
	}
	defer d.Close()
	if n > 1 {
		if err := d.Prefill(nil, make([]int32, n-1)); err != nil {
			return err
		}
	}
	return d.Next(make([]float32, N*m.Config.Vocab), make([]int32, N))
}
