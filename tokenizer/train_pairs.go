package tokenizer

import "context"

// trainPair is a pair of neighbours.
type trainPair struct {
	key    uint64
	count  int64 // in the text
	places int32 // the last of its places; -1: it has none
	// In the current merge its count grew, and changed at all.
	grew, touched bool
}

// queued is a pair with its count when it was queued. Except during a merge,
// its current count is not larger.
type queued struct {
	count int64
	key   uint64
}

// pairIndex has the pairs that are in the text, and finds them by their keys: open addressing, at most three quarters
// full.
type pairIndex struct {
	all   chunked[trainPair]
	free  []int32 // of all
	slots []int32 // in all, from 1 on; 0: free. As many as a power of two
	n     int     // pairs
}

func (x *pairIndex) home(key uint64) int {
	key *= 0x9e3779b97f4a7c15
	return int(key>>32^key>>12) & (len(x.slots) - 1)
}

// slot returns the slot of a pair, or the free one where it belongs.
func (x *pairIndex) slot(key uint64) int {
	i := x.home(key)
	for x.slots[i] != 0 && x.all.at(int(x.slots[i])-1).key != key {
		i = (i + 1) & (len(x.slots) - 1)
	}
	return i
}

// find returns a pair, or nil.
func (x *pairIndex) find(key uint64) (p *trainPair, at int32) {
	if at = x.slots[x.slot(key)] - 1; at >= 0 {
		p = x.all.at(int(at))
	}
	return p, at
}

// get returns a pair, which may be new.
func (x *pairIndex) get(key uint64) (p *trainPair, at int32) {
	if x.n >= len(x.slots)/4*3 {
		x.double()
	}
	i := x.slot(key)
	if x.slots[i] == 0 {
		fresh := trainPair{key: key, places: -1}
		if n := len(x.free); n > 0 {
			at, x.free = x.free[n-1], x.free[:n-1]
			*x.all.at(int(at)) = fresh
		} else {
			at = int32(x.all.add(fresh))
		}
		x.slots[i] = at + 1
		x.n++
	}
	at = x.slots[i] - 1
	return x.all.at(int(at)), at
}

func (x *pairIndex) double() {
	old := x.slots
	x.slots = make([]int32, max(1024, 2*len(old)))
	for _, s := range old {
		if s != 0 {
			x.slots[x.slot(x.all.at(int(s)-1).key)] = s
		}
	}
}

// drop forgets a pair. The pairs behind it that would no longer be found move up.
func (x *pairIndex) drop(key uint64) {
	i, mask := x.slot(key), len(x.slots)-1
	x.free = append(x.free, x.slots[i]-1)
	x.n--
	for j := (i + 1) & mask; x.slots[j] != 0; j = (j + 1) & mask {
		home := x.home(x.all.at(int(x.slots[j]) - 1).key)
		if (j-home)&mask >= (j-i)&mask {
			x.slots[i], i = x.slots[j], j
		}
	}
	x.slots[i] = 0
}

// place is where a pair stands, or stood before a merge.
type place struct {
	at   uint32 // position of the left token
	word uint32
	next int32 // place of the same pair; of the last one the first
}

// places are rings of places, one for each pair.
type places struct {
	all  chunked[place]
	free int32 // the last of a ring of free ones, counted from 1; 0: none
}

// add appends a place to the ring that ends with last, or -1, and returns the new last.
func (s *places) add(last int32, at, word uint32) int32 {
	p := place{at: at, word: word}
	i := int32(0)
	if s.free == 0 {
		i = int32(s.all.add(p))
	} else {
		end := s.all.at(int(s.free) - 1)
		if i = end.next; i == s.free-1 {
			s.free = 0
		} else {
			end.next = s.all.at(int(i)).next
		}
	}
	p.next = i
	if last >= 0 {
		end := s.all.at(int(last))
		p.next, end.next = end.next, i
	}
	*s.all.at(int(i)) = p
	return i
}

// release makes the places of a ring free.
func (s *places) release(last int32) {
	if last < 0 {
		return
	}
	if s.free != 0 {
		a, b := s.all.at(int(s.free)-1), s.all.at(int(last))
		a.next, b.next = b.next, a.next
	}
	s.free = last + 1
}

const checkEvery = 1 << 12 // places

