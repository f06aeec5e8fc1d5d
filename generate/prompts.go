package generate

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
)

// Prompt is a text to continue, with its continuations.
type Prompt struct {
	Line          int            `json:"line"` // its number, which makes texts of one seed differ
	Prompt        string         `json:"prompt"`
	PromptIDs     []int32        `json:"prompt_ids"`
	Continuations []Continuation `json:"continuations"`  // best first; none for a line that was left out
	Note          string         `json:"note,omitempty"` // of Notes
}

// Continuation is one continuation of a prompt.
type Continuation struct {
	Text    string   `json:"text"`
	IDs     []int32  `json:"ids"`
	Finish  Finish   `json:"finish,omitempty"`   // of a sampled text
	Score   *float64 `json:"score,omitempty"`    // of a searched text: texts are ordered by it
	LogProb *float64 `json:"log_prob,omitempty"` // natural logarithm of its probability
}

// Prompts continues several texts at a time: by sampling or, with Search, by beam search. FolderPrompts makes one for
// the model of a folder.
type Prompts struct {
	Model      *model.GPT // for Continue
	Context    int        // of the model; for a search its CacheContext
	Vocabulary Vocabulary
	Encoder    hub.Encoder    // of prompts; nil if they come as tokens only
	Options    Options        // but Samples, which are the numbers of lines; a search uses MaxTokens and Grid only
	Search     *SearchOptions // nil: sample
	Ends       []int32        // tokens that end the texts of a search
}

// FolderPrompts returns Prompts for the language model in a folder, which has a tokenizer: prompts are encoded as
// f.Encode does, a token that ends a text ends these, and states are rounded to the folder's grid, not to o.Grid. Model
// is left to the caller, who makes it with the memory for so many prompts at a time. For example:
//
//	p, err := generate.FolderPrompts(folder, generate.DefaultOptions())
//	...
//	m, err := folder.GPT(device, func(m *model.GPT) error { return p.Rehearse(m, 8, p.Context) })
//	...
//	p.Model = m.GPT
func FolderPrompts(f *hub.Folder, o Options) (*Prompts, error) {
	encoder, err := f.Prompts()
	if err != nil {
		return nil, err
	}
	p := &Prompts{Context: f.GPTInfo.Config.Context, Vocabulary: f.Tokenizer, Encoder: encoder, Options: o}
	p.Options.Grid, p.Options.Answer = f.Grid, f.Chat != nil
	p.Ends = f.GPTInfo.StopIDs()
	p.Options.StopIDs = append(slices.Clip(o.StopIDs), p.Ends...)
	return p, nil
}

// Read returns a line as a prompt, with a note if it cannot be continued.
func (p *Prompts) Read(number int, line string) *Prompt {
	line = strings.TrimRight(line, "\r\n")
	r := &Prompt{Line: number, Prompt: line, PromptIDs: []int32{}, Continuations: []Continuation{}}
	if line == "" {
		r.Note = NoteEmpty
		return r
	}
	ids, err := p.Encoder.Encode([]byte(line))
	switch {
	case err != nil:
		r.Note = NoteBad
	case p.Search != nil && len(ids) >= p.Context:
		r.Note = NoteLong
	default:
		r.PromptIDs = ids
	}
	return r
}

// Rehearse allocates what Continue needs for the given number of prompts of up to n tokens, with model m: new tokens do
// not count, and n = p.Context is enough for prompts of any length. Run it on a planning backend.
func (p *Prompts) Rehearse(m *model.GPT, prompts, n int) error {
	if p.Search != nil {
		return RehearseBeam(m, prompts, max(min(n, m.Config.CacheContext()-1), 1), p.Options.MaxTokens, *p.Search, p.Options.Grid)
	}
	return RehearseEach(m, prompts, n, p.Options)
}

// Continue sets the Continuations of prompts and calls emit, unless it is nil, with new text as it is made. A prompt
// that Read has left out (with a note, and without tokens) stays as it is. Continue stops with the first error of emit
// or of ctx.
func (p *Prompts) Continue(ctx context.Context, prompts []*Prompt, emit func(text []byte) error) error {
	var open []*Prompt
	var ids [][]int32
	o := p.Options
	o.Samples = nil
	for _, r := range prompts {
		if r.Note != "" && len(r.PromptIDs) == 0 {
			continue
		}
		open, ids, o.Samples = append(open, r), append(ids, r.PromptIDs), append(o.Samples, r.Line-1)
	}
	failed := ctx.Err()
	if failed != nil || len(open) == 0 {
		return failed
	}
	if emit == nil {
		emit = func([]byte) error { return nil }
	}
	if p.Search != nil {
		return p.searchFor(ctx, ids, open, emit)
	}
	written, err := StreamEach(p.Model, p.Vocabulary, ids, o, func(_ int, text []byte) bool {
		if failed == nil {
			failed = cmp.Or(emit(text), ctx.Err())
		}
		return failed == nil
	})
	for i, w := range written {
		open[i].Continuations = []Continuation{{Text: string(w.Text), IDs: append([]int32{}, w.IDs...), Finish: w.Finish}}
	}
	return cmp.Or(err, failed)
}

// searchFor searches for the likeliest continuations.
func (p *Prompts) searchFor(ctx context.Context, ids [][]int32, prompts []*Prompt, emit func(text []byte) error) error {
	best, err := BeamEach(ctx, p.Model, ids, p.Vocabulary.VocabSize(), p.Ends, p.Options.MaxTokens, *p.Search, p.Options.Grid)
	if err != nil {
		return err
	}
	for i, r := range prompts {
		r.Continuations = []Continuation{}
		for _, h := range best[i] {
			before := r.PromptIDs
			if p.Options.Answer {
				before = nil
			}
			text, err := tokenizer.DecodeAfter(p.Vocabulary, before, h.IDs)
			if err != nil {
				return err
			}
			r.Continuations = append(r.Continuations, Continuation{Text: string(text), IDs: append([]int32{}, h.IDs...), Score: &h.Score, LogProb: &h.LogProb})
		}
		if err := emit([]byte(r.Continuations[0].Text)); err != nil {
			return err
		}
	}
	return nil
}
