package bdia

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/tensor"
)

// checkRange reads the peaks back and fails at the first state of the pass beyond the
// exact range of the grid.
func (s *Stack) checkRange() error {
	if s.opt.Grid == NoGrid {
		return nil
	}
	s.be.DownloadInts(s.host.peaks, s.peaks)
	limit, B := s.opt.Grid.Limit(), s.peaks.Shape[1]
	for i, bits := range s.host.peaks {
		if v := float64(math.Float32frombits(uint32(bits))); !(v < limit) {
			return &RangeError{Step: s.pass.Step, Block: i / B, Sample: s.pass.Sample + i%B, Value: v, Limit: limit}
		}
	}
	return nil
}

// MaxAbs returns the largest |x| of the latest Forward on a grid, over all
// states and samples.
func (s *Stack) MaxAbs() float64 {
	var m uint32
	for _, p := range s.host.peaks {
		m = max(m, uint32(p))
	}
	return float64(math.Float32frombits(m))
}

// ErrCorrupt is wrapped by the error of a checked pass, or of a checked parameter, that has lost its bits.
var ErrCorrupt = errors.New("memory has changed, or the processor has computed the same thing in two ways")

// CorruptionError names the first state, or the first tensor between steps, that no longer has the bits that it had.
// Software cannot do that: a bit of memory has flipped, or a kernel gave another result in the reverse walk than in the
// forward pass. What was computed since then is suspect, weights in memory included; so they must not be saved.
type CorruptionError struct {
	Step          int
	Block, Sample int    // of a state: x_k of the stack, k = Block, and the sample of the step
	Tensor        string // of a parameter or moment: its name; "" for a state
}

// Error says what it means, and what to do.
func (e *CorruptionError) Error() string {
	what := fmt.Sprintf("state x_%d of sample %d", e.Block, e.Sample)
	if e.Tensor != "" {
		what = e.Tensor
	}
	return fmt.Sprintf("bdia: %v: step %d, %s is not what it was; bad memory or an overclocked machine does that, and results "+
		"since the last checkpoint are suspect: test the memory (memtest86+), then go on from the checkpoint", ErrCorrupt, e.Step, what)
}

// Unwrap makes errors.Is(err, ErrCorrupt) true.
func (e *CorruptionError) Unwrap() error { return ErrCorrupt }

// digests are what a checked pass remembers of its states: of each sample of each, eight bytes for its values and eight
// for what float32 rounds off them.
type digests struct {
	be   backend.Backend
	room bool          // passes have the memory for digests
	on   bool          // and take them
	took bool          // the pass at hand does
	sums tensor.Tensor // (2*moments,K+1,B,2): values at all moments, then rests
	host []int32       // the same
}

// moments at which the digest of a state is taken.
const (
	computed = iota // by the forward pass
	left            // by the forward pass, which has no more use for it
	found           // by the reverse walk, rebuilt or where it was kept
	moments
)

func (d *digests) set(on bool) { d.room, d.on = true, on }

// begin allocates the digests of so many states of B samples.
func (d *digests) begin(be backend.Backend, states, B int) {
	d.be, d.took = be, d.on
	if !d.room {
		return
	}
	d.sums = be.Alloc(backend.Data, tensor.I32, tensor.Shape{2 * moments, states, B, 2})
	be.Zero(d.sums)
	n := d.sums.Len()
	d.host = slices.Grow(d.host, n)[:n]
}

// take takes the digest of x_k and its rest. A rest that is none at a moment is what it was when it was computed.
func (d *digests) take(moment, k int, x, rest tensor.Tensor) {
	if !d.took {
		return
	}
	d.be.Digest(d.sums.Index(moment).Index(k), x)
	switch sums := d.sums.Index(moments + moment).Index(k); {
	case rest.Valid():
		d.be.Digest(sums, rest)
	case moment != computed:
		d.be.Copy(sums, d.sums.Index(moments+computed).Index(k))
	}
}

// compare fails with a CorruptionError for the first state that changed: in the forward pass, which left all but the
// last two, or until the reverse walk found it, of states [first,end).
func (d *digests) compare(first, end int, pass backend.Pass) error {
	if !d.took {
		return nil
	}
	d.be.DownloadInts(d.host, d.sums)
	for k := range d.sums.Shape[1] - 2 {
		if sample := d.differ(left, k); sample >= 0 {
			return &CorruptionError{Step: pass.Step, Block: k, Sample: pass.Sample + sample}
		}
	}
	for k := end - 1; k >= first; k-- { // as the walk goes
		if sample := d.differ(found, k); sample >= 0 {
			return &CorruptionError{Step: pass.Step, Block: k, Sample: pass.Sample + sample}
		}
	}
	return nil
}

// differ returns the first sample of x_k that was another one at moment than when it was computed; -1: none.
func (d *digests) differ(moment, k int) int {
	for sample := range d.sums.Shape[2] {
		for _, kind := range []int{0, moments} {
			if d.at(kind+moment, k, sample) != d.at(kind+computed, k, sample) {
				return sample
			}
		}
	}
	return -1
}

// at is one digest of those that were read back.
func (d *digests) at(i, k, sample int) uint64 {
	s := d.sums.Shape
	return backend.DigestOf(d.host[2*((i*s[1]+k)*s[2]+sample):])
}

// appendTo appends the digest of each state to sums: of all samples together. Rests are 0 where float32 holds the grid,
// and count as the upper halves of their elements' words.
func (d *digests) appendTo(sums []uint64) []uint64 {
	if !d.took {
		return sums
	}
	for k := range d.sums.Shape[1] {
		var sum uint64
		for i := range d.sums.Shape[2] {
			sum += d.at(computed, k, i) + d.at(moments+computed, k, i)<<32
		}
		sums = append(sums, sum)
	}
	return sums
}

// SetCheck makes the passes that Begin allocates from now on checked ones, or no longer. A checked pass takes a digest
// of every state x_k when Forward has computed it, when Forward has no more use for it, and when Reverse is about to
// use it, rebuilt or kept. If they differ, Reverse fails with a CorruptionError at its end, after the gradients have
// reached the sink.
//
// Every flipped bit of a state or of the side information is found, and every difference between Forward and Reverse
// in a kernel, or a weight, by which a state is rebuilt. Not checked are x_K, gradients, and what Reverse does not
// come to: the states below frozen first blocks are compared within Forward only.
//
// From the first call on, on or off, every pass has the memory for its digests, so that all passes take the same.
func (s *Stack) SetCheck(on bool) { s.digests.set(on) }

// AppendDigests appends the digests of x_0 to x_K of the latest checked pass to sums, added up over its samples. They
// do not depend on the memory mode, and those of micro-batches add up to the digests of the whole batch. Of a pass
// that was not checked, or did not end, it appends nothing of use.
func (s *Stack) AppendDigests(sums []uint64) []uint64 { return s.digests.appendTo(sums) }

// SetCheck makes the passes that Begin allocates from now on checked ones (see Stack.SetCheck). Stored states are
// compared. In memory Reversible only the last one that is kept is: the inverse rounds, so that rebuilt states differ.
func (s *TwoStream) SetCheck(on bool) { s.digests.set(on) }

// AppendDigests appends the digests of y_0, y_1, ... of the latest checked pass to sums (see Stack.AppendDigests).
func (s *TwoStream) AppendDigests(sums []uint64) []uint64 { return s.digests.appendTo(sums) }
