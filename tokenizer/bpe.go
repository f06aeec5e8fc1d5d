package tokenizer

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// EndOfTextToken is the spelling of GPT-2's special token between documents.
const EndOfTextToken = "<|endoftext|>"

// MaxWord is the longest run without a word boundary, in bytes, that BPE
// encodes. With it EncodeStream needs at most about half a GiB; ordinary text
// needs about 3 MiB.
const MaxWord = 16 << 20

// BPE is a byte pair encoding: GPT-2's byte-level one (Radford et al. 2019,
// "Language Models are Unsupervised Multitask Learners", section 2.2, after
// Sennrich et al. 2016, arXiv 1508.07909), or one of a later model. Text is split
// into words. A word starts as single bytes (as characters in a vocabulary that
// is not byte-level); then, again and again, the pair of neighbours that is
// earliest in the list of merges is joined (the leftmost, if there are several),
// until no pair is in the list. GPT-2's encodes any bytes, and Decode returns
// them exactly. A later one does so if its vocabulary has all bytes and its
// normalizer keeps the text: see Lost.
//
// Characters are classed as letters and numbers by the Unicode version of the Go
// release (unicode.Version); characters that a later version adds count as
// other.
type BPE struct {
	text   []byte           // the bytes of all tokens, one after the other
	ends   []int            // ends[id] is the end of token id in text
	odd    map[int32]string // spellings that are not of the byte alphabet, of a byte-level vocabulary
	added  []AddedToken     // by id
	passes [2]pass          // of the added tokens, by Normalized
	raw    bool             // special tokens are not matched
	roles  roles
	kept   kept
	bytes  [256]int32 // tokens of single bytes, or -1; of a vocabulary of characters: of ASCII
	whole  bool       // every byte has a token
	merges []merge    // by rank
	ranks  pairTable
	flags
	unknown int32       // stands for text without a token, or -1
	spare   *[256]int32 // tokens of the bytes of characters without a token, or -1; nil: there are none
	index   index       // of the vocabulary's tokens; empty for GPT-2's
	pipe    pipeline
	pool    *sync.Pool // of *cutter
	lost    *atomic.Int64
}

// flags say how a vocabulary is used.
type flags struct {
	chars        bool // its tokens are made of characters, not of bytes
	ignoreMerges bool // a word that is a token is this token, whatever the merges
	fuse         bool // several unknown characters are one token
}

// merge joins the tokens left and right to the token id.
type merge struct{ left, right, id int32 }

// spec is what a BPE is made of.
type spec struct {
	vocab  map[string]int32 // ids of the spelt tokens
	added  []AddedToken     // tokens that are matched in text
	merges [][2]string      // pairs of spelt tokens in the order of their rank
	flags
	unknown  string // spelling of the token of unknown text; empty: it is left out
	fallback bool   // characters without a token become their bytes
	pipe     pipeline
}

// newBPE checks and assembles GPT-2's BPE of these tokens, among which are all bytes.
func newBPE(vocab map[string]int32, added []AddedToken, merges [][2]string) (*BPE, error) {
	b, err := spec{vocab: vocab, added: added, merges: merges, pipe: gpt2Pipeline()}.make()
	if err == nil && !b.whole {
		c := slices.Index(b.bytes[:], -1)
		return nil, fmt.Errorf("%w: the vocabulary lacks the token %.80q of the byte 0x%02x", ErrFormat, string(alphabet[c]), c)
	}
	return b, err
}

// make checks and assembles a BPE. The tokens of s.vocab and s.added together must
// have the ids 0..n-1. An added token that bytes or merges also make stays in the
// vocabulary too. Errors wrap ErrFormat.
func (s spec) make() (*BPE, error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	b := &BPE{ends: make([]int, len(names)), odd: map[int32]string{}, flags: s.flags, unknown: -1, pipe: s.pipe, pool: &sync.Pool{}}
	literal := s.literal()
	for id, name := range names {
		if s.chars && name == "" {
			return nil, fmt.Errorf("%w: the token with id %d is empty", ErrFormat, id)
		}
		spelt, ok := b.text, false
		if !s.chars && !literal[name] {
			if spelt, ok = appendUnspelt(b.text, name); name == "" || !ok && s.pipe.gpt2 {
				return nil, fmt.Errorf("%w: token %.80q (id %d) is not spelt in GPT-2's byte alphabet", ErrFormat, name, id)
			}
			if !ok {
				b.odd[int32(id)] = name
			}
		}
		if !ok {
			spelt = append(b.text, name...)
		}
		b.text = spelt
		b.ends[id] = len(b.text)
	}
	b.added = slices.SortedFunc(slices.Values(s.added), func(x, y AddedToken) int { return cmp.Compare(x.ID, y.ID) })
	b.passes = [2]pass{newPass(b.added, false, nil), newPass(b.added, true, b.pipe.normalForm)}
	b.roles = defaultRoles(b.added)
	if err := b.setUnits(s); err != nil {
		return nil, err
	}
	if err := b.setMerges(s.vocab, s.merges); err != nil {
		return nil, err
	}
	if b.chars {
		if cut, ok := newMarkWords(b); ok {
			b.pipe.words = append(slices.Clip(b.pipe.words), cut)
		}
	}
	return b, nil
}

// start returns the start of token id.
func start(ends []int, id int) int {
	if id == 0 {
		return 0
	}
	return ends[id-1]
}

