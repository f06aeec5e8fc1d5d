package images

import (
	"errors"
	"fmt"
	"math"
	"sync"
)

// BatchOptions describe the training batches of a run. Threads and Ahead affect
// only speed, the others the bits.
type BatchOptions struct {
	Batch          int     // samples of a step's global batch
	Augment        Augment // how images are varied
	LabelSmoothing float64 // share of a target spread evenly over all classes, at least 0 and below 1
	Seed           uint64  // of the order of samples and of all augmentation
	Threads        int     // to prepare images; 0: one for each processor
	Ahead          int     // batches prepared in advance; 0: 2
}

const (
	maxAhead            = 64
	maxBatchBytes int64 = 1 << 32 // of a batch's pixels
)

// Validate returns an error for the first invalid option.
func (o BatchOptions) Validate() error {
	switch {
	case o.Batch < 1 || o.Batch > math.MaxInt32:
		return fmt.Errorf("images: a batch of %d images; it must have at least 1", o.Batch)
	case !(o.LabelSmoothing >= 0 && o.LabelSmoothing < 1):
		return fmt.Errorf("images: label smoothing is %v; it must be at least 0 and below 1", o.LabelSmoothing)
	case o.Threads < 0 || o.Threads > maxThreads:
		return fmt.Errorf("images: %d threads; give a number up to %d, or 0 for all processors", o.Threads, maxThreads)
	case o.Ahead < 0 || o.Ahead > maxAhead:
		return fmt.Errorf("images: %d batches ahead; give a number up to %d, or 0 for 2", o.Ahead, maxAhead)
	}
	return o.Augment.Validate()
}

// Batches gives the batches of training steps. An epoch is a permutation of the
// set that depends on seed and epoch only; position p = (step-1)*Batch + i of a
// run is image perm(p / Len)[p mod Len], so a batch may span two epochs and no
// image is left out. Background goroutines prepare the batches after the last one
// requested.
type Batches struct {
	set     *Set
	o       BatchOptions
	order   shuffle
	partner []float32 // (3,S,S), for mixing

	// Workers claim the samples of step ahead.step one by one, then those of the
	// next step, as long as a slot is free. A slot is free if its step is before
	// now.
	mu     sync.Mutex
	change *sync.Cond
	slots  []slot // step s lies in slot s mod len(slots)
	now    int    // the last step requested
	step   int    // the next sample to be claimed
	sample int
	closed bool
	wg     sync.WaitGroup
}

// slot is the batch of one step, after the operations on bytes.
type slot struct {
	step   int
	left   int // samples not yet prepared
	busy   int // samples being prepared
	err    error
	planes []uint8 // (B,3,S,S)
}

// NewBatches starts to prepare the batches of set, from step 1 on. Call Close
// when done. It takes (Ahead+1)*Batch*3*S*S bytes.
func NewBatches(set *Set, o BatchOptions) (*Batches, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Ahead == 0 {
		o.Ahead = 2
	}
	each := 3 * set.size * set.size
	if most := maxBatchBytes / int64(each); int64(o.Batch) > most {
		return nil, fmt.Errorf("images: a batch of %d images of %d×%d: %w: at most %d of them; use a smaller batch", o.Batch, set.size, set.size, ErrTooLarge, most)
	}
	b := &Batches{set: set, o: o, order: newShuffle(set.Len()), partner: make([]float32, each),
		slots: make([]slot, o.Ahead+1), now: 1, step: 1}
	b.change = sync.NewCond(&b.mu)
	for i := range b.slots {
		b.slots[i].planes = make([]uint8, o.Batch*each)
	}
	for range threadsOf(o.Threads) {
		b.wg.Go(b.work)
	}
	return b, nil
}

// position returns a sample's epoch and the index of its image in the set.
func (b *Batches) position(step, sample int) (epoch uint32, image int) {
	p := uint64(step-1)*uint64(b.o.Batch) + uint64(sample)
	n := uint64(b.set.Len())
	epoch = uint32(p / n)
	return epoch, b.order.at(b.o.Seed, epoch, int(p%n))
}

// work prepares samples until b is closed.
func (b *Batches) work() {
	each := len(b.partner)
	scratch, tmp := make([]uint8, each), make([]uint8, each)
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		s := b.claimable()
		if b.closed {
			return
		}
		if s == nil {
			b.change.Wait()
			continue
		}
		if b.sample == 0 {
			s.step, s.left, s.err = b.step, b.o.Batch, nil
		}
		step, i := b.step, b.sample
		if b.sample++; b.sample == b.o.Batch {
			b.step, b.sample = b.step+1, 0
		}
		s.busy++
		b.mu.Unlock()

		epoch, image := b.position(step, i)
		planes, err := b.set.planes(image, scratch)
		if err == nil {
			b.o.Augment.apply(planes, s.planes[i*each:(i+1)*each], tmp, b.set.size, b.o.Seed, epoch, uint32(image))
		}

		b.mu.Lock()
		if err != nil && s.err == nil {
			s.err = err
		}
		s.left--
		if s.busy--; s.busy == 0 || s.left == 0 {
			b.change.Broadcast()
		}
	}
}

