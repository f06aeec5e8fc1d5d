package tokenizer

import (
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// noRank marks a pair that no merge joins.
const noRank = math.MaxInt32

// pairTable maps pairs of ids to ranks: open addressing, at most half full.
type pairTable struct {
	slots []pairSlot
	shift int
}

type pairSlot struct {
	key  uint64
	rank int32
}

// emptyKey marks a free slot. No pair has this key, since ids are not negative.
const emptyKey = math.MaxUint64

func pairKey(left, right int32) uint64 { return uint64(left)<<32 | uint64(right) }

func newPairTable(n int) pairTable {
	log := bits.Len(uint(2*n + 1))
	t := pairTable{make([]pairSlot, 1<<log), 64 - log}
	for i := range t.slots {
		t.slots[i] = pairSlot{emptyKey, noRank}
	}
	return t
}

// find returns the slot of key or the empty one where it belongs.
func (t *pairTable) find(key uint64) *pairSlot {
	i := int(key * 0x9e3779b97f4a7c15 >> t.shift)
	for {
		s := &t.slots[i]
		if s.key == key || s.key == emptyKey {
			return s
		}
		i = (i + 1) & (len(t.slots) - 1)
	}
}

func (t *pairTable) get(left, right int32) int32 { return t.find(pairKey(left, right)).rank }

func (t *pairTable) put(left, right, rank int32) {
	key := pairKey(left, right)
	*t.find(key) = pairSlot{key, rank}
}

// Most words of a text have been seen before, so their ids come from a cache of
// fixed size. A new word replaces the one in its slot. A slot is one cache
// line; words too long for it are merged anew each time.
const (
	cacheSlots = 1 << 15
	cacheWord  = 22
	cacheIDs   = 10
)

type cacheSlot struct {
	len, n uint8 // bytes of word, number of ids
	word   [cacheWord]byte
	ids    [cacheIDs]int32
}

// scratch is the working memory of one encoding; it is reused by later ones.
type scratch struct {
	seed  maphash.Seed
	cache []cacheSlot
	lost  int64   // bytes of text that no token stands for
	ids   []int32 // of the word at hand
	ranks []int32
	nodes []node
	queue heap[uint64]
}

func newScratch() *scratch {
	return &scratch{
		seed:  maphash.MakeSeed(),
		cache: make([]cacheSlot, cacheSlots),
		queue: heap[uint64]{less: func(a, b uint64) bool { return a < b }},
	}
}

// appendWord appends the ids of word to ids.
func (b *BPE) appendWord(ids []int32, word []byte, s *scratch) []int32 {
	if len(word) == 1 {
		if id := b.bytes[word[0]]; id >= 0 {
			return append(ids, id)
		}
	}
	if len(word) > cacheWord {
		return b.appendNew(ids, word, s)
	}
	slot := &s.cache[maphash.Bytes(s.seed, word)%cacheSlots]
	if string(slot.word[:slot.len]) == string(word) {
		return append(ids, slot.ids[:slot.n]...)
	}
	start, lost := len(ids), s.lost
	ids = b.appendNew(ids, word, s)
	if n := len(ids) - start; n <= cacheIDs && s.lost == lost {
		slot.len, slot.n = uint8(copy(slot.word[:], word)), uint8(n)
		copy(slot.ids[:], ids[start:])
	}
	return ids
}

// appendNew appends the ids of a word that is not in the cache.
func (b *BPE) appendNew(ids []int32, word []byte, s *scratch) []int32 {
	if b.ignoreMerges {
		if id, ok := b.index.find(b, word); ok {
			return append(ids, id)
		}
	}
	s.ids = b.appendUnits(s.ids[:0], word, s)
	if len(s.ids) > longWordLen {
		return b.mergeLong(ids, s)
	}
	return b.mergeShort(ids, s)
}

// appendUnits appends the tokens that word starts as: of its bytes or its characters. Text without a token becomes the
// tokens of its bytes or the unknown token, or it is left out, as in Hugging Face's library.
func (b *BPE) appendUnits(ids []int32, word []byte, s *scratch) []int32 {
	if b.whole {
		for _, c := range word {
			ids = append(ids, b.bytes[c])
		}
		return ids
	}
	pending := false // an unknown token; others join it
	for len(word) > 0 {
		n := 1
		if b.chars && word[0] >= utf8.RuneSelf {
			_, n = utf8.DecodeRune(word)
		}
		char := word[:n]
		word = word[n:]
		var id int32
		ok := true
		if id = b.bytes[char[0]]; id < 0 {
			id, ok = -1, false
			if b.chars && n > 1 {
				id, ok = b.index.find(b, char)
			}
		}
		switch {
		case ok && pending:
			ids = append(ids, b.unknown)
			pending = false
			fallthrough
		case ok:
			ids = append(ids, id)
		case b.hasSpare(char):
			for _, c := range char {
				ids = append(ids, b.spare[c])
			}
		default:
			s.lost += int64(n)
			if pending && !b.fuse {
				ids = append(ids, b.unknown)
			}
			pending = b.unknown >= 0
		}
	}
	if pending {
		ids = append(ids, b.unknown)
	}
	return ids
}

// hasSpare reports whether every byte of char has a token for characters without one.
func (b *BPE) hasSpare(char []byte) bool {
	if b.spare == nil {
		return false
	}
	for _, c := range char {
		if b.spare[c] < 0 {
			return false
		}
	}
	return true
}

// longWordLen is the length, in units, from which mergeLong is faster than
// mergeShort.
const longWordLen = 96

// mergeShort merges the units in s.ids by searching all pairs for the lowest
// rank, again after each merge.
func (b *BPE) mergeShort(dst []int32, s *scratch) []int32 {
	ids, ranks := s.ids, s.ranks[:0]
	for i := 1; i < len(ids); i++ {
		ranks = append(ranks, b.ranks.get(ids[i-1], ids[i]))
	}
	s.ranks = ranks
	for {
		at, low := 0, int32(noRank)
		for i, r := range ranks {
			if r < low {
				at, low = i, r
			}
		}
		if low == noRank {
			return append(dst, ids...)
		}
		ids[at] = b.merges[low].id
		ids = append(ids[:at+1], ids[at+2:]...)
		ranks = append(ranks[:at], ranks[at+1:]...)
		if at > 0 {
			ranks[at-1] = b.ranks.get(ids[at-1], ids[at])
		}
		if at < len(ranks) {
			ranks[at] = b.ranks.get(ids[at], ids[at+1])
		}
	}
}

// node is one token of a long word in a doubly linked list; next and prev are
// indices, -1 at the ends. After a node is joined to the previous one, its id
// is -1.
type node struct{ id, prev, next int32 }

// mergeLong does the same as mergeShort in O(n log n): a heap holds rank<<32 |
// position of every pair that ever arose. Pairs that no longer exist are
// skipped when they come up.
func (b *BPE) mergeLong(dst []int32, s *scratch) []int32 {
	nodes := slices.Grow(s.nodes[:0], len(s.ids))
	s.queue.items = slices.Grow(s.queue.items[:0], len(s.ids))
	offer := func(at int32) {
		if r := b.ranks.get(nodes[at].id, nodes[nodes[at].next].id); r != noRank {
			s.queue.push(uint64(r)<<32 | uint64(at))
		}
	}
	for i, id := range s.ids {
		nodes = append(nodes, node{id, int32(i) - 1, int32(i) + 1})
	}
	nodes[len(nodes)-1].next = -1
	for i := range nodes[1:] {
		offer(int32(i))
	}
	for len(s.queue.items) > 0 {
		top := s.queue.pop()
		m, at := b.merges[top>>32], int32(uint32(top))
		l := &nodes[at]
		if l.id != m.left || l.next < 0 || nodes[l.next].id != m.right {
			continue
		}
		r := &nodes[l.next]
		l.id, l.next, r.id = m.id, r.next, -1
		if l.next >= 0 {
			nodes[l.next].prev = at
			offer(at)
		}
		if l.prev >= 0 {
			offer(l.prev)
		}
	}
	for at := int32(0); at >= 0; at = nodes[at].next {
		dst = append(dst, nodes[at].id)
	}
	s.nodes = nodes
	if len(s.ids) > chunk {
		s.ids, s.nodes, s.queue.items = nil, nil, nil // rare: do not hold on to it
	}
	return dst
}

// heap is a binary heap with the least item on top.
type heap[T any] struct {
	items []T
	less  func(a, b T) bool
}

func (h *heap[T]) push(x T) {
	h.items = append(h.items, x)
	i := len(h.items) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !h.less(x, h.items[up]) {
			break
		}
		h.items[i] = h.items[up]
		i = up
	}
	h.items[i] = x
}

// pop removes and returns the least item of a heap that is not empty.
func (h *heap[T]) pop() T {
	top := h.items[0]
	n := len(h.items) - 1
	x := h.items[n]
	h.items = h.items[:n]
	i := 0
	for {
		down := 2*i + 1
		if down >= n {
			break
		}
		if down+1 < n && h.less(h.items[down+1], h.items[down]) {
			down++
		}
		if !h.less(h.items[down], x) {
			break
		}
		h.items[i] = h.items[down]
		i = down
	}
	if n > 0 {
		h.items[i] = x
	}
	return top
}
