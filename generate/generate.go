// Package generate writes text with models: it samples from language models, and
// searches for the likeliest translations of encoder-decoders.
package generate

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/model"
)

// Options set the choice of the next token. The steps and their order are Hugging
// Face's: repetition penalty, temperature, top-k, top-p of the rest, min-p.
type Options struct {
	MaxTokens         int       // tokens to generate
	MinTokens         int       // before so many, no token of StopIDs is chosen
	Temperature       float64   // 0: always the most likely token
	TopK              int       // choose among the k most likely; 0: all
	TopP              float64   // choose among the most likely tokens that together have this probability; 1: all
	MinP              float64   // choose among tokens with at least this share of the highest probability; 0: all
	RepetitionPenalty float64   // for tokens already in the text: positive logits are divided by it, others multiplied; 1: none
	Stop              []string  // texts that end the new text; only for Stream and Text
	StopIDs           []int32   // tokens that end it; they are not part of it
	Vocab             int       // only ids below Vocab are chosen, for example the tokenizer's; 0: all of the model's
	Seed              uint64    // of the random choices
	Samples           []int     // number of each text, which makes texts of one seed differ; nil: 0, 1, 2, ...
	Grid              bdia.Grid // for rounding states; bdia.NoGrid: no rounding
	Answer            bool      // what is written is a text of its own: a space that the tokenizer puts before any text is dropped
	NoCache           bool      // compute the whole text again for each token: slower, with less memory and the same bits
}

// DefaultOptions returns settings for small models.
func DefaultOptions() Options {
	return Options{MaxTokens: 200, Temperature: 0.8, TopK: 50, TopP: 1, RepetitionPenalty: 1, Seed: 1, Grid: bdia.DefaultGrid}
}

// maxTokens keeps token counts and draw numbers within 32 bits.
const maxTokens = 1 << 30

// Validate returns an error for the first invalid setting.
func (o Options) Validate() error {
	switch {
	case o.MaxTokens < 1 || o.MaxTokens > maxTokens:
		return fmt.Errorf("generate: %d tokens; ask for 1 to %d", o.MaxTokens, maxTokens)
	case o.MinTokens < 0 || o.MinTokens > o.MaxTokens:
		return fmt.Errorf("generate: at least %d tokens, and at most %d; ask for 0 to %d", o.MinTokens, o.MaxTokens, o.MaxTokens)
	case !(o.Temperature >= 0) || math.IsInf(o.Temperature, 0):
		return fmt.Errorf("generate: temperature is %v; it must be at least 0", o.Temperature)
	case o.TopK < 0:
		return fmt.Errorf("generate: top-k is %d; it must be positive, or 0 for all", o.TopK)
	case !(o.TopP > 0 && o.TopP <= 1):
		return fmt.Errorf("generate: top-p is %v; it must be above 0 and at most 1", o.TopP)
	case !(o.MinP >= 0 && o.MinP <= 1):
		return fmt.Errorf("generate: min-p is %v; it must be from 0 to 1", o.MinP)
	case !(o.RepetitionPenalty > 0) || math.IsInf(o.RepetitionPenalty, 0):
		return fmt.Errorf("generate: the repetition penalty is %v; it must be above 0, 1 for none", o.RepetitionPenalty)
	case o.Vocab < 0:
		return fmt.Errorf("generate: a choice of %d tokens; give at least 1, or 0 for all", o.Vocab)
	case slices.Contains(o.Stop, ""):
		return fmt.Errorf("generate: a text to stop at is empty; leave it out")
	}
	return nil
}

// Tokens continues prompt and calls emit with each new token, until MaxTokens, a token
// of StopIDs, or emit returns false. The model sees the end of the text, as much as
// fits its context. Keys and values are cached until the cache is full (CacheContext); from
// then on every token takes a pass over as much. It fails for an empty prompt, for
// ids that the model does not have, and with ErrNotFinite.
func Tokens(m *model.GPT, prompt []int32, o Options, emit func(id int32) bool) error {
	return TokensEach(m, [][]int32{prompt}, o, func(_ int, id int32) bool { return emit(id) })
}

// TokensEach is Tokens for several prompts at a time, which is faster than one after
// another. Text i equals the text of its prompt alone with the same number in Samples.
// emit gets the new tokens of text i and returns false to end that text.
func TokensEach(m *model.GPT, prompts [][]int32, o Options, emit func(i int, id int32) bool) error {
	if err := o.Validate(); err != nil {
		return err
	}
	V, chosen := m.Config.Vocab, o.chosen(m)
	texts, lengths := make([]text, len(prompts)), make([]int, len(prompts))
	for i, prompt := range prompts {
		if err := checkPrompt(m, prompt); err != nil {
			return err
		}
		s := newSampler(o, prompt, V)
		if s.sample = i; i < len(o.Samples) {
			s.sample = o.Samples[i]
		}
		texts[i] = text{slices.Clone(prompt), make([]float32, V), s, true}
		lengths[i] = len(prompt)
	}
	a, err := newAhead(m, lengths, o)
	if err != nil {
		return err
	}
	defer a.close()
	for n := range o.MaxTokens {
		if err := a.next(texts); err != nil {
			return err
		}
		left := false
		for i := range texts {
			x := &texts[i]
			if !x.open {
				continue
			}
			id, err := x.sampler.choose(x.logits[:chosen], n)
			if err != nil {
				return err
			}
			if x.open = !slices.Contains(o.StopIDs, id); x.open {
				x.ids = append(x.ids, id)
				x.open = emit(i, id)
			}
			left = left || x.open
		}
		if !left {
			break
		}
	}
	return nil
}