// claimable returns the slot of the next sample, or nil if it is not free.
func (b *Batches) claimable() *slot {
	s := &b.slots[b.step%len(b.slots)]
	if b.step >= b.now+len(b.slots) || b.sample == 0 && s.busy > 0 {
		return nil
	}
	return s
}

// Batch gives samples first..first+n-1 of the global batch of a step (steps count
// from 1): pixels (n,3,S,S) normalised, targets (n,classes) probabilities. Any
// step may be requested; the next step is usually prepared already. The bits do
// not depend on earlier requests, first or n. Only one goroutine may call Batch
// and Close. It allocates nothing, except to decode images that are not kept in
// memory.
func (b *Batches) Batch(step, first, n int, pixels, targets []float32) error {
	each, classes := len(b.partner), len(b.set.classes)
	if first < 0 || n < 0 || n > b.o.Batch-first {
		return fmt.Errorf("images: samples %d..%d of a batch of %d", first, first+n-1, b.o.Batch)
	}
	if step < 1 || step > math.MaxInt32 {
		return fmt.Errorf("images: step %d; steps count from 1 to %d", step, math.MaxInt32)
	}
	if len(pixels) != n*each || len(targets) != n*classes {
		return fmt.Errorf("images: %d images of %d values and %d classes into %d values and %d targets", n, each, classes, len(pixels), len(targets))
	}
	s, err := b.wait(step)
	if err != nil {
		return err
	}
	m := b.o.Augment.mixture(b.set.size, b.o.Seed, uint32(step))
	for i := range n {
		own, target := pixels[i*each:(i+1)*each], targets[i*classes:(i+1)*classes]
		clear(target)
		b.add(target, b.finish(s, first+i, own), m.share)
		if m.share < 1 {
			b.add(target, b.finish(s, (first+i+b.o.Batch-1)%b.o.Batch, b.partner), 1-m.share)
			m.apply(own, b.partner, b.set.size)
		}
	}
	return nil
}

// wait returns the slot of a step when it is full.
func (b *Batches) wait(step int) (*slot, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if step < b.now || step >= b.now+len(b.slots) { // not prepared: start over
		b.step, b.sample = step, 0
		for i := range b.slots {
			b.slots[i].step = 0
		}
	}
	b.now = step
	b.change.Broadcast()
	s := &b.slots[step%len(b.slots)]
	for !b.closed && (s.step != step || s.left > 0) {
		b.change.Wait()
	}
	if b.closed {
		return nil, errors.New("images: the batches are closed")
	}
	return s, s.err
}

// finish normalises and erases sample i of a slot into pixels (3,S,S) and returns
// its class.
func (b *Batches) finish(s *slot, i int, pixels []float32) (label int) {
	each, size := len(pixels), b.set.size
	epoch, image := b.position(s.step, i)
	normalise(b.set.table, s.planes[i*each:(i+1)*each], pixels)
	if b.o.Augment.Erase > 0 {
		gone := b.o.Augment.erasure(size, b.o.Seed, epoch, uint32(image))
		for c := range 3 {
			for y := gone.y0; y < gone.y1; y++ {
				row := (c*size + y) * size
				clear(pixels[row+gone.x0 : row+gone.x1])
			}
		}
	}
	return b.set.Label(image)
}

// add adds the smoothed target of a class, times its share.
func (b *Batches) add(target []float32, label int, share float32) {
	even := b.o.LabelSmoothing / float64(len(target))
	for c := range target {
		v := even
		if c == label {
			v = 1 - b.o.LabelSmoothing + even
		}
		target[c] += float32(share * float32(v))
	}
}

// Epoch returns the epoch (from 0) of the first sample of a step and how far
// into it the step starts, 0 to 1.
func (b *Batches) Epoch(step int) (epoch int, done float64) {
	p := int64(step-1) * int64(b.o.Batch)
	n := int64(b.set.Len())
	return int(p / n), float64(p%n) / float64(n)
}

// Close ends the background goroutines. A later Batch is an error.
func (b *Batches) Close() {
	b.mu.Lock()
	b.closed = true
	b.change.Broadcast()
	b.mu.Unlock()
	b.wg.Wait()
}
