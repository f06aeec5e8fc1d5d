package pairs

import (
	"fmt"
	"math"
	"math/bits"
	"sort"

	"github.com/bdia-go/bdia/internal/rng"
)

// Purposes of random draws: the Block field of a key with site SiteData, different
// from the other kinds of data.
const (
	forSplit = 16 + iota
	forPairs
	forBatches
)

// DefaultWindow is the default number of pairs that are sorted together. For 28,000
// captions in batches of 4096 tokens, 7% of the positions are then padding. One
// window over all pairs would have 3%, but put almost the same pairs together in
// every epoch.
const DefaultWindow = 8192

// BatchOptions describe the training batches of a run.
type BatchOptions struct {
	Tokens  int     // limit of a batch: pairs times the padded lengths of both sides, Begin and End included
	Pairs   int     // limit of a batch in pairs; 0: none
	Window  int     // pairs sorted together; more pad less and mix less; 0: DefaultWindow
	Seed    uint64  // of the order
	Special Special // ids added to the tokens of sentences
}

// Validate returns an error for the first invalid option.
func (o BatchOptions) Validate() error {
	if o.Tokens < 1 || o.Tokens > math.MaxInt32 {
		return fmt.Errorf("pairs: a batch of %d tokens; give 1 to %d", o.Tokens, math.MaxInt32)
	}
	if o.Pairs < 0 {
		return fmt.Errorf("pairs: a batch of %d pairs; give a positive number, or 0 for as many as its tokens allow", o.Pairs)
	}
	if o.Window < 0 {
		return fmt.Errorf("pairs: a window of %d pairs; give a positive number, or 0 for %d", o.Window, DefaultWindow)
	}
	return o.Special.Validate()
}

// Batches gives the batches of training steps. Steps count from 1 and run on from
// one epoch to the next. Any step may be requested, but consecutive steps are
// cheapest: the first step of an epoch has to order the epoch's pairs, and a jump
// forward has to order all epochs in between, to know how many batches each has. A
// Batches is for one goroutine at a time.
type Batches struct {
	*layout
	o      BatchOptions
	epoch  int     // the epoch in layout; -1: none
	turns  []int32 // the epoch's batches, shuffled
	starts []int   // number of steps before each known epoch and before the next
}

// NewBatches returns the batches of a set. A pair that is too long for a batch is
// an error. It takes 20 bytes of memory for each pair.
func NewBatches(set *Set, o BatchOptions) (*Batches, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	l, err := newLayout(set, o.Tokens, o.Special)
	if err == nil && o.Pairs > 0 {
		l.most = o.Pairs
	}
	if err != nil {
		return nil, err
	}
	if o.Window == 0 {
		o.Window = DefaultWindow
	}
	return &Batches{layout: l, o: o, epoch: -1, turns: make([]int32, set.Len()), starts: []int{0}}, nil
}

// arrange lays out an epoch.
func (b *Batches) arrange(epoch int) {
	if b.epoch == epoch {
		return
	}
	b.shuffle(b.order, epoch, forPairs)
	b.ends = b.ends[:0]
	for from := 0; from < len(b.order); from += b.o.Window {
		to := min(from+b.o.Window, len(b.order))
		b.sort(from, to)
		b.cut(from, to)
	}
	b.turns = b.turns[:len(b.ends)]
	b.shuffle(b.turns, epoch, forBatches)
	b.epoch = epoch
	if epoch+1 == len(b.starts) {
		b.starts = append(b.starts, b.starts[epoch]+len(b.ends))
	}
}

// shuffle makes x a random permutation of 0..len(x)-1 (Fisher and Yates, inside
// out), uniform to within 2^-64 per draw.
func (b *Batches) shuffle(x []int32, epoch int, purpose uint32) {
	for i := range x {
		u := rng.Key{Seed: b.o.Seed, Step: uint32(epoch), Sample: uint32(i), Block: purpose, Site: rng.SiteData}.Uint64(0)
		hi, _ := bits.Mul64(u, uint64(i+1))
		j := int(hi)
		x[i] = x[j]
		x[j] = int32(i)
	}
}

