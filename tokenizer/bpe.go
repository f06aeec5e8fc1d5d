package tokenizer

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
)

// EndOfTextToken is the spelling of GPT-2's special token between documents.
const EndOfTextToken = "<|endoftext|>"

// MaxWord is the length in bytes of the longest run without a word boundary
// that BPE encodes. It bounds the memory of EncodeStream to about half a GiB
// in the worst case; ordinary text needs about 2 MiB.
const MaxWord = 16 << 20

// BPE is the byte-level byte pair encoding of GPT-2 (Radford et al. 2019,
// "Language Models are Unsupervised Multitask Learners", section 2.2, after
// Sennrich et al. 2016, arXiv 1508.07909). Text is cut into words; within each,
// starting from single bytes, the neighbours that come first in the list of
// merges are joined, the leftmost first, until no pair in the list is left.
// Every sequence of bytes can be encoded, and Decode gives it back exactly.
//
// Characters are classed as letters and numbers by the Unicode version of the
// Go release (unicode.Version); those that a later version adds count as other.
type BPE struct {
	text    []byte  // the bytes of all tokens, one after the other
	ends    []int   // ends[id] is the end of token id in text
	special []int32 // ids in ascending order
	eot     int32   // id of EndOfTextToken or -1
	bytes   [256]int32
	merges  []merge // by rank
	ranks   pairTable
	scan    scanner
	pool    sync.Pool // of *scratch
}

// merge joins the tokens left and right to the token id.
type merge struct{ left, right, id int32 }

// newBPE checks and assembles a BPE. vocab holds the ids of the spelt tokens,
// special those of further tokens, whose spelling is their text; together they
// must be 0..n-1. merges are pairs of spelt tokens in the order of their rank.
// Errors wrap ErrFormat.
func newBPE(vocab, special map[string]int32, merges [][2]string) (*BPE, error) {
	n := len(vocab) + len(special)
	if n > maxVocab {
		return nil, fmt.Errorf("%w: %d tokens, at most %d are supported", ErrFormat, n, maxVocab)
	}
	names := make([]string, n)
	taken := make([]bool, n)
	for _, m := range []map[string]int32{vocab, special} {
		for s, id := range m {
			if id < 0 || int(id) >= n {
				return nil, fmt.Errorf("%w: token %q has id %d, but %d tokens must have the ids 0 to %d without holes", ErrFormat, s, id, n, n-1)
			}
			if taken[id] {
				return nil, fmt.Errorf("%w: tokens %q and %q both have id %d", ErrFormat, min(s, names[id]), max(s, names[id]), id)
			}
			names[id], taken[id] = s, true
		}
	}
	b := &BPE{ends: make([]int, n), eot: -1, scan: newScanner()}
	for id, s := range names {
		if _, ok := special[s]; ok {
			b.text = append(b.text, s...)
			b.special = append(b.special, int32(id))
		} else if b.text, ok = appendUnspelt(b.text, s); !ok || s == "" {
			return nil, fmt.Errorf("%w: token %q (id %d) is not spelt in GPT-2's byte alphabet", ErrFormat, s, id)
		}
		b.ends[id] = len(b.text)
		if s == EndOfTextToken {
			b.eot = int32(id)
		}
	}
	for c, r := range alphabet {
		id, ok := vocab[string(r)]
		if !ok {
			return nil, fmt.Errorf("%w: the vocabulary lacks the token %q of the byte 0x%02x", ErrFormat, string(r), c)
		}
		b.bytes[c] = id
	}
	if err := b.setMerges(vocab, merges); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *BPE) setMerges(vocab map[string]int32, merges [][2]string) error {
	if len(merges) > 2*maxVocab {
		return fmt.Errorf("%w: %d merges, at most %d are supported", ErrFormat, len(merges), 2*maxVocab)
	}
	b.merges = make([]merge, len(merges))
	b.ranks = newPairTable(len(merges))
	for i, m := range merges {
		left, ok1 := vocab[m[0]]
		right, ok2 := vocab[m[1]]
		id, ok3 := vocab[m[0]+m[1]]
		if !ok1 || !ok2 || !ok3 {
			return fmt.Errorf("%w: merge %d, %q and %q, names a token that is not in the vocabulary, or makes one", ErrFormat, i+1, m[0], m[1])
		}
		if b.ranks.get(left, right) != noRank {
			return fmt.Errorf("%w: merge %d, %q and %q, occurs twice", ErrFormat, i+1, m[0], m[1])
		}
		b.merges[i] = merge{left, right, id}
		b.ranks.put(left, right, int32(i))
	}
	return nil
}

// Kind returns "bpe".
func (b *BPE) Kind() string { return "bpe" }

// VocabSize returns the number of tokens, special ones included.
func (b *BPE) VocabSize() int { return len(b.ends) }

// EndOfText returns the id of EndOfTextToken, and whether the vocabulary has
// one.
func (b *BPE) EndOfText() (int32, bool) { return b.eot, b.eot >= 0 }

// Spelling returns how files name token id: in GPT-2's byte alphabet, or, of a
// special token, its text.
func (b *BPE) Spelling(id int32) (name string, special bool) {
	if _, special = slices.BinarySearch(b.special, id); special {
		return string(b.token(id)), true
	}
	return spell(b.token(id)), false
}

// Merges yields the spellings of the two tokens of each merge, by rank.
func (b *BPE) Merges() iter.Seq2[string, string] {
	return func(yield func(left, right string) bool) {
		for _, m := range b.merges {
			left, _ := b.Spelling(m.left)
			right, _ := b.Spelling(m.right)
			if !yield(left, right) {
				return
			}
		}
	}
}

// token returns the bytes of token id.
func (b *BPE) token(id int32) []byte {
	start := 0
	if id > 0 {
		start = b.ends[id-1]
	}
	return b.text[start:b.ends[id]]
}

// Encode returns the ids of text, which may hold any bytes; a byte that is not
// part of valid UTF-8 counts as a character that is neither letter, number nor
// space. Its only error is ErrLongWord.
func (b *BPE) Encode(text []byte) ([]int32, error) {
	ids, _, err := b.encode(make([]int32, 0, len(text)/3+1), text, true)
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// EncodeStream encodes r as Encode does. Memory depends on the longest word
// only.
func (b *BPE) EncodeStream(r io.Reader, emit func(ids []int32) error) error {
	var ids []int32
	return stream(r, func(text []byte, final bool) (int, error) {
		var n int
		var err error
		ids, n, err = b.encode(ids[:0], text, final)
		if err == nil && len(ids) > 0 {
			err = emit(ids)
		}
		return n, err
	})
}

// encode appends the ids of the words of text to ids and returns the bytes they
// cover: all, or unless final those of the settled words.
func (b *BPE) encode(ids []int32, text []byte, final bool) ([]int32, int, error) {
	s, _ := b.pool.Get().(*scratch)
	if s == nil {
		s = newScratch()
	}
	defer b.pool.Put(s)
	n, err := b.scan.words(text, final, func(word []byte) {
		ids = b.appendWord(ids, word, s)
	})
	return ids, n, err
}

// Decode returns the text of ids, special tokens as they are spelt.
func (b *BPE) Decode(ids []int32) ([]byte, error) {
	text := make([]byte, 0, 4*len(ids))
	for i, id := range ids {
		if id < 0 || int(id) >= len(b.ends) {
			return nil, idError(id, i, len(b.ends))
		}
		text = append(text, b.token(id)...)
	}
	return text, nil
}
