package pairs

import (
	"fmt"
	"math"
	"slices"
)

// Ignore is the target at padded positions, which have no loss.
const Ignore = -1

// Special are the ids that batches add to the tokens of sentences. They are rows of
// the model's embeddings, 0 or more. A tokenizer's special tokens will do, since it
// never produces them from text; so will the ids just above the tokenizer's. One id
// may have several uses.
type Special struct {
	SourceEnd int32 `yaml:"source_end"` // after a source sentence
	SourcePad int32 `yaml:"source_pad"` // pads a source sentence
	Begin     int32 `yaml:"begin"`      // before a target sentence
	End       int32 `yaml:"end"`        // after it
	Pad       int32 `yaml:"pad"`        // pads the decoder's input
}

// Validate returns an error for the first negative id.
func (s Special) Validate() error {
	for _, id := range []int32{s.SourceEnd, s.SourcePad, s.Begin, s.End, s.Pad} {
		if id < 0 {
			return fmt.Errorf("pairs: special token %d is negative: give the ids of a begin, end and padding token", id)
		}
	}
	return nil
}

// Shape is the size of a batch: B pairs, source sentences padded to S positions
// and target sentences to T. Targets counts the targets that are not padding.
type Shape struct{ B, S, T, Targets int }

// Capacity is a capacity for batches: the largest value of each field over several
// batches. SourceRows is B*S and TargetRows B*T.
type Capacity struct{ B, S, T, SourceRows, TargetRows int }

// With returns r, enlarged to hold a batch of shape s too.
func (r Capacity) With(s Shape) Capacity {
	return Capacity{max(r.B, s.B), max(r.S, s.S), max(r.T, s.T), max(r.SourceRows, s.B*s.S), max(r.TargetRows, s.B*s.T)}
}

// Batch is a batch of padded pairs. A source row is the tokens and the end. A target
// sentence is shifted by one position: the decoder's input is the begin and the
// tokens, its target the tokens and the end.
type Batch struct {
	Shape
	Source        []int32 // (B,S): tokens, end, padding
	Input         []int32 // (B,T): begin, tokens, padding
	Target        []int32 // (B,T): tokens, end, Ignore
	SourceLengths []int32 // (B): positions that are not padding, 1 to S
	TargetLengths []int32 // (B): the same for Input and Target, 1 to T
}

// NewBatch returns an empty batch with buffers for any batch within the capacity
// most.
func NewBatch(most Capacity) *Batch {
	return &Batch{
		Source: make([]int32, 0, most.SourceRows), Input: make([]int32, 0, most.TargetRows), Target: make([]int32, 0, most.TargetRows),
		SourceLengths: make([]int32, 0, most.B), TargetLengths: make([]int32, 0, most.B),
	}
}

// resize gives b the shape s. It allocates only if a buffer of b is too small.
func (b *Batch) resize(s Shape) {
	b.Shape = s
	for _, x := range []struct {
		to *[]int32
		n  int
	}{{&b.Source, s.B * s.S}, {&b.Input, s.B * s.T}, {&b.Target, s.B * s.T}, {&b.SourceLengths, s.B}, {&b.TargetLengths, s.B}} {
		*x.to = slices.Grow((*x.to)[:0], x.n)[:x.n]
	}
}

// layout arranges the pairs of a set in batches: batch k has the pairs
// order[ends[k-1]:ends[k]].
type layout struct {
	set     *Set
	budget  int // tokens of a batch at most
	most    int // pairs of a batch at most
	special Special
	keys    []uint64 // sort keys of the pairs
	order   []int32
	ends    []int32
}