// find lays out the epoch of a step and returns the step's batch in it.
func (b *Batches) find(step int) (batch int, err error) {
	if step < 1 || step > math.MaxInt32 {
		return 0, fmt.Errorf("pairs: step %d; steps count from 1 to %d", step, math.MaxInt32)
	}
	for b.starts[len(b.starts)-1] < step {
		b.arrange(len(b.starts) - 1)
	}
	epoch := sort.SearchInts(b.starts, step) - 1
	b.arrange(epoch)
	return int(b.turns[step-1-b.starts[epoch]]), nil
}

// Shape returns the shape of the whole batch of a step.
func (b *Batches) Shape(step int) (Shape, error) {
	k, err := b.find(step)
	if err != nil {
		return Shape{}, err
	}
	return b.shape(k), nil
}

// Fill sets dst to the samples first..first+n-1 of a step's batch, padded to the
// shape of the whole batch. The bits do not depend on earlier requests, first or n.
// It allocates only if a buffer of dst is too small.
func (b *Batches) Fill(step, first, n int, dst *Batch) error {
	k, err := b.find(step)
	if err != nil {
		return err
	}
	return b.fill(k, first, n, dst)
}

// Steps returns the number of batches in the first epochs epochs.
func (b *Batches) Steps(epochs int) int {
	for len(b.starts) <= epochs {
		b.arrange(len(b.starts) - 1)
	}
	return b.starts[epochs]
}

// Capacity returns the capacity for the batches of steps 1..steps. It orders all of
// their epochs.
func (b *Batches) Capacity(steps int) (Capacity, error) {
	var most Capacity
	for step := 1; step <= steps; step++ {
		shape, err := b.Shape(step)
		if err != nil {
			return Capacity{}, err
		}
		most = most.With(shape)
	}
	return most, nil
}

// Epoch returns the epoch (from 0) of a step and how far into it the step starts,
// 0 to 1.
func (b *Batches) Epoch(step int) (epoch int, done float64, err error) {
	if _, err := b.find(step); err != nil {
		return 0, 0, err
	}
	start, end := b.starts[b.epoch], b.starts[b.epoch+1]
	return b.epoch, float64(step-1-start) / float64(end-start), nil
}

// Sequential gives every pair of a set once, for evaluation, in batches of similar
// lengths, short ones first. It has no state, so several goroutines may share one.
type Sequential struct{ *layout }

// NewSequential returns batches of at most tokens tokens, counted as in
// BatchOptions. A pair that is too long for a batch is an error.
func NewSequential(set *Set, tokens int, special Special) (*Sequential, error) {
	l, err := newLayout(set, tokens, special)
	if err != nil {
		return nil, err
	}
	for i := range l.order {
		l.order[i] = int32(i)
	}
	l.sort(0, len(l.order))
	l.cut(0, len(l.order))
	l.keys = nil
	return &Sequential{l}, nil
}

// Len returns the number of batches.
func (s *Sequential) Len() int { return len(s.ends) }

// Shape returns the shape of batch k, 0 <= k < Len.
func (s *Sequential) Shape(k int) Shape { return s.shape(k) }

// Pairs returns the indices of batch k's pairs in the set, in the batch's order.
// The caller must not change the slice.
func (s *Sequential) Pairs(k int) []int32 { return s.batch(k) }

// Fill sets dst to the samples first..first+n-1 of batch k, padded to the shape of
// the whole batch. It allocates only if a buffer of dst is too small.
func (s *Sequential) Fill(k, first, n int, dst *Batch) error {
	if k < 0 || k >= s.Len() {
		return fmt.Errorf("pairs: batch %d of %d", k, s.Len())
	}
	return s.fill(k, first, n, dst)
}

// Capacity returns the capacity that every batch fits into.
func (s *Sequential) Capacity() Capacity {
	var most Capacity
	for k := range s.Len() {
		most = most.With(s.shape(k))
	}
	return most
}
