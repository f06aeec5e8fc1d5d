package tokenizer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
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
	// Fits, if not nil, reports whether so many bytes of memory in all may be taken to learn. Else learning ends with
	// ErrMemory.
	Fits func(bytes int64) bool
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
// the options. Memory is proportional to the bytes of
// distinct words: some 20 to 80 bytes for each.
func TrainBPE(ctx context.Context, r io.Reader, o TrainOptions) (*BPE, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.MinFrequency == 0 {
		o.MinFrequency = 2
	}
	t := newTrainer(o)
	if err := t.count(ctx, r); err != nil {
		return nil, err
	}
	if t.words.n == 0 {
		return nil, errors.New("tokenizer: the text is empty: there is nothing to learn a vocabulary from")
	}
	if err := t.countPairs(ctx); err != nil {
		return nil, err
	}
	total := o.VocabSize - 257
	for len(t.tokens)-256 < total {
		p, ok := t.mostFrequent()
		if !ok {
			break
		}
		if err := t.join(ctx, p); err != nil {
			return nil, err
		}
		if o.Progress != nil {
			o.Progress(len(t.tokens)-256, total)
		}
	}
	return t.result()
}

// A trainer learns merges. The distinct words of the text lie in one array, a position for each byte. A token stands at
// the position of its first byte, and takes as many as it has bytes. So the token after the one at i is at i plus its
// length. Of a token of several bytes, the other positions are negative, and the last one is minus its length: so the
// token before is found too.
type trainer struct {
	o       TrainOptions
	asked   int64            // bytes for which Fits was asked last
	held    int64            // bytes of the buffer of the text, and then of the index of words too
	tokens  []string         // spelt, by id
	lengths []int32          // of tokens, in bytes
	ids     map[string]int32 // of tokens
	spelt   int64            // bytes of tokens
	merges  [][2]string
	bytes   [256]int32 // ids

	at    chunked[int32] // the words; between them, before the first and after the last is edge
	words chunked[trainWord]
	index wordIndex

	pairs   pairIndex
	places  places
	queue   heap[queued]
	touched []int32 // pairs of which the count changed in the current merge
}

// edge stands between words.
const edge = math.MinInt32

func newTrainer(o TrainOptions) *trainer {
	t := &trainer{o: o, ids: map[string]int32{}}
	t.queue.less = func(a, b queued) bool {
		if a.count != b.count {
			return a.count > b.count
		}
		return a.key < b.key
	}
	letters := slices.Clone(alphabet[:])
	slices.Sort(letters)
	for _, r := range letters {
		t.bytes[unalphabet[r]] = t.add(string(r), 1)
	}
	return t
}

// add returns the id of a new token of so many bytes.
func (t *trainer) add(token string, length int32) int32 {
	id := int32(len(t.tokens))
	t.ids[token] = id
	t.tokens, t.lengths = append(t.tokens, token), append(t.lengths, length)
	t.spelt += int64(len(token))
	return id
}

// used is what learning takes with the garbage that it makes, and what the next doubling of a table takes.
func (t *trainer) used() int64 {
	const (
		token   = 512 // with its merge
		copies  = 8   // of the bytes of tokens, until the vocabulary is made
		growing = 3   // the old array and one twice as large
	)
	n := t.held + t.at.bytes(idBytes) + t.words.bytes(wordBytes) + t.index.bytes()*growing
	n += t.pairs.all.bytes(pairBytes) + t.places.all.bytes(placeBytes) + int64(cap(t.pairs.slots))*idBytes*growing
	n += int64(cap(t.queue.items))*queuedBytes*growing + int64(cap(t.touched))*idBytes*growing
	return n + int64(len(t.tokens))*token + t.spelt*copies
}

const (
	idBytes, wordBytes, pairBytes, placeBytes, queuedBytes = 4, 16, 24, 12, 16 // in memory

	askAgain  = 1 << 20 // bytes after which Fits is asked again
	mostItems = 1<<31 - 1<<26
)

// check ends learning that is cancelled, or takes too much memory.
func (t *trainer) check(ctx context.Context, doing string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("tokenizer: %s: %w", doing, err)
	}
	used := t.used()
	fits := t.at.n < mostItems && t.places.all.n < mostItems
	if used >= t.asked+askAgain && t.o.Fits != nil {
		t.asked = used
		fits = fits && t.o.Fits(used)
	}
	if !fits {
		return fmt.Errorf("tokenizer: %s: %w: %d distinct words of %d bytes take %d MiB; learn from less text, or allow more memory",
			doing, ErrMemory, t.words.n, t.at.n-t.words.n-1, used>>20)
	}
	return nil
}

func (t *trainer) result() (*BPE, error) {
	end := AddedToken{ID: int32(len(t.tokens)), Content: EndOfTextToken, Special: true}
	b, err := newBPE(t.ids, []AddedToken{end}, t.merges)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return b, nil
}
