package model

import (
	"fmt"
	"slices"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// KVCache holds the keys and values of the positions that N hypotheses have so
// far, block by block, so that writing the next one costs one position's work.
type KVCache struct {
	be     backend.Backend
	blocks []nn.KV
	spare  tensor.Tensor // (N,M,KV): takes one block's cache on Reorder; none for one hypothesis
	seen   tensor.Tensor // (N): at+1, for the attention of the positions at hand; of a text's last T, (T); none for whole texts
	pairs  tensor.Tensor // (N*M,2), or (1,2): row numbers for CopyRows
	next   tensor.Tensor // (N,2): the part of pairs that puts the next keys and values in their place
	host   []int32       // of seen
	rows   []int32       // of pairs
	at     []int32       // (N): positions of each hypothesis
}

// newKVCache allocates caches for up to positions of N hypotheses.
func newKVCache(be backend.Backend, blocks, N, positions, KV int) *KVCache {
	alloc := func() tensor.Tensor {
		return be.Alloc(backend.Activation, nn.OperandType(be), tensor.Shape{N, positions, KV})
	}
	c := &KVCache{be: be, blocks: make([]nn.KV, blocks), host: make([]int32, N), at: make([]int32, N)}
	pairs := 1
	if N > 1 {
		c.spare, pairs = alloc(), N*positions
	}
	c.pairs, c.rows = be.Alloc(backend.Data, tensor.I32, tensor.Shape{pairs, 2}), make([]int32, 0, 2*pairs)
	for k := range c.blocks {
		c.blocks[k].Self = alloc()
	}
	c.seen = be.Alloc(backend.Data, tensor.I32, tensor.Shape{N})
	return c
}

// begin makes ready for the next positions; end counts them.
func (c *KVCache) begin() {
	c.rows = c.rows[:0]
	for i, at := range c.at {
		c.host[i] = at + 1
		c.rows = append(c.rows, int32(i*c.positions())+at, int32(i))
	}
	c.be.UploadInts(c.seen, c.host)
	c.next = c.uploadPairs()
}

// positions returns M, the capacity of each hypothesis.
func (c *KVCache) positions() int { return c.blocks[0].Self.Shape[1] }

// uploadPairs returns the pairs of rows at hand as a tensor.
func (c *KVCache) uploadPairs() tensor.Tensor {
	pairs := first(c.pairs, len(c.rows)/2)
	c.be.UploadInts(pairs, c.rows)
	return pairs
}

func (c *KVCache) end() { copy(c.at, c.host) }

// text is the memory of hypothesis i as a cache for T tokens of its text, after the first keep. With keep > 0 it
// allocates.
func (c *KVCache) text(i, keep, T int) *KVCache {
	whole := &KVCache{be: c.be, blocks: make([]nn.KV, len(c.blocks))}
	for k, kv := range c.blocks {
		rows := kv.Self.Index(i).RowRange(0, keep+T)
		whole.blocks[k].Self = rows.Reshape(tensor.Shape{1, keep + T, rows.Cols()})
	}
	if keep > 0 {
		seen := make([]int32, T)
		for t := range seen {
			seen[t] = int32(keep + t + 1)
		}
		whole.seen = c.be.Alloc(backend.Data, tensor.I32, tensor.Shape{T})
		c.be.UploadInts(whole.seen, seen)
	}
	return whole
}

// share gives the hypotheses from..to-1 the T positions that the first of them has.
func (c *KVCache) share(from, to, T int) {
	for i := from; i < to; i++ {
		c.at[i] = int32(T)
		for _, kv := range c.blocks {
			if i > from {
				c.be.Copy(kv.Self.Index(i).RowRange(0, T), kv.Self.Index(from).RowRange(0, T))
			}
		}
	}
}

// reorder lets hypothesis i go on from where hypothesis parents[i] is; there are as
// many as parents from then on.
func (c *KVCache) reorder(parents []int32) {
	N := len(parents)
	if len(c.at) == N && inPlace(parents) {
		return
	}
	for i, parent := range parents {
		c.host[i] = c.at[parent]
	}
	c.host, c.at = c.at[:N], c.host[:N]
	c.seen = first(c.seen, N)
	c.rows = c.rows[:0]
	for i, parent := range parents {
		for t := range c.at[i] {
			c.rows = append(c.rows, int32(i*c.positions())+t, parent*int32(c.positions())+t)
		}
	}
	var pairs tensor.Tensor
	if len(c.rows) > 0 {
		pairs = c.uploadPairs()
	}
	for k := range c.blocks {
		from, to := c.blocks[k].Self, first(c.spare, N)
		if pairs.Valid() {
			c.be.CopyRows(to, from, pairs)
		}
		c.blocks[k].Self, c.spare = to, from
	}
}

// inPlace reports whether each hypothesis is its own parent.
func inPlace(parents []int32) bool {
	for i, p := range parents {
		if int(p) != i {
			return false
		}
	}
	return true
}

// keep leaves only the given samples of the encoder's output, in ascending order.
func (c *KVCache) keep(samples []int) {
	for k := range c.blocks {
		cross := &c.blocks[k].Cross
		for i, sample := range samples {
			if i != sample {
				c.be.Copy(cross.Index(i), cross.Index(sample))
			}
		}
		*cross = first(*cross, len(samples))
	}
}

// first returns the first n elements of the outermost dimension of t.
func first(t tensor.Tensor, n int) tensor.Tensor {
	s := t.Shape
	s[0] = n
	return t.Reshape(s)
}

// writer is a model that writes hypotheses token after token.
type writer struct {
	be       backend.Backend
	mark     backend.Mark
	grid     bdia.Grid
	cache    *KVCache
	blocks   []nextBlock
	stack    *bdia.Stack
	embed    func(x, ids tensor.Tensor, at int)
	head     *nn.Head
	capacity int           // positions of a hypothesis
	ids      tensor.Tensor // (N,1)
}

// over returns the blocks as a stack over cache.
func (w *writer) over(cache *KVCache) (*bdia.Stack, error) {
	blocks := make([]bdia.Block, len(w.blocks))
	for k, b := range w.blocks {
		blocks[k] = cached{b, cache, k}
	}
	return bdia.NewStack(w.be, blocks, bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid})
}

