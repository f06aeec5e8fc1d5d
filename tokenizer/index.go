package tokenizer

import (
	"hash/maphash"
	"math/bits"
	"slices"
)

// index finds tokens by their bytes: open addressing, at most half full.
type index struct {
	seed  maphash.Seed
	slots []int32 // ids, or -1
}

// newIndex returns the index of these tokens of b. Several tokens with the same bytes are the lowest of them.
func newIndex(b *BPE, ids []int32) index {
	x := index{maphash.MakeSeed(), make([]int32, 1<<bits.Len(uint(2*len(ids)+1)))}
	for i := range x.slots {
		x.slots[i] = -1
	}
	slices.Sort(ids)
	for _, id := range ids {
		if slot := x.slot(b, b.token(id)); *slot < 0 {
			*slot = id
		}
	}
	return x
}

// below returns the index of the tokens below n.
func (x *index) below(b *BPE, n int) index {
	if len(x.slots) == 0 {
		return *x
	}
	return newIndex(b, slices.DeleteFunc(slices.Clone(x.slots), func(id int32) bool { return id < 0 || int(id) >= n }))
}

// slot returns the slot of a token, or the free one for it.
func (x *index) slot(b *BPE, text []byte) *int32 {
	for i := int(maphash.Bytes(x.seed, text)) & (len(x.slots) - 1); ; i = (i + 1) & (len(x.slots) - 1) {
		id := x.slots[i]
		if id < 0 || string(b.token(id)) == string(text) {
			return &x.slots[i]
		}
	}
}

// find returns the token with these bytes.
func (x *index) find(b *BPE, text []byte) (int32, bool) {
	id := *x.slot(b, text)
	return id, id >= 0
}
