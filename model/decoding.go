package model

import (
	"fmt"
	"slices"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// Decoding is an encoder-decoder at work on some sources: it reads them once and
// then, position after position, says what its hypotheses may go on with. It lives
// in the model's arena: the model does nothing else until Close.
type Decoding struct {
	writer
	m       *Seq2Seq
	beams   int
	lengths []int32 // of the sources at hand
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
	N, KV := b.B*beams, m.Config.block().KVWidth()
	d := &Decoding{m: m, beams: beams, lengths: slices.Clone(b.SourceLengths)}
	d.writer = writer{be: m.be, mark: m.be.Mark(), grid: grid, embed: m.target.Forward, head: m.head, capacity: positions}
	b.Input = nil
	ids := m.upload(b, false).source
	d.ids = m.be.Alloc(backend.Data, tensor.I32, tensor.Shape{N, 1})
	d.cache = newKVCache(m.be, len(m.decoder), N, positions, KV)
	for k := range d.cache.blocks {
		d.cache.blocks[k].Cross = m.be.Alloc(backend.Activation, nn.OperandType(m.be), tensor.Shape{b.B, b.S, KV})
	}
	top := m.be.Mark()
	m.inferEncoded(ids, grid)
	for k, block := range m.decoder {
		block.Keys(d.cache.blocks[k])
		d.blocks = append(d.blocks, block)
	}
	m.be.Release(top) // keys and values are all that is needed of the encoder's output
	var err error
	d.stack, err = d.over(d.cache)
	return d, err
}

// Next gives every hypothesis its next token, ids (N), and writes the logits (N,V)
// of what may follow to dst. The first token is the begin of a sentence. Seq2Seq.Logits
// over the whole hypotheses gives the same bits. It fails when there is no
// room for another position, or an id is none of the model's (ErrBatch).
func (d *Decoding) Next(dst []float32, ids []int32) error { return d.next(dst, ids) }

// Reorder lets hypothesis i go on from where hypothesis parents[i], of the same source, is. A source is done when no
// parent belongs to it: the sources after it move up, and every later step is less work. It panics for a parent that is
// out of range or of another source, and for sources with unequal numbers of hypotheses.
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
	encoded := d.m.Encoded
	encoded.Lengths = first(encoded.Lengths, len(sources))
	d.m.be.UploadInts(encoded.Lengths, d.lengths)
}

// Close gives the memory back.
func (d *Decoding) Close() { d.be.Release(d.mark) }
