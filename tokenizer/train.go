package tokenizer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// TrainOptions says how TrainBPE builds a vocabulary.
type TrainOptions struct {
	// VocabSize is the number of ids wanted, the 256 bytes and EndOfTextToken
	// included; text with too few pairs gives fewer.
	VocabSize int
	// MinFrequency is the least count of a pair to be joined; 0 means 2.
	MinFrequency int
	// Progress, if not nil, is called after each merge with the number of
	// tokens made so far and the number wanted.
	Progress func(merges, total int)
}

// Validate checks the ranges of the options.
func (o TrainOptions) Validate() error {
	if o.VocabSize < 257 || o.VocabSize > maxVocab {
		return fmt.Errorf("tokenizer: vocabulary size %d is not between 257 (the bytes and %s) and %d", o.VocabSize, EndOfTextToken, maxVocab)
	}
	if o.MinFrequency < 0 {
		return fmt.Errorf("tokenizer: minimum frequency %d is negative", o.MinFrequency)
	}
	return nil
}

// TrainBPE builds a byte-level BPE from the text of r. It counts GPT-2's words,
// then joins the most frequent pair of neighbours within words, again and
// again. Among equally frequent pairs, the one with the lower left id, then the
// lower right id, comes first. The ids are the 256 bytes in GPT-2's order, the
// joined tokens, and EndOfTextToken. The result depends only on the text and
// the options. Memory is proportional to the number of distinct words.
func TrainBPE(ctx context.Context, r io.Reader, o TrainOptions) (*BPE, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.MinFrequency == 0 {
		o.MinFrequency = 2
	}
	t := newTrainer()
	if err := t.count(ctx, r); err != nil {
		return nil, err
	}
	if len(t.words) == 0 {
		return nil, errors.New("tokenizer: the text is empty: there is nothing to learn a vocabulary from")
	}
	t.countPairs()
	total := o.VocabSize - 257
	for len(t.tokens)-256 < total {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("tokenizer: learning merges: %w", err)
		}
		p := t.mostFrequent()
		if p == nil || p.count < int64(o.MinFrequency) {
			break
		}
		t.join(p)
		if o.Progress != nil {
			o.Progress(len(t.tokens)-256, total)
		}
	}
	return t.result()
}

type trainer struct {
	tokens []string         // spelt, by id
	ids    map[string]int32 // of tokens
	merges [][2]string
	words  []trainWord
	pairs  map[uint64]*trainPair
	queue  heap[queued]
	bytes  [256]int32
}

// trainWord is a distinct word of the text with its current tokens.
type trainWord struct {
	ids   []int32
	count int64 // in the text
}

// trainPair is a pair of neighbours. words has every word with the pair, and
// perhaps some that no longer have it.
type trainPair struct {
	key     uint64
	count   int64 // in the text
	words   []int32
	touched bool // its count grew in the current merge
}

// queued is a pair with its count when it was queued. Except during a merge,
// its current count is not larger.
type queued struct {
	count int64
	p     *trainPair
}

func newTrainer() *trainer {
	t := &trainer{ids: map[string]int32{}, pairs: map[uint64]*trainPair{}}
	t.queue.less = func(a, b queued) bool {
		if a.count != b.count {
			return a.count > b.count
		}
		return a.p.key < b.p.key
	}
	letters := slices.Clone(alphabet[:])
	slices.Sort(letters)
	for _, r := range letters {
		t.bytes[unalphabet[r]] = t.add(string(r))
	}
	return t
}

// add returns the id of a token: a new id, unless another pair already made the
// same bytes.
func (t *trainer) add(token string) int32 {
	id, ok := t.ids[token]
	if !ok {
		id = int32(len(t.tokens))
		t.ids[token] = id
		t.tokens = append(t.tokens, token)
	}
	return id
}

// count collects the distinct words of r.
func (t *trainer) count(ctx context.Context, r io.Reader) error {
	scan := newScanner()
	index := map[string]int32{}
	see := func(word []byte) error {
		i, ok := index[string(word)]
		if !ok {
			i = int32(len(t.words))
			index[string(word)] = i
			ids := make([]int32, len(word))
			for k, c := range word {
				ids[k] = t.bytes[c]
			}
			t.words = append(t.words, trainWord{ids: ids})
		}
		t.words[i].count++
		return nil
	}
	return stream(r, func(text []byte, final bool) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("tokenizer: counting words: %w", err)
		}
		return words(scan, text, final, see)
	})
}

func (t *trainer) countPairs() {
	for w, word := range t.words {
		for i := 1; i < len(word.ids); i++ {
			t.grow(pairKey(word.ids[i-1], word.ids[i]), int32(w))
		}
	}
	for _, p := range t.pairs {
		t.queue.push(queued{p.count, p})
	}
}

// grow counts one more occurrence of a pair in word w.
func (t *trainer) grow(key uint64, w int32) *trainPair {
	p := t.pairs[key]
	if p == nil {
		p = &trainPair{key: key}
		t.pairs[key] = p
	}
	p.count += t.words[w].count
	if n := len(p.words); n == 0 || p.words[n-1] != w {
		p.words = append(p.words, w)
	}
	return p
}

// mostFrequent removes the next pair to join from the queue and returns it, or
// nil.
func (t *trainer) mostFrequent() *trainPair {
	for len(t.queue.items) > 0 {
		top := t.queue.pop()
		if top.count == top.p.count {
			return top.p
		}
		if top.p.count > 0 {
			t.queue.push(queued{top.p.count, top.p})
		}
	}
	return nil
}

// join makes a token of the pair p and replaces every occurrence of p by it.
func (t *trainer) join(p *trainPair) {
	left, right := int32(p.key>>32), int32(uint32(p.key))
	m := [2]string{t.tokens[left], t.tokens[right]}
	t.merges = append(t.merges, m)
	id := t.add(m[0] + m[1])
	var touched []*trainPair
	grow := func(a, b, w int32) {
		if q := t.grow(pairKey(a, b), w); !q.touched {
			q.touched = true
			touched = append(touched, q)
		}
	}
	shrink := func(a, b, w int32) {
		if q := t.pairs[pairKey(a, b)]; q != nil {
			q.count -= t.words[w].count
		}
	}
	for _, w := range p.words {
		ids := t.words[w].ids
		n := 0
		for i := 0; i < len(ids); i++ {
			if ids[i] != left || i+1 == len(ids) || ids[i+1] != right {
				ids[n] = ids[i]
				n++
				continue
			}
			if n > 0 {
				shrink(ids[n-1], left, w)
				grow(ids[n-1], id, w)
			}
			i++
			if i+1 < len(ids) {
				shrink(right, ids[i+1], w)
				grow(id, ids[i+1], w)
			}
			ids[n] = id
			n++
		}
		t.words[w].ids = ids[:n]
	}
	p.count, p.words = 0, nil
	delete(t.pairs, p.key)
	for _, q := range touched {
		q.touched = false
		if q.count > 0 {
			t.queue.push(queued{q.count, q})
		}
	}
}

func (t *trainer) result() (*BPE, error) {
	end := AddedToken{ID: int32(len(t.tokens)), Content: EndOfTextToken, Special: true}
	b, err := newBPE(t.ids, []AddedToken{end}, t.merges)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return b, nil
}