// countPairs finds all pairs of bytes.
func (t *trainer) countPairs(ctx context.Context) error {
	for w := range t.words.n {
		word := t.words.at(w)
		for i := word.start; i+1 < word.start+word.length; i++ {
			if t.places.all.n%checkEvery == 0 {
				if err := t.check(ctx, "counting pairs"); err != nil {
					return err
				}
			}
			t.grow(*t.at.at(int(i)), *t.at.at(int(i) + 1), i, uint32(w), word.count)
		}
	}
	t.settle()
	return nil
}

func (t *trainer) touch(p *trainPair, at int32) {
	if !p.touched {
		p.touched = true
		t.touched = append(t.touched, at)
	}
}

// grow counts one more place of a pair.
func (t *trainer) grow(left, right int32, at, word uint32, count int64) {
	p, i := t.pairs.get(pairKey(left, right))
	p.count += count
	p.places = t.places.add(p.places, at, word)
	p.grew = true
	t.touch(p, i)
}

// shrink counts one place less.
func (t *trainer) shrink(left, right int32, count int64) {
	if p, i := t.pairs.find(pairKey(left, right)); p != nil {
		p.count -= count
		t.touch(p, i)
	}
}

// settle drops the pairs that are no longer in the text and queues the others that grew.
func (t *trainer) settle() {
	for _, i := range t.touched {
		p := t.pairs.all.at(int(i))
		if p.count == 0 {
			t.places.release(p.places)
			t.pairs.drop(p.key)
		} else if p.grew && p.count >= int64(t.o.MinFrequency) {
			t.queue.push(queued{p.count, p.key})
		}
		p.grew, p.touched = false, false
	}
	t.touched = t.touched[:0]
	if len(t.queue.items) > 2*t.pairs.n+1024 { // most of it is out of date
		t.requeue()
	}
}

// requeue queues each pair once.
func (t *trainer) requeue() {
	t.queue.items = t.queue.items[:0]
	for _, s := range t.pairs.slots {
		if s == 0 {
			continue
		}
		if p := t.pairs.all.at(int(s) - 1); p.count >= int64(t.o.MinFrequency) {
			t.queue.push(queued{p.count, p.key})
		}
	}
}

// mostFrequent removes the next pair to join from the queue and returns its key, if there is one.
func (t *trainer) mostFrequent() (key uint64, ok bool) {
	for len(t.queue.items) > 0 {
		top := t.queue.pop()
		p, _ := t.pairs.find(top.key)
		if p == nil {
			continue
		}
		if top.count == p.count {
			return top.key, true
		}
		if p.count < top.count && p.count >= int64(t.o.MinFrequency) {
			t.queue.push(queued{p.count, p.key})
		}
	}
	return 0, false
}

// join makes a token of a pair and replaces every place of the pair by it, from left to right. That is the order of the
// ring. For equal bytes that become one token do so by the same merges, whatever stands around them. So one merge makes
// all places of a token, and the pairs with it, in the order of the text.
func (t *trainer) join(ctx context.Context, key uint64) error {
	left, right := int32(key>>32), int32(uint32(key))
	m := [2]string{t.tokens[left], t.tokens[right]}
	t.merges = append(t.merges, m)
	id := t.add(m[0]+m[1], t.lengths[left]+t.lengths[right])
	p, _ := t.pairs.find(key)
	last := p.places
	t.pairs.drop(key)
	for i, n := t.places.all.at(int(last)).next, 0; ; n++ {
		if n%checkEvery == 0 {
			if err := t.check(ctx, "learning merges"); err != nil {
				return err
			}
		}
		at := t.places.all.at(int(i))
		t.joinAt(int(at.at), at.word, left, right, id)
		if i == last {
			break
		}
		i = at.next
	}
	t.places.release(last)
	t.settle()
	return nil
}

// joinAt joins the tokens left and right at a position to id, if they are still there.
func (t *trainer) joinAt(at int, word uint32, left, right, id int32) {
	here := t.at.at(at)
	if *here != left {
		return
	}
	middle := at + int(t.lengths[left])
	if *t.at.at(middle) != right {
		return
	}
	end := middle + int(t.lengths[right])
	count := t.words.at(int(word)).count
	*t.at.at(middle) = -1
	*t.at.at(end - 1) = -t.lengths[id]
	*here = id
	if before := *t.at.at(at - 1); before != edge {
		start := at - 1
		if before < 0 {
			start = at + int(before)
		}
		before = *t.at.at(start)
		t.shrink(before, left, count)
		t.grow(before, id, uint32(start), word, count)
	}
	if after := *t.at.at(end); after != edge {
		t.shrink(right, after, count)
		t.grow(id, after, uint32(at), word, count)
	}
}
