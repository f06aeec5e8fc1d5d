package tokenizer

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
)

// EndOfTextToken is the spelling of GPT-2's special token between documents.
const EndOfTextToken = "<|endoftext|>"

// MaxWord is the longest run without a word boundary, in bytes, that BPE
// encodes. With it EncodeStream needs at most about half a GiB; ordinary text
// needs about 2 MiB.
const MaxWord = 16 << 20

// BPE is the byte-level byte pair encoding of GPT-2 (Radford et al. 2019,
// "Language Models are Unsupervised Multitask Learners", section 2.2, after
// Sennrich et al. 2016, arXiv 1508.07909). Text is split into words. A word
// starts as single bytes; then, again and again, the pair of neighbours that is
// earliest in the list of merges is joined (the leftmost, if there are several),
// until no pair is in the list. Any bytes can be encoded, and Decode returns
// them exactly.
//
// Characters are classed as letters and numbers by the Unicode version of the Go
// release (unicode.Version); characters that a later version adds count as
// other.
type BPE struct {
	text   []byte       // the bytes of all tokens, one after the other
	ends   []int        // ends[id] is the end of token id in text
	added  []AddedToken // by id
	passes [2]pass      // of the added tokens, by Normalized
	raw    bool         // special tokens are not matched
	roles  roles
	kept   kept
	bytes  [256]int32
	merges []merge // by rank
	ranks  pairTable
	scan   scanner
	pool   *sync.Pool // of *scratch
}

// merge joins the tokens left and right to the token id.
type merge struct{ left, right, id int32 }

// newBPE checks and assembles a BPE. vocab holds the ids of the spelt tokens,
// added the tokens that are matched in text; together they must have the ids
// 0..n-1. An added token that bytes or merges also make stays in the vocabulary
// too. merges are pairs of spelt tokens in the order of their rank. Errors wrap
// ErrFormat.
func newBPE(vocab map[string]int32, added []AddedToken, merges [][2]string) (*BPE, error) {
	if err := checkAdded(vocab, added); err != nil {
		return nil, err
	}
	literal := map[string]bool{} // added tokens that are not made of bytes: their text is their spelling
	n := len(vocab)
	for _, t := range added {
		literal[t.Content] = true
		if _, ok := vocab[t.Content]; !ok {
			n++
		}
	}
	for _, m := range merges {
		delete(literal, m[0])
		delete(literal, m[1])
		delete(literal, m[0]+m[1])
	}
	for _, r := range alphabet {
		delete(literal, string(r))
	}
	if n > maxVocab {
		return nil, fmt.Errorf("%w: %d tokens, at most %d are supported", ErrFormat, n, maxVocab)
	}
	names := make([]string, n)
	taken := make([]bool, n)
	put := func(s string, id int32) error {
		if id < 0 || int(id) >= n {
			return fmt.Errorf("%w: token %.80q has id %d, but %d tokens must have the ids 0 to %d without holes", ErrFormat, s, id, n, n-1)
		}
		if taken[id] && names[id] != s {
			return fmt.Errorf("%w: tokens %.80q and %.80q both have id %d", ErrFormat, min(s, names[id]), max(s, names[id]), id)
		}
		names[id], taken[id] = s, true
		return nil
	}
	for s, id := range vocab {
		if err := put(s, id); err != nil {
			return nil, err
		}
	}
	for _, t := range added {
		if err := put(t.Content, t.ID); err != nil {
			return nil, err
		}
	}
	b := &BPE{ends: make([]int, n), scan: newScanner(), pool: &sync.Pool{}}
	for id, s := range names {
		ok := true
		if literal[s] {
			b.text = append(b.text, s...)
		} else if b.text, ok = appendUnspelt(b.text, s); !ok || s == "" {
			return nil, fmt.Errorf("%w: token %.80q (id %d) is not spelt in GPT-2's byte alphabet", ErrFormat, s, id)
		}
		b.ends[id] = len(b.text)
	}
	b.added = slices.SortedFunc(slices.Values(added), func(x, y AddedToken) int { return cmp.Compare(x.ID, y.ID) })
	b.passes = [2]pass{newPass(b.added, false), newPass(b.added, true)}
	b.roles = defaultRoles(b.added)
	for c, r := range alphabet {
		id, ok := vocab[string(r)]
		if !ok {
			return nil, fmt.Errorf("%w: the vocabulary lacks the token %.80q of the byte 0x%02x", ErrFormat, string(r), c)
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
			return fmt.Errorf("%w: merge %d, %.80q and %.80q, names a token that is not in the vocabulary, or makes one", ErrFormat, i+1, m[0], m[1])
		}
		if b.ranks.get(left, right) != noRank {
			return fmt.Errorf("%w: merge %d, %.80q and %.80q, occurs twice", ErrFormat, i+1, m[0], m[1])
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

// EndOfText returns the id of the token that ends a text, and whether the
// vocabulary has one. It is the eos_token of tokenizer_config.json, or else
// EndOfTextToken.
func (b *BPE) EndOfText() (int32, bool) {
	id := b.roles[eos]
	return id, id >= 0
}

// Added returns the added tokens, by id.
func (b *BPE) Added() []AddedToken { return slices.Clone(b.added) }

// Spelling returns the spelling of token id in files: in GPT-2's byte alphabet,
// or literally for an added token. special reports an added token.
func (b *BPE) Spelling(id int32) (name string, special bool) {
	i, ok := slices.BinarySearchFunc(b.added, id, func(t AddedToken, id int32) int { return cmp.Compare(t.ID, id) })
	if ok {
		return b.added[i].Content, true
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
// space. Added tokens are matched by their spelling. The only error is
// ErrLongWord.
func (b *BPE) Encode(text []byte) ([]int32, error) {
	c := b.cutter()
	defer c.close()
	c.ids = make([]int32, 0, len(text)/3+1)
	if _, err := c.cut(0, text, true); err != nil {
		return nil, err
	}
	return c.ids, nil
}

// EncodeStream encodes r as Encode does. Its memory depends only on the longest
// word.
func (b *BPE) EncodeStream(r io.Reader, emit func(ids []int32) error) error {
	c := b.cutter()
	defer c.close()
	return stream(r, func(text []byte, final bool) (int, error) {
		c.ids = c.ids[:0]
		n, err := c.cut(0, text, final)
		if err == nil && n == 0 && len(text) > MaxWord+chunk { // white space that an added token may still match
			err = longWord(text)
		}
		if err == nil && len(c.ids) > 0 {
			err = emit(c.ids)
		}
		return n, err
	})
}

// cutter returns a cutter for one text, from a pool; close returns it there.
func (b *BPE) cutter() *cutter {
	s, _ := b.pool.Get().(*scratch)
	if s == nil {
		s = newScratch()
	}
	return &cutter{b: b, s: s}
}

func (c *cutter) close() { c.b.pool.Put(c.s) }

// Decode returns the text of ids, with the spelling of special tokens.
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