// next gives every hypothesis its next token and writes the logits (N,V) of what
// may follow to dst.
func (w *writer) next(dst []float32, ids []int32) error {
	N := w.ids.Len()
	if slices.Max(w.cache.at) == int32(w.capacity) {
		return fmt.Errorf("model: %w: a hypothesis has all %d positions that there is room for", ErrBatch, w.capacity)
	}
	if len(ids) != N {
		return fmt.Errorf("model: %w: %d tokens for %d hypotheses", ErrBatch, len(ids), N)
	}
	if err := checkIDs("input", ids, 0, w.vocab()); err != nil {
		return err
	}
	w.cache.begin()
	w.run(dst, w.ids, ids, w.stack, w.cache.at)
	w.cache.end()
	return nil
}

// run writes the logits after the last position of texts ids (N,T), which begin at
// the positions at, to dst, unless that is nil. N or T is 1.
func (w *writer) run(dst []float32, on tensor.Tensor, ids []int32, stack *bdia.Stack, at []int32) {
	mark := w.be.Mark()
	defer w.be.Release(mark)
	w.be.UploadInts(on, ids)
	N, T, C := on.Shape[0], on.Shape[1], w.width()
	x := w.be.Alloc(backend.States, tensor.F32, tensor.Shape{N, T, C})
	for i, n := 0, 0; i < N; i += n {
		for n = 1; i+n < N && at[i+n] == at[i]; n++ {
		}
		w.embed(x.RowRange(i*T, (i+n)*T).Reshape(tensor.Shape{n, T, C}), on.RowRange(i, i+n), int(at[i]))
	}
	stack.Infer(x, w.grid, 0)
	if dst == nil {
		return
	}
	last := x.RowRange((T-1)*N, T*N)
	logits := w.be.Alloc(backend.Logits, tensor.F32, tensor.Shape{N, w.vocab()})
	w.head.Rows(logits, last)
	w.be.Download(dst, logits)
}

func (w *writer) vocab() int { return w.head.Logits.Weight.Value.Rows() }
func (w *writer) width() int { return w.head.Logits.Weight.Value.Cols() }
