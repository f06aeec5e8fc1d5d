// Package generate has models write: it samples text from language models, and
// searches for the likeliest translations of encoder-decoders.
package generate

import (
	"fmt"
	"math"
	"slices"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/model"
)

// Options say how the next token is chosen. The steps are Hugging Face's, in its
// order: repetition penalty, temperature, top-k, top-p of what is left, min-p.
type Options struct {
	MaxTokens         int       // tokens to generate
	Temperature       float64   // 0 takes the most likely token
	TopK              int       // choose among the k most likely; 0: all
	TopP              float64   // choose among the most likely that make up this probability; 1: all
	MinP              float64   // choose among those at least this share as likely as the most likely; 0: all
	RepetitionPenalty float64   // of tokens that the text has: positive logits are divided by it, others multiplied; 1: none
	Stop              []string  // texts that end the new text; Stream and Text look for them
	StopIDs           []int32   // tokens that end it, themselves left out
	Seed              uint64    // of the choices
	Sample            int       // number of the text, so that those of one seed differ
	Grid              bdia.Grid // states are rounded to it, or not for bdia.NoGrid
	NoCache           bool      // compute the whole text again for each token: slow, in less memory, of the same bits
}

// DefaultOptions returns the settings that suit small models.
func DefaultOptions() Options {
	return Options{MaxTokens: 200, Temperature: 0.8, TopK: 50, TopP: 1, RepetitionPenalty: 1, Seed: 1, Grid: bdia.DefaultGrid}
}

// maxTokens keeps counts of tokens, and the numbers of draws, within 32 bits.
const maxTokens = 1 << 30

// Validate reports the first setting that cannot be.
func (o Options) Validate() error {
	switch {
	case o.MaxTokens < 1 || o.MaxTokens > maxTokens:
		return fmt.Errorf("generate: %d tokens; ask for 1 to %d", o.MaxTokens, maxTokens)
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
	case slices.Contains(o.Stop, ""):
		return fmt.Errorf("generate: a text to stop at is empty; leave it out")
	}
	return nil
}

// Tokens continues prompt and hands each new token to emit, until MaxTokens, a
// token of StopIDs, or emit returns false. The model sees as much of the end of the
// text as its context holds: keys and values of the text are cached until it is full;
// from then on every token takes a pass over the whole context. It fails for an empty
// prompt, for ids that the model does not have, and with ErrNotFinite.
func Tokens(m *model.GPT, prompt []int32, o Options, emit func(id int32) bool) error {
	if err := o.Validate(); err != nil {
		return err
	}
	if err := checkPrompt(m, prompt); err != nil {
		return err
	}
	text, logits := slices.Clone(prompt), make([]float32, m.Config.Vocab)
	a, err := newAhead(m, len(prompt), o)
	if err != nil {
		return err
	}
	defer a.close()
	s := newSampler(o, prompt, m.Config.Vocab)
	for i := range o.MaxTokens {
		if err := a.next(logits, text); err != nil {
			return err
		}
		id, err := s.choose(logits, i)
		if err != nil {
			return err
		}
		if slices.Contains(o.StopIDs, id) {
			break
		}
		text = append(text, id)
		if !emit(id) {
			break
		}
	}
	return nil
}

// Rehearse uses the memory that Tokens does after a prompt of n tokens, so that a
// planning backend knows it.
func Rehearse(m *model.GPT, n int, o Options) error {
	a, err := newAhead(m, n, o)
	if err != nil {
		return err
	}
	defer a.close()
	logits, last := make([]float32, m.Config.Vocab), n+o.MaxTokens-1 // tokens that the last choice sees
	lengths := []int{n}
	if last > n {
		lengths = append(lengths, n+1)
	}
	if last > n+1 && (a.d == nil || last > m.Config.Context) { // a whole pass, in the room of the cache
		lengths = append(lengths, last)
	}
	for _, length := range lengths {
		if err := a.next(logits, make([]int32, min(length, m.Config.Context+1))); err != nil {
			return err
		}
	}
	return nil
}

// checkPrompt reports what the model cannot continue.
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

// ahead knows what may follow a text that grows.
type ahead struct {
	m    *model.GPT
	grid bdia.Grid
	d    *model.GPTDecoding // nil where nothing is cached
}

// newAhead makes ready for a text that begins with n tokens.
func newAhead(m *model.GPT, n int, o Options) (*ahead, error) {
	a := &ahead{m: m, grid: o.Grid}
	if o.NoCache || o.MaxTokens == 1 || n > m.Config.Context {
		return a, nil
	}
	var err error
	a.d, err = m.Decode(1, min(m.Config.Context, n+o.MaxTokens-1), o.Grid)
	return a, err
}

// next writes the logits of what may follow text, which goes on from the one before.
func (a *ahead) next(dst []float32, text []int32) error {
	if len(text) > a.m.Config.Context {
		a.close()
	}
	switch {
	case a.d == nil:
		a.m.NextLogits(dst, text[max(0, len(text)-a.m.Config.Context):], a.grid)
		return nil
	case a.d.At(0) == 0:
		return a.d.Prefill(dst, text)
	}
	return a.d.Next(dst, text[a.d.At(0):])
}

// close gives the memory of the cache back.
func (a *ahead) close() {
	if a.d != nil {
		a.d.Close()
		a.d = nil
	}
}
