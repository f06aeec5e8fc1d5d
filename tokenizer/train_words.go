package tokenizer

import (
	"context"
	"hash/maphash"
	"io"
)

// chunked is a list that grows without a copy, so that it takes what it holds.
type chunked[T any] struct {
	parts [][]T
	n     int
}

const (
	chunkBits = 14
	chunkLen  = 1 << chunkBits
)

func (c *chunked[T]) at(i int) *T { return &c.parts[i>>chunkBits][i&(chunkLen-1)] }

func (c *chunked[T]) add(x T) (i int) {
	if c.n == len(c.parts)<<chunkBits {
		c.parts = append(c.parts, make([]T, chunkLen))
	}
	c.n++
	*c.at(c.n - 1) = x
	return c.n - 1
}

// bytes is what c takes with items of a size.
func (c *chunked[T]) bytes(size int64) int64 { return int64(len(c.parts)) * (chunkLen*size + 64) }

// trainWord is a distinct word of the text.
type trainWord struct {
	count         int64  // in the text
	start, length uint32 // of its positions
}

// wordIndex finds words by their bytes: open addressing, at most three quarters full.
type wordIndex struct {
	seed  maphash.Seed
	slots []wordSlot // as many as a power of two
}

// wordSlot is free if its word is 0, for words count from 1.
type wordSlot struct{ hash, word uint32 }

func (x *wordIndex) bytes() int64 { return int64(len(x.slots)) * 8 }

// double makes room for more words.
func (x *wordIndex) double() {
	old := x.slots
	x.slots = make([]wordSlot, max(1024, 2*len(old)))
	for _, s := range old {
		if s.word == 0 {
			continue
		}
		i := int(s.hash) & (len(x.slots) - 1)
		for x.slots[i].word != 0 {
			i = (i + 1) & (len(x.slots) - 1)
		}
		x.slots[i] = s
	}
}

// see counts a word.
func (t *trainer) see(word []byte) error {
	if t.words.n >= len(t.index.slots)/4*3 {
		t.index.double()
	}
	hash := uint32(maphash.Bytes(t.index.seed, word))
	mask := len(t.index.slots) - 1
	i := int(hash) & mask
	for ; t.index.slots[i].word != 0; i = (i + 1) & mask {
		if s := t.index.slots[i]; s.hash == hash {
			if w := t.words.at(int(s.word) - 1); t.is(w, word) {
				w.count++
				return nil
			}
		}
	}
	start := t.at.n
	for _, c := range word {
		t.at.add(t.bytes[c])
	}
	t.at.add(edge)
	w := t.words.add(trainWord{1, uint32(start), uint32(len(word))})
	t.index.slots[i] = wordSlot{hash, uint32(w + 1)}
	return nil
}

// is tells whether w is the word of these bytes.
func (t *trainer) is(w *trainWord, word []byte) bool {
	if int(w.length) != len(word) {
		return false
	}
	for k, c := range word {
		if *t.at.at(int(w.start) + k) != t.bytes[c] {
			return false
		}
	}
	return true
}

// count collects the distinct words of r.
func (t *trainer) count(ctx context.Context, r io.Reader) error {
	scan := newScanner()
	t.index.seed = maphash.MakeSeed()
	t.at.add(edge)
	err := stream(r, func(text []byte, final bool) (int, error) {
		t.held = int64(len(text)) * 4 // with the next doubling of the buffer
		if err := t.check(ctx, "counting words"); err != nil {
			return 0, err
		}
		return words(scan, text, final, t.see)
	})
	t.held += t.index.bytes() // until the memory is given back
	t.index = wordIndex{}
	return err
}
