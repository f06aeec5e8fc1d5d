package model

import (
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// GPTDecoding is a language model at work on hypotheses, token after token, with
// cached keys and values. Each has its own length. It lives in the model's arena: other
// passes of the model may come between its tokens, and end before the next.
type GPTDecoding struct {
	writer
	rotation *nn.Rotation // of the model; nil: none
	angles   tensor.Tensor
}

// Decode makes room for n hypotheses of up to positions tokens, the prompt
// included. States are rounded to grid, or not for bdia.NoGrid. It fails when the model
// has no positions for it (ErrBatch), or a block no method Next (ErrAbility). The caller
// closes the GPTDecoding.
func (m *GPT) Decode(n, positions int, grid bdia.Grid) (*GPTDecoding, error) {
	if n < 1 || positions < 1 || positions > m.Config.CacheContext() {
		return nil, fmt.Errorf("model: %w: %d hypotheses of %d positions; the model takes 1 to %d positions", ErrBatch, n, positions, m.Config.CacheContext())
	}
	blocks, err := able[nextBlock](m.blocks, 0, "Next")
	if err != nil {
		return nil, err
	}
	d := &GPTDecoding{rotation: m.rotation, writer: writer{be: m.be, mark: m.be.Mark(), grid: grid, blocks: blocks, embed: m.embedding.Forward, head: m.head, capacity: positions}}
	d.angles = m.place(positions)
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
// ids (T), and writes the logits (V) of what may follow to dst, unless
// that is nil. GPT.NextLogits gives the same bits. It fails when there is no room
// for as many, or an id is none of the model's (ErrBatch).
func (d *GPTDecoding) Begin(from, to int, dst []float32, ids []int32) error {
	if N := d.ids.Len(); from < 0 || to <= from || to > N {
		return fmt.Errorf("model: %w: a beginning for hypotheses %d to %d of %d", ErrBatch, from, to-1, N)
	}
	if err := d.Extend(from, 0, dst, ids); err != nil {
		return err
	}
	d.cache.share(from, to, len(ids))
	return nil
}

// atOnce is the largest number of tokens of a text that are read at once. It limits the memory.
const atOnce = 512

// Extend has hypothesis i keep its first keep tokens and go on with ids (T), and writes the logits (V) of what may
// follow to dst, unless that is nil. For example, a conversation goes on after the part that was read before.
// GPT.NextLogits over all of it gives the same bits. It fails when hypothesis i has no keep tokens, when there is no
// room for as many more, or an id is none of the model's (ErrBatch).
func (d *GPTDecoding) Extend(i, keep int, dst []float32, ids []int32) error {
	if i < 0 || i >= d.ids.Len() || keep < 0 || keep > d.At(i) {
		return fmt.Errorf("model: %w: hypothesis %d of %d is to keep %d tokens", ErrBatch, i, d.ids.Len(), keep)
	}
	if T := len(ids); T < 1 || T > d.capacity-keep {
		return fmt.Errorf("model: %w: a text goes on with %d tokens after %d; there is room for 1 to %d", ErrBatch, T, keep, d.capacity-keep)
	}
	if err := checkIDs("input", ids, 0, d.vocab()); err != nil {
		return err
	}
	d.resume()
	for n := 0; len(ids) > 0; keep, ids = keep+n, ids[n:] {
		n = min(len(ids), atOnce)
		to := dst
		if n < len(ids) {
			to = nil
		}
		if err := d.read(i, keep, to, ids[:n]); err != nil {
			return err
		}
	}
	return nil
}

// read reads tokens ids of hypothesis i, after its first keep, at once.
func (d *GPTDecoding) read(i, keep int, dst []float32, ids []int32) error {
	mark, T := d.be.Mark(), len(ids)
	defer d.be.Release(mark)
	stack, err := d.over(d.cache.text(i, keep, T))
	if err != nil {
		return err
	}
	d.run(dst, d.be.Alloc(backend.Data, tensor.I32, tensor.Shape{1, T}), ids, stack, []int32{int32(keep)})
	d.cache.share(i, i+1, keep+T)
	return nil
}

// Next gives every hypothesis its next token, ids (N), and writes the logits (N,V)
// of what may follow to dst. GPT.NextLogits over the whole hypotheses gives the same
// bits. It fails when there is no room for another position, or an id is none
// of the model's (ErrBatch).
func (d *GPTDecoding) Next(dst []float32, ids []int32) error {
	d.resume()
	return d.next(dst, ids)
}

// resume has queries and keys turn by d's own angles again.
func (d *GPTDecoding) resume() {
	if d.rotation != nil {
		d.rotation.Resume(d.angles)
	}
}

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
