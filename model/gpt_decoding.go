package model

import (
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// GPTDecoding is a language model at work on hypotheses that begin alike, token
// after token, with cached keys and values. It lives in the model's arena: the
// model does nothing else until Close.
type GPTDecoding struct{ writer }

// Decode makes room for n hypotheses of up to positions tokens, the prompt
// included. States are rounded to grid, or not for bdia.NoGrid. It fails for what
// the model has no positions for (ErrBatch). The caller closes the GPTDecoding.
func (m *GPT) Decode(n, positions int, grid bdia.Grid) (*GPTDecoding, error) {
	if n < 1 || positions < 1 || positions > m.Config.Context {
		return nil, fmt.Errorf("model: %w: %d hypotheses of %d positions; the model takes 1 to %d positions", ErrBatch, n, positions, m.Config.Context)
	}
	d := &GPTDecoding{writer{be: m.be, mark: m.be.Mark(), grid: grid, embed: m.embedding.Forward, head: m.head, room: positions}}
	for _, block := range m.blocks {
		d.blocks = append(d.blocks, block)
	}
	d.ids = m.be.Alloc(backend.Data, tensor.I32, tensor.Shape{n, 1})
	d.cache = newKVCache(m.be, len(m.blocks), n, positions, m.Config.Width)
	var err error
	d.stack, err = d.over(d.cache)
	return d, err
}

// At returns how many tokens every hypothesis has.
func (d *GPTDecoding) At() int { return d.cache.at }

// Prefill gives all hypotheses, which have no token yet, the same beginning ids (T)
// at once, and writes the logits (V) of what may follow to dst, unless that is nil.
// Their bits are those of GPT.NextLogits. It fails when there is no room for as
// many, or an id is none of the model's (ErrBatch).
func (d *GPTDecoding) Prefill(dst []float32, ids []int32) error {
	T := len(ids)
	if d.cache.at > 0 || T < 1 || T > d.room {
		return fmt.Errorf("model: %w: a beginning of %d tokens for hypotheses that have %d of %d positions", ErrBatch, T, d.cache.at, d.room)
	}
	if err := checkIDs("input", ids, 0, d.vocab()); err != nil {
		return err
	}
	stack, err := d.over(d.cache.text(T))
	if err != nil {
		return err
	}
	mark := d.be.Mark()
	defer d.be.Release(mark)
	d.run(dst, d.be.Alloc(backend.Data, tensor.I32, tensor.Shape{1, T}), ids, stack, 0)
	d.cache.share(T)
	return nil
}

// Next gives every hypothesis its next token, ids (N), and writes the logits (N,V)
// of what may follow to dst. Their bits are those of GPT.NextLogits over the whole
// hypotheses. It fails when there is no room for another position, or an id is none
// of the model's (ErrBatch).
func (d *GPTDecoding) Next(dst []float32, ids []int32) error { return d.next(dst, ids) }

// Reorder lets hypothesis i go on from where hypothesis parents[i] is; there are as
// many as parents from then on. It panics for parents that are not, or none.
func (d *GPTDecoding) Reorder(parents []int32) {
	N := d.ids.Len()
	if len(parents) < 1 || len(parents) > N {
		panic(fmt.Sprintf("model: %d parents for %d hypotheses", len(parents), N))
	}
	for i, p := range parents {
		if p < 0 || int(p) >= N {
			panic(fmt.Sprintf("model: hypothesis %d of %d is to go on from hypothesis %d", i, N, p))
		}
	}
	d.cache.reorder(parents)
	d.ids = first(d.ids, len(parents))
}

// Close gives the memory back.
func (d *GPTDecoding) Close() { d.be.Release(d.mark) }