// names returns the spellings by id.
func (s spec) names() ([]string, error) {
	if err := checkAdded(s.vocab, s.added); err != nil {
		return nil, err
	}
	n := len(s.vocab)
	for _, t := range s.added {
		if _, ok := s.vocab[t.Content]; !ok {
			n++
		}
	}
	if n > maxVocab {
		return nil, fmt.Errorf("%w: %d tokens, at most %d are supported", ErrFormat, n, maxVocab)
	}
	names := make([]string, n)
	taken := make([]bool, n)
	put := func(name string, id int32) error {
		if id < 0 || int(id) >= n {
			return fmt.Errorf("%w: token %.80q has id %d, but %d tokens must have the ids 0 to %d without holes", ErrFormat, name, id, n, n-1)
		}
		if taken[id] && names[id] != name {
			return fmt.Errorf("%w: tokens %.80q and %.80q both have id %d", ErrFormat, min(name, names[id]), max(name, names[id]), id)
		}
		names[id], taken[id] = name, true
		return nil
	}
	for name, id := range s.vocab {
		if err := put(name, id); err != nil {
			return nil, err
		}
	}
	for _, t := range s.added {
		if err := put(t.Content, t.ID); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// literal returns the added tokens that are not made of bytes: their text is their spelling.
func (s spec) literal() map[string]bool {
	literal := map[string]bool{}
	for _, t := range s.added {
		literal[t.Content] = true
	}
	for _, m := range s.merges {
		delete(literal, m[0])
		delete(literal, m[1])
		delete(literal, m[0]+m[1])
	}
	for _, r := range alphabet {
		delete(literal, string(r))
	}
	return literal
}

// setUnits finds the tokens that words start as.
func (b *BPE) setUnits(s spec) error {
	for c, r := range alphabet {
		name := string(r)
		if b.chars {
			name = ""
			if c < utf8.RuneSelf {
				name = string(rune(c))
			}
		}
		id, ok := s.vocab[name]
		if !ok {
			id = -1
		}
		b.bytes[c] = id
	}
	b.whole = !slices.Contains(b.bytes[:], -1)
	if s.unknown != "" {
		id, ok := s.vocab[s.unknown]
		if !ok && !b.whole {
			return fmt.Errorf("%w: unk_token is %.80q, and the vocabulary does not have it", ErrFormat, s.unknown)
		}
		if ok {
			b.unknown = id
		}
	}
	if s.fallback {
		b.spare = new([256]int32)
		for c := range b.spare {
			b.spare[c] = -1
			if id, ok := s.vocab[fmt.Sprintf("<0x%02X>", c)]; ok {
				b.spare[c] = id
			}
		}
	}
	if b.chars || b.ignoreMerges {
		ids := maps.Clone(s.vocab)
		for _, t := range b.added {
			if t.Special { // no text becomes one of them, except as an added token
				delete(ids, t.Content)
			}
		}
		b.index = newIndex(b, slices.Collect(maps.Values(ids)))
	}
	return nil
}

// character returns the token of one character of a vocabulary of characters.
func (b *BPE) character(char []byte) (int32, bool) {
	if len(char) == 1 {
		id := b.bytes[char[0]]
		return id, id >= 0
	}
	return b.index.find(b, char)
}

// stands reports whether token id stands for text that has no token of its own.
func (b *BPE) stands(id int32) bool {
	return id == b.unknown || b.spare != nil && slices.Contains(b.spare[:], id)
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

// ByteLevel reports a vocabulary of bytes, spelt in GPT-2's alphabet. Another is one of characters, as SentencePiece's.
func (b *BPE) ByteLevel() bool { return !b.chars }

// Words returns the regular expressions that cut a text into words, one after the other; none for text that is merged
// as a whole. For example, SmolLM's are \p{N}, and then GPT-2's.
func (b *BPE) Words() (list []string) {
	for _, s := range b.pipe.words {
		switch s := s.(type) {
		case digits:
			list = append(list, s.regex())
		case splitStep:
			if s.regex != "" {
				list = append(list, s.regex)
			}
		}
	}
	return list
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
// or literally for an added token and in a vocabulary of characters. special
// reports an added token.
func (b *BPE) Spelling(id int32) (name string, special bool) {
	if t, ok := b.addedToken(id); ok {
		return t.Content, true
	}
	if name, ok := b.odd[id]; ok {
		return name, false
	}
	if b.chars {
		return string(b.token(id)), false
	}
	return spell(b.token(id)), false
}

// addedToken returns the added token with this id.
func (b *BPE) addedToken(id int32) (AddedToken, bool) {
	i, ok := slices.BinarySearchFunc(b.added, id, func(t AddedToken, id int32) int { return cmp.Compare(t.ID, id) })
	if !ok {
		return AddedToken{}, false
	}
	return b.added[i], true
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
func (b *BPE) token(id int32) []byte { return b.text[start(b.ends, int(id)):b.ends[id]] }

// Encode returns the ids of text, which may hold any bytes; a byte that is not
// part of valid UTF-8 counts as a character that is neither letter, number nor
// space. Added tokens are matched by their spelling. The tokens that Around
// returns are not added. The errors are ErrLongWord and BeyondError.
func (b *BPE) Encode(text []byte) (ids []int32, err error) {
	c := b.cutter()
	defer func() { c.close(err) }()
	c.ids = make([]int32, 0, len(text)/3+1)
	if _, err := c.first.take(text, true); err != nil {
		return nil, err
	}
	return c.ids, nil
}

// EncodeStream encodes r as Encode does. Its memory depends only on the longest
// word.
func (b *BPE) EncodeStream(r io.Reader, emit func(ids []int32) error) (err error) {
	c := b.cutter()
	defer func() { c.close(err) }()
	return stream(r, func(text []byte, final bool) (int, error) {
		c.ids = c.ids[:0]
		n, err := c.first.take(text, final)
		if err == nil && n == 0 && len(text) > MaxWord+chunk { // white space that an added token may still match
			err = longWord(text)
		}
		if err == nil && len(c.ids) > 0 {
			err = emit(c.ids)
		}
		return n, err
	})
}
