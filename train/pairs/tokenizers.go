package pairs

import (
	"context"
	"fmt"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
)

// makeTokenizers makes the tokenizers that c asks for, from the sentences of
// training where they have to be trained.
func (p *Sets) makeTokenizers(ctx context.Context, c DataConfig, engine backend.Options, progress train.Progress) (err error) {
	if c.Tokenizer != tokenizer.KindChar && c.Tokenizer != tokenizer.KindBPE {
		if !c.Separate {
			p.Source, err = tokenizer.Load(c.Tokenizer)
			p.Target = p.Source
			return err
		}
		p.Source, p.Target, err = hub.LoadTokenizers(c.Tokenizer)
		return err
	}
	learn := func(source, target bool) (tokenizer.Tokenizer, error) {
		o := c.textOptions()
		learning := train.Learning{Engine: engine, Vocab: c.BPEVocab, Progress: progress}
		if p.Fits != nil {
			o.Fits = func(bytes int64) bool { return p.Fits(learning.Taken + bytes) }
		}
		r, err := pairs.NewReader(o)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		text := data.NewProgressReader(ctx, r.Text(pairs.Train, source, target), func(int64) {
			done, total := r.Progress()
			progress("reading the vocabulary", done, total)
		})
		learning.Held = func() int64 { return int64(r.Report().Read) * pairs.PairBytes }
		tok, err := learning.Learn(ctx, c.Tokenizer, text)
		switch {
		case text.Failed() != nil: // which says it without the tokenizer
			return nil, text.Failed()
		case err != nil && r.Report().Kept[pairs.Train] == 0:
			return nil, fmt.Errorf("train: training pairs of %s: %w: %v%s", c.Source, r.Report().Err(), r.Report(), r.Report().Advice())
		}
		return tok, err
	}
	if !c.Separate {
		p.Source, err = learn(true, true)
		p.Target = p.Source
		return err
	}
	if p.Source, err = learn(true, false); err == nil {
		p.Target, err = learn(false, true)
	}
	return err
}
