package tokenizer

import (
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
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
	cacheSlots = 1 << 14
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
	ids   []int32
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
	switch {
	case len(word) == 1:
		return append(ids, b.bytes[word[0]])
	case len(word) > longWordLen:
		return b.mergeLong(ids, word, s)
	case len(word) > cacheWord:
		return b.mergeShort(ids, word, s)
	}
	slot := &s.cache[maphash.Bytes(s.seed, word)%cacheSlots]
	if string(slot.word[:slot.len]) == string(word) {
		return append(ids, slot.ids[:slot.n]...)
	}
	start := len(ids)
	ids = b.mergeShort(ids, word, s)
	if n := len(ids) - start; n <= cacheIDs {
		slot.len, slot.n = uint8(copy(slot.word[:], word)), uint8(n)
		copy(slot.ids[:], ids[start:])
	}
	return ids
}

// longWordLen is the length, in bytes, from which mergeLong is faster than
// mergeShort.
const longWordLen = 96

// mergeShort merges by searching all pairs for the lowest rank, again after
// each merge.
func (b *BPE) mergeShort(dst []int32, word []byte, s *scratch) []int32 {
	ids, ranks := s.ids[:0], s.ranks[:0]
	for i, c := range word {
		ids = append(ids, b.bytes[c])
		if i > 0 {
			ranks = append(ranks, b.ranks.get(ids[i-1], ids[i]))
		}
	}
	s.ids, s.ranks = ids, ranks
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
func (b *BPE) mergeLong(dst []int32, word []byte, s *scratch) []int32 {
	nodes := slices.Grow(s.nodes[:0], len(word))
	s.queue.items = slices.Grow(s.queue.items[:0], len(word))
	offer := func(at int32) {
		if r := b.ranks.get(nodes[at].id, nodes[nodes[at].next].id); r != noRank {
			s.queue.push(uint64(r)<<32 | uint64(at))
		}
	}
	for i, c := range word {
		nodes = append(nodes, node{b.bytes[c], int32(i) - 1, int32(i) + 1})
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
	if len(word) > chunk {
		s.nodes, s.queue.items = nil, nil // rare: do not hold on to it
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