// chosen is the number of ids among which is chosen.
func (o Options) chosen(m *model.GPT) int {
	if o.Vocab > 0 {
		return min(o.Vocab, m.Config.Vocab)
	}
	return m.Config.Vocab
}

// text is one text under way.
type text struct {
	ids     []int32
	logits  []float32 // (V): of the next token
	sampler *sampler
	open    bool
}

// Rehearse allocates exactly what Tokens needs after a prompt of n tokens. Run it on a
// planning backend to learn the memory.
func Rehearse(m *model.GPT, n int, o Options) error { return RehearseEach(m, 1, n, o) }

// RehearseEach allocates what TokensEach needs for the given number of prompts of up
// to n tokens.
func RehearseEach(m *model.GPT, prompts, n int, o Options) error {
	T, cached := m.Config.Context, m.Config.CacheContext()
	last := n + o.MaxTokens - 1 // tokens seen at the last choice
	if prompts > 1 || cached < T {
		n = min(n, cached) // other texts may be cached
	}
	a, err := newAhead(m, slices.Repeat([]int{n}, prompts), o)
	if err != nil {
		return err
	}
	defer a.close()
	logits := make([]float32, m.Config.Vocab)
	texts := make([]text, prompts)
	for step := range min(o.MaxTokens, 2) {
		for i := range texts {
			texts[i] = text{ids: make([]int32, min(n+step, T+1)), logits: logits, open: true}
		}
		if err := a.next(texts); err != nil {
			return err
		}
		if step == 0 && last > cached && prompts > 1 { // one text has outgrown the cache, the others have not
			if err := m.NextLogits(logits, make([]int32, min(last, T)), o.Grid); err != nil {
				return err
			}
		}
	}
	if last > cached {
		a.close()
	}
	if a.d != nil {
		return nil
	}
	return m.NextLogits(logits, make([]int32, min(last, T)), o.Grid)
}

// checkPrompt returns an error for a prompt that the model cannot continue.
func checkPrompt(m *model.GPT, prompt []int32) error {
	if len(prompt) == 0 {
		return fmt.Errorf("generate: the prompt is empty; give at least one token")
	}
	for i, id := range prompt {
		if id < 0 || int(id) >= m.Config.Vocab {
			return fmt.Errorf("generate: token %d of the prompt is %d; the model has ids 0 to %d", i, id, m.Config.Vocab-1)
		}
	}
	return nil
}

// ahead computes the next logits of texts that grow together.
type ahead struct {
	m      *model.GPT
	grid   bdia.Grid
	d      *model.GPTDecoding // nil if nothing is cached
	rows   []int              // the text of each of its hypotheses
	buffer []float32          // (N,V): buffer for their logits
}

// newAhead prepares for texts that begin with lengths[i] tokens.
func newAhead(m *model.GPT, lengths []int, o Options) (*ahead, error) {
	a := &ahead{m: m, grid: o.Grid}
	if o.NoCache || o.MaxTokens == 1 {
		return a, nil
	}
	longest := 0
	for i, n := range lengths {
		if n <= m.Config.CacheContext() {
			a.rows, longest = append(a.rows, i), max(longest, n)
		}
	}
	if len(a.rows) == 0 {
		return a, nil
	}
	var err error
	a.d, err = m.Decode(len(a.rows), min(m.Config.CacheContext(), longest+o.MaxTokens-1), o.Grid)
	if errors.Is(err, model.ErrAbility) { // the blocks have no cache: every token runs its whole text
		a.rows, err = nil, nil
	}
	return a, err
}

// next writes the next logits of the open texts. Each text has one token more than at
// the last call.
func (a *ahead) next(texts []text) error {
	T, V := a.m.Config.Context, a.m.Config.Vocab
	if a.d != nil && a.buffer == nil {
		a.buffer = make([]float32, len(a.rows)*V)
		for r, i := range a.rows {
			if err := a.d.Begin(r, r+1, texts[i].logits, texts[i].ids); err != nil {
				return err
			}
		}
	} else if a.d != nil {
		if err := a.cached(texts); err != nil {
			return err
		}
	}
	for i, x := range texts {
		if x.open && !slices.Contains(a.rows, i) {
			if err := a.m.NextLogits(x.logits, x.ids[max(0, len(x.ids)-T):], a.grid); err != nil {
				return err
			}
		}
	}
	return nil
}

// cached is next for the cached texts. It drops texts that have ended or outgrown the
// cache.
func (a *ahead) cached(texts []text) error {
	V := a.m.Config.Vocab
	var rows []int
	var parents, ids []int32
	for r, i := range a.rows {
		if x := texts[i]; x.open && len(x.ids) <= a.m.Config.CacheContext() {
			rows, parents, ids = append(rows, i), append(parents, int32(r)), append(ids, x.ids[len(x.ids)-1])
		}
	}
	if a.rows = rows; len(rows) == 0 {
		a.close()
		return nil
	}
	a.d.Reorder(parents)
	if err := a.d.Next(a.buffer[:len(rows)*V], ids); err != nil {
		return err
	}
	for r, i := range rows {
		copy(texts[i].logits, a.buffer[r*V:][:V])
	}
	return nil
}

// close releases the memory of the cache.
func (a *ahead) close() {
	if a.d != nil {
		a.d.Close()
		a.d = nil
	}
}