func newLayout(set *Set, budget int, special Special) (*layout, error) {
	if set.Len() == 0 {
		return nil, fmt.Errorf("pairs: %w: the set is closed", ErrNoPairs)
	}
	if err := special.Validate(); err != nil {
		return nil, err
	}
	if budget < 1 || budget > math.MaxInt32 {
		return nil, fmt.Errorf("pairs: a batch of %d tokens; give 1 to %d", budget, math.MaxInt32)
	}
	n := set.Len()
	l := &layout{set: set, budget: budget, most: n, special: special,
		keys: make([]uint64, n), order: make([]int32, n), ends: make([]int32, 0, n)}
	for i := range n {
		if s, t := l.positions(int32(i)); s+t > budget {
			return nil, fmt.Errorf("pairs: pair %d takes %d positions, a batch has %d: allow more tokens in a batch, or shorter sentences", i, s+t, budget)
		}
	}
	return l, nil
}

// positions returns the padded lengths that a pair needs.
func (l *layout) positions(i int32) (s, t int) {
	s, t = l.set.Lengths(int(i))
	return s + 1, t + 1
}

// sort sorts the pairs order[from:to] by target length, then by source length:
// ascending for one target length, descending for the next, so that neighbours are
// similar on both sides. The sort is stable.
func (l *layout) sort(from, to int) {
	keys := l.keys[from:to]
	for j, i := range l.order[from:to] {
		s, t := l.positions(i)
		if t%2 == 1 {
			s = math.MaxUint16 - s
		}
		keys[j] = uint64(t)<<48 | uint64(s)<<32 | uint64(j)
	}
	slices.Sort(keys)
	// Once sorted, a key's lengths are no longer needed: keep the pair in it
	// instead.
	for j, key := range keys {
		keys[j] = uint64(l.order[from+int(uint32(key))])
	}
	for j, i := range keys {
		l.order[from+j] = int32(i)
	}
}

// cut splits the pairs order[from:to] into batches, each as large as the limits
// allow.
func (l *layout) cut(from, to int) {
	n, wideS, wideT := 0, 0, 0
	for j := from; j < to; j++ {
		s, t := l.positions(l.order[j])
		if n == l.most || int64(n+1)*int64(max(wideS, s)+max(wideT, t)) > int64(l.budget) {
			l.ends = append(l.ends, int32(j))
			n, wideS, wideT = 0, 0, 0
		}
		n, wideS, wideT = n+1, max(wideS, s), max(wideT, t)
	}
	l.ends = append(l.ends, int32(to))
}

// batch returns the pairs of batch k.
func (l *layout) batch(k int) []int32 {
	from := int32(0)
	if k > 0 {
		from = l.ends[k-1]
	}
	return l.order[from:l.ends[k]]
}

func (l *layout) shape(k int) Shape {
	var shape Shape
	for _, i := range l.batch(k) {
		s, t := l.positions(i)
		shape = Shape{shape.B + 1, max(shape.S, s), max(shape.T, t), shape.Targets + t}
	}
	return shape
}

// fill sets b to the samples first..first+n-1 of batch k, padded to the whole
// batch's shape.
func (l *layout) fill(k, first, n int, b *Batch) error {
	all := l.batch(k)
	if first < 0 || n < 0 || n > len(all)-first {
		return fmt.Errorf("pairs: samples %d..%d of a batch of %d", first, first+n-1, len(all))
	}
	shape := l.shape(k)
	S, T := shape.S, shape.T
	b.resize(Shape{B: n, S: S, T: T})
	for row, i := range all[first : first+n] {
		source, input, target := b.Source[row*S:(row+1)*S], b.Input[row*T:(row+1)*T], b.Target[row*T:(row+1)*T]
		s, err := l.set.Source(source, int(i))
		if err != nil {
			return err
		}
		t, err := l.set.Target(target, int(i))
		if err != nil {
			return err
		}
		source[s] = l.special.SourceEnd
		fill(source[s+1:], l.special.SourcePad)
		input[0] = l.special.Begin
		copy(input[1:], target[:t])
		fill(input[t+1:], l.special.Pad)
		target[t] = l.special.End
		fill(target[t+1:], Ignore)
		b.SourceLengths[row], b.TargetLengths[row] = int32(s+1), int32(t+1)
		b.Targets += t + 1
	}
	return nil
}

func fill(ids []int32, id int32) {
	for i := range ids {
		ids[i] = id
	}
}
