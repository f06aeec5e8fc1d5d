package score

// symbols numbers the words of a segment.
type symbols map[string]int32

// number appends the numbers of words to dst.
func (s symbols) number(dst []int32, words []string) []int32 {
	for _, w := range words {
		id, ok := s[w]
		if !ok {
			id = int32(len(s))
			s[w] = id
		}
		dst = append(dst, id)
	}
	return dst
}

// keptIDs is the largest size at which a map is cleared and reused. Clearing a
// larger one, for every later segment, would cost more than a new map.
const keptIDs = 1 << 14

// counter finds the n-grams that a hypothesis shares with its references. Texts are
// numbers of words, or characters.
//
// It goes through the orders upwards. Each n-gram gets a small number. Its key in a
// map is the number of its first n-1 symbols together with its last symbol, so
// n-grams of any order have keys of one size, and counts lie in slices.
type counter struct {
	ids    map[uint64]int32 // (number of the first n-1 symbols, last symbol) → number
	most   []int32          // by number: count of the n-gram in the reference that has it most often
	seen   []int32          // by number: count so far in the current text
	prefix [][]int32        // by text and place: number of the (n-1)-gram there; -1 if no reference has it
}

// matches sets matched[n-1] to the number of n-grams of hyp that are in refs too. An
// n-gram counts at most as often as in the reference that has it most often
// (Papineni et al. 2002, section 2.1).
func (c *counter) matches(matched []int, hyp []int32, refs ...[]int32) {
	for len(c.prefix) <= len(refs) {
		c.prefix = append(c.prefix, nil)
	}
	for t, ref := range refs {
		c.prefix[t] = append(c.prefix[t][:0], make([]int32, len(ref))...)
	}
	last := len(refs)
	c.prefix[last] = append(c.prefix[last][:0], make([]int32, len(hyp))...)
	for n := range matched {
		c.clear()
		for t, ref := range refs {
			clear(c.seen)
			at := c.prefix[t]
			for i := 0; i+n < len(ref); i++ {
				id := c.add(at[i], ref[i+n])
				at[i] = id
				c.seen[id]++
				c.most[id] = max(c.most[id], c.seen[id])
			}
		}
		clear(c.seen)
		matched[n] = 0
		at := c.prefix[last]
		for i := 0; i+n < len(hyp); i++ {
			if at[i] < 0 {
				continue
			}
			id, ok := c.ids[key(at[i], hyp[i+n])]
			if !ok {
				at[i] = -1
				continue
			}
			at[i] = id
			if c.seen[id]++; c.seen[id] <= c.most[id] {
				matched[n]++
			}
		}
	}
}

func (c *counter) clear() {
	if c.ids == nil || len(c.ids) > keptIDs {
		c.ids = map[uint64]int32{}
	}
	clear(c.ids)
	c.most, c.seen = c.most[:0], c.seen[:0]
}

// add returns the number of an n-gram, a new one if need be.
func (c *counter) add(prefix, symbol int32) int32 {
	k := key(prefix, symbol)
	id, ok := c.ids[k]
	if !ok {
		id = int32(len(c.ids))
		c.ids[k] = id
		c.most, c.seen = append(c.most, 0), append(c.seen, 0)
	}
	return id
}

func key(prefix, symbol int32) uint64 { return uint64(prefix)<<32 | uint64(uint32(symbol)) }

// ngrams returns the number of n-grams in a text of that many symbols.
func ngrams(symbols, n int) int { return max(0, symbols-n+1) }
