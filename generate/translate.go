package generate

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
)

// TranslateOptions are the options of a Translator.
type TranslateOptions struct {
	SearchOptions
	MaxTokens   int // limit of a translation; 0: the source's number and 50 more (Vaswani et al., arXiv 1706.03762, section 6.1)
	BatchTokens int // limit of a batch's positions: sources and hypotheses, padding included
}

// DefaultTranslate returns the usual settings.
func DefaultTranslate() TranslateOptions {
	return TranslateOptions{SearchOptions: DefaultSearch(), BatchTokens: 1 << 14}
}

// maxBatchTokens limits memory.
const maxBatchTokens = 1 << 20

// Validate returns an error for the first invalid setting.
func (o TranslateOptions) Validate() error {
	switch {
	case o.MaxTokens < 0:
		return fmt.Errorf("generate: translations of %d tokens; give at least 1, or 0 to go by the source", o.MaxTokens)
	case o.BatchTokens < 1 || o.BatchTokens > maxBatchTokens:
		return fmt.Errorf("generate: batches of %d tokens; give 1 to %d", o.BatchTokens, maxBatchTokens)
	}
	return o.SearchOptions.Validate()
}

// Translator translates sentences with an encoder-decoder.
type Translator struct {
	model   *model.Seq2Seq
	special pairs.Special
	grid    bdia.Grid
	options TranslateOptions
	search  Search
}

// NewTranslator returns a translator with m; special are the tokens that m was
// trained with. Translations have only ids below targetTokens, the size of the
// target tokenizer, and no special ones. States are rounded to grid; bdia.NoGrid
// leaves them unrounded.
func NewTranslator(m *model.Seq2Seq, special pairs.Special, targetTokens int, grid bdia.Grid, o TranslateOptions) (*Translator, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := special.Validate(); err != nil {
		return nil, err
	}
	V := m.Config.TargetVocab
	if s := max(special.Begin, special.End); int(s) >= V || targetTokens < 1 || targetTokens > V {
		return nil, fmt.Errorf("generate: %d tokens and the special token %d for a model of %d target ids; %w", targetTokens, s, V, hub.ErrMismatch)
	}
	t := &Translator{model: m, special: special, grid: grid, options: o, search: Search{SearchOptions: o.SearchOptions, Ends: []int32{special.End}, Text: make([]bool, V)}}
	for id := range targetTokens {
		t.search.Text[id] = int32(id) != special.Begin && int32(id) != special.Pad
	}
	return t, nil
}

// most returns the largest number of tokens in a translation of n tokens.
func (t *Translator) most(n int) int {
	most := t.options.MaxTokens
	if most == 0 {
		most = n + 50
	}
	return min(most, t.model.Config.TargetContext-1)
}

// fits reports whether B sources of up to n tokens fit into a batch.
func (t *Translator) fits(B, n int) bool {
	return B == 1 || B*(n+1+t.options.Beam*(t.most(n)+1)) <= t.options.BatchTokens
}

// Translate translates sources, the tokens of sentences. It calls emit with the
// index of each source and its NBest translations, best first. Sources of similar
// length are translated together, the shortest first, and emit is called in that
// order. The batch does not change a bit of a translation. It stops with the first
// error of emit, and fails for sources that the model cannot take (model.ErrBatch),
// for example one with as many tokens as the model has positions: the end needs one.
func (t *Translator) Translate(sources [][]int32, emit func(i int, best []Hypothesis) error) error {
	order := make([]int, len(sources))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(len(sources[i]), len(sources[j])) })
	for len(order) > 0 {
		B := 1
		for B < len(order) && t.fits(B+1, len(sources[order[B]])) {
			B++
		}
		batch := make([][]int32, B)
		for row, i := range order[:B] {
			batch[row] = sources[i]
		}
		best, err := t.batch(batch)
		if err != nil {
			return err
		}
		for row, i := range order[:B] {
			if err := emit(i, best[row]); err != nil {
				return err
			}
		}
		order = order[B:]
	}
	return nil
}

// batch translates sources as one batch; the longest source is the last.
func (t *Translator) batch(sources [][]int32) ([][]Hypothesis, error) {
	d, err := t.read(sources)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	starts := make([]Start, len(sources))
	for i, source := range sources {
		starts[i] = Start{t.special.Begin, t.most(len(source))}
	}
	return t.search.Run(d, starts)
}

// read encodes the sources of a batch; the longest source is the last.
func (t *Translator) read(sources [][]int32) (*model.Decoding, error) {
	longest := len(sources[len(sources)-1])
	b := model.PairBatch{B: len(sources), S: longest + 1}
	for _, source := range sources {
		b.Source = append(append(b.Source, source...), t.special.SourceEnd)
		b.SourceLengths = append(b.SourceLengths, int32(len(source)+1))
		for range longest - len(source) {
			b.Source = append(b.Source, t.special.SourcePad)
		}
	}
	return t.model.Decode(b, t.options.Beam, t.most(longest)+1, t.grid)
}

// Rehearse decodes one token with each of the largest possible batches. Run it on a
// planning backend to learn the memory for translating.
func (t *Translator) Rehearse() error {
	B := 1
	for n := t.model.Config.SourceContext - 1; n >= 0; n-- {
		if n < t.model.Config.SourceContext-1 && !t.fits(B+1, n) {
			continue // the same size as the one before, and shorter
		}
		for t.fits(B+1, n) {
			B++
		}
		sources := make([][]int32, B)
		for i := range sources {
			sources[i] = make([]int32, n)
		}
		d, err := t.read(sources)
		if err != nil {
			return err
		}
		ids := make([]int32, B*t.options.Beam)
		err = d.Next(make([]float32, len(ids)*len(t.search.Text)), ids)
		d.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
