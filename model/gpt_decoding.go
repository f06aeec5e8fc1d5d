package model

import (
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// GPTDecoding is a language model at work on hypotheses, token after token, with
// cached keys and values. Each has its own length. It lives in the model's arena: the
// model does nothing else until Close.
type GPTDecoding struct{ writer }

// Decode makes room for n hypotheses of up to positions tokens, the prompt
// included. States are rounded to grid, or not for bdia.NoGrid. It fails when the model
// has no positions for it (ErrBatch), or a block no method Next (ErrAbility). The caller
// closes the GPTDecoding.
func (m *GPT) Decode(n, positions int, grid bdia.Grid) (*GPTDecoding, error) {
	if n < 1 || positions < 1 || positions > m.Config.Context {
		return nil, fmt.Errorf("model: %w: %d hypotheses of %d positions; the model takes 1 to %d positions", ErrBatch, n, positions, m.Config.Context)
	}
	blocks, err := able[nextBlock](m.blocks, 0, "Next")
	if err != nil {
		return nil, err
	}
	d := &GPTDecoding{writer{be: m.be, mark: m.be.Mark(), grid: grid, blocks: blocks, embed: m.embedding.Forward, head: m.head, capacity: positions}}
	d.ids = m.be.Alloc(backend.Data, tensor.I32, tensor.Shape{n, 1})
	d.cache = newKVCache(m.be, len(m.blocks), n, positions, m.Config.block().KVWidth())
	d.stack, err = d.over(d.cache)
	return d, err
}

// At returns how many tokens hypothesis i has.
func (d *GPTDecoding) At(i int) int { return int(d.cache.at[i]) }

// Prefill gives all hypotheses the same beginning; see Begin.
func (d *GPTDecoding) Prefill(dst []float32, ids []int32) error {
	return d.Begin(0, d.ids.Len(), dst, ids)
}

// Begin has the hypotheses from..to-1 begin, again if they had tokens already, with
// ids (T), read at once, and writes the logits (V) of what may follow to dst, unless
// that is nil. GPT.NextLogits gives the same bits. It fails when there is no room
// for as many, or an id is none of the model's (ErrBatch).
func (d *GPTDecoding) Begin(from, to int, dst []float32, ids []int32) error {
	T := len(ids)
	if N := d.ids.Len(); from < 0 || to <= from || to > N {
		return fmt.Errorf("model: %w: a beginning for hypotheses %d to %d of %d", ErrBatch, from, to-1, N)
	}
	if T < 1 || T > d.capacity {
		return fmt.Errorf("model: %w: a beginning of %d tokens; there is room for 1 to %d", ErrBatch, T, d.capacity)
	}
	if err := checkIDs("input", ids, 0, d.vocab()); err != nil {
		return err
	}
	stack, err := d.over(d.cache.text(from, T))
	if err != nil {
		return err
	}
	mark := d.be.Mark()
	defer d.be.Release(mark)
	d.run(dst, d.be.Alloc(backend.Data, tensor.I32, tensor.Shape{1, T}), ids, stack, []int32{0})
	d.cache.share(from, to, T)
	return nil
}

// Next gives every hypothesis its next token, ids (N), and writes the logits (N,V)
// of what may follow to dst. GPT.NextLogits over the whole hypotheses gives the same
// bits. It fails when there is no room for another position, or an id is none
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
