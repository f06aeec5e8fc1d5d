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
	spare  tensor.Tensor // (N,M,2C): takes one block's cache on Reorder
	seen   tensor.Tensor // (N): At+1, for the attention of the position at hand
	host   []int32
	at     int
}

// newKVCache allocates caches for up to positions of N hypotheses.
func newKVCache(be backend.Backend, blocks, N, positions, C int) *KVCache {
	alloc := func() tensor.Tensor {
		return be.Alloc(backend.Activation, tensor.F32, tensor.Shape{N, positions, 2 * C})
	}
	c := &KVCache{be: be, blocks: make([]nn.KV, blocks), spare: alloc(), host: make([]int32, N)}
	for k := range c.blocks {
		c.blocks[k].Self = alloc()
	}
	c.seen = be.Alloc(backend.Data, tensor.I32, tensor.Shape{N})
	return c
}

// begin makes ready for the next position; it ends when c.at moves on.
func (c *KVCache) begin() {
	for i := range c.host {
		c.host[i] = int32(c.at + 1)
	}
	c.be.UploadInts(c.seen, c.host)
}

// reorder lets hypothesis i go on from where hypothesis parents[i] is; there are as
// many as parents from then on.
func (c *KVCache) reorder(parents []int32) {
	N := len(parents)
	c.host = c.host[:N]
	c.seen = first(c.seen, N)
	for k := range c.blocks {
		from, to := c.blocks[k].Self, first(c.spare, N)
		for i, parent := range parents {
			if c.at > 0 {
				c.be.Copy(to.Index(i).RowRange(0, c.at), from.Index(int(parent)).RowRange(0, c.at))
			}
		}
		c.blocks[k].Self, c.spare = to, from
	}
}

// keep leaves only the given samples of the memory, in ascending order.
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

// Decoding is an encoder-decoder at work on some sources: it reads them once and
// then, position after position, says what its hypotheses may go on with. It lives
// in the model's arena: the model does nothing else until Close.
type Decoding struct {
	m     *Seq2Seq
	mark  backend.Mark
	cache *KVCache
	stack *bdia.Stack
	grid  bdia.Grid
	beams int
	ids   tensor.Tensor // (N,1)

	lengths []int32 // of the sources at hand
}

// cached is a block of the decoder that looks back into a cache.
type cached struct {
	*nn.DecoderBlock
	cache *KVCache
	k     int
}

// Forward writes h(x) at the position at hand.
func (b cached) Forward(h, x tensor.Tensor, _ backend.Pass) {
	b.Next(h, x, b.cache.blocks[b.k], b.cache.at, b.cache.seen)
}

// Decode reads the sources of b (Input and Target are not looked at) and makes
// room for hypotheses of up to positions tokens, beams for each source: hypothesis
// i belongs to source i/beams. States are rounded to grid, or not for bdia.NoGrid.
// It fails for sources that the model cannot take (ErrBatch). The caller closes the
// Decoding.
func (m *Seq2Seq) Decode(b PairBatch, beams, positions int, grid bdia.Grid) (*Decoding, error) {
	if err := m.checkSource(b); err != nil {
		return nil, err
	}
	if beams < 1 || positions < 1 || positions > m.Config.TargetContext {
		return nil, fmt.Errorf("model: %w: %d hypotheses of %d positions for each source; the model takes 1 to %d positions", ErrBatch, beams, positions, m.Config.TargetContext)
	}
	N, C := b.B*beams, m.Config.Width
	d := &Decoding{m: m, mark: m.be.Mark(), grid: grid, beams: beams, lengths: slices.Clone(b.SourceLengths)}
	b.Input = nil
	ids := m.upload(b, false).source
	d.ids = m.be.Alloc(backend.Data, tensor.I32, tensor.Shape{N, 1})
	d.cache = newKVCache(m.be, len(m.decoder), N, positions, C)
	for k := range d.cache.blocks {
		d.cache.blocks[k].Cross = m.be.Alloc(backend.Activation, tensor.F32, tensor.Shape{b.B, b.S, 2 * C})
	}
	top := m.be.Mark()
	m.inferMemory(ids, grid)
	blocks := make([]bdia.Block, len(m.decoder))
	for k, block := range m.decoder {
		block.Keys(d.cache.blocks[k])
		blocks[k] = cached{block, d.cache, k}
	}
	m.be.Release(top) // keys and values are all that is left of the memory
	var err error
	d.stack, err = bdia.NewStack(m.be, blocks, bdia.Options{Memory: bdia.Store, Grid: bdia.NoGrid})
	return d, err
}

// Next gives every hypothesis its next token, ids (N), and writes the logits (N,V)
// of what may follow to dst. The first token is the begin of a sentence. The bits
// are those of Seq2Seq.Logits over the whole hypotheses. It fails when there is no
// room for another position, or an id is none of the model's (ErrBatch).
func (d *Decoding) Next(dst []float32, ids []int32) error {
	m, N := d.m, d.ids.Len()
	if d.cache.at == d.cache.spare.Shape[1] {
		return fmt.Errorf("model: %w: the hypotheses have all %d positions that there is room for", ErrBatch, d.cache.at)
	}
	if len(ids) != N {
		return fmt.Errorf("model: %w: %d tokens for %d hypotheses", ErrBatch, len(ids), N)
	}
	if err := checkIDs("input", ids, 0, m.Config.TargetVocab); err != nil {
		return err
	}
	mark := m.be.Mark()
	defer m.be.Release(mark)
	m.be.UploadInts(d.ids, ids)
	d.cache.begin()
	y := m.be.Alloc(backend.States, tensor.F32, m.shape(N, 1))
	m.target.Forward(y, d.ids, d.cache.at)
	d.stack.Infer(y, d.grid, 0)
	d.cache.at++
	logits := m.be.Alloc(backend.Logits, tensor.F32, tensor.Shape{N, m.Config.TargetVocab})
	m.head.Rows(logits, y)
	m.be.Download(dst, logits)
	return nil
}

// Reorder lets hypothesis i go on from where hypothesis parents[i] is, which is one
// of the same source. A source none of whose hypotheses goes on is done with: those
// after it move up, and take less work from then on. It panics for parents that are
// not, or not as many for each source as there are.
func (d *Decoding) Reorder(parents []int32) {
	var sources []int // that go on
	for i, p := range parents {
		if p < 0 || int(p) >= d.ids.Len() {
			panic(fmt.Sprintf("model: hypothesis %d of %d is to go on from hypothesis %d", i, d.ids.Len(), p))
		}
		source := int(p) / d.beams
		if i%d.beams == 0 {
			sources = append(sources, source)
		}
		if at := len(sources) - 1; sources[at] != source || at > 0 && sources[at-1] >= source {
			panic(fmt.Sprintf("model: hypothesis %d cannot go on from hypothesis %d of another source", i, p))
		}
	}
	if len(sources) == 0 || len(parents) != len(sources)*d.beams {
		panic(fmt.Sprintf("model: %d parents for hypotheses of %d for each source", len(parents), d.beams))
	}
	d.cache.reorder(parents)
	if len(sources) == len(d.lengths) {
		return
	}
	d.cache.keep(sources)
	for i, source := range sources {
		d.lengths[i] = d.lengths[source]
	}
	d.lengths = d.lengths[:len(sources)]
	d.ids = first(d.ids, len(parents))
	memory := d.m.Memory
	memory.Lengths = first(memory.Lengths, len(sources))
	d.m.be.UploadInts(memory.Lengths, d.lengths)
}

// Close gives the memory back.
func (d *Decoding) Close() { d.m.be.Release(d.mark) }
