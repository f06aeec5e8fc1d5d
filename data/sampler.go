package data

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/bdia-go/bdia/internal/rng"
)

// Sampler draws training windows of T+1 consecutive tokens at random, with
// replacement: T inputs and, one position later, T targets. It has no state, so
// several goroutines may share one.
type Sampler struct {
	tokens Tokens
	t      int    // window length T
	starts uint64 // number of possible starts, N-T
	seed   uint64
}

// NewSampler returns a sampler of windows of contextLen inputs. A set of fewer
// than contextLen+1 tokens is ErrTooShort.
func NewSampler(tokens Tokens, contextLen int, seed uint64) (*Sampler, error) {
	if err := checkWindow(tokens, contextLen); err != nil {
		return nil, err
	}
	return &Sampler{tokens, contextLen, uint64(tokens.Len() - int64(contextLen)), seed}, nil
}

func checkWindow(tokens Tokens, contextLen int) error {
	if contextLen < 1 {
		return fmt.Errorf("data: context of %d tokens: it must be at least 1", contextLen)
	}
	if tokens.Len() <= int64(contextLen) {
		return fmt.Errorf("data: %w: the set has %d tokens and a context of %d needs at least %d: give more text or a shorter context",
			ErrTooShort, tokens.Len(), contextLen, contextLen+1)
	}
	return nil
}

// Start returns the position of the first input of a sample: with u a uniform
// 64-bit draw and N tokens, the high word of u*(N-T), which is uniform over
// 0..N-T-1 to within 2^-64 per start (multiply-shift, Lemire, "Fast Random
// Integer Generation in an Interval", 2019, without the rejection, so that one
// sample is always one draw). sample counts within the global batch of step.
func (s *Sampler) Start(step, sample uint32) int64 {
	u := rng.Key{Seed: s.seed, Step: step, Sample: sample, Site: rng.SiteData}.Uint64(0)
	hi, _ := bits.Mul64(u, s.starts)
	return int64(hi)
}

// Batch fills inputs and targets, each (n,T), with the samples first..first+n-1
// of the global batch of step. It allocates nothing.
func (s *Sampler) Batch(step, first, n int, inputs, targets []int32) error {
	if err := checkBatch(first, n, s.t, inputs, targets); err != nil {
		return err
	}
	if step < 0 || int64(step) > math.MaxUint32 || int64(first)+int64(n) > math.MaxUint32 {
		return fmt.Errorf("data: step %d, samples %d..%d: outside 0..2^32-1", step, first, first+n-1)
	}
	for i := range n {
		start := s.Start(uint32(step), uint32(first+i))
		if err := readWindow(s.tokens, start, inputs[i*s.t:(i+1)*s.t], targets[i*s.t:(i+1)*s.t]); err != nil {
			return err
		}
	}
	return nil
}

// Sequential gives evaluation windows: the set cut from its start into
// windows of T targets that do not overlap. Each token but the first is the
// target of at most one window; up to T-1 tokens at the end are left out.
type Sequential struct {
	tokens Tokens
	t      int
	all    int64 // windows in the set
	n      int   // windows returned
}

// NewSequential returns the windows of contextLen inputs, in order. If the set
// has more than maxWindows, it takes maxWindows of them, spread evenly over the
// set and always the same; maxWindows 0 means all. A set of fewer than
// contextLen+1 tokens is ErrTooShort.
func NewSequential(tokens Tokens, contextLen, maxWindows int) (*Sequential, error) {
	if err := checkWindow(tokens, contextLen); err != nil {
		return nil, err
	}
	if maxWindows < 0 {
		return nil, fmt.Errorf("data: %d evaluation windows: give 0 for all of them or a positive number", maxWindows)
	}
	all := (tokens.Len() - 1) / int64(contextLen)
	n := min(all, math.MaxInt)
	if maxWindows > 0 {
		n = min(n, int64(maxWindows))
	}
	return &Sequential{tokens, contextLen, all, int(n)}, nil
}

// Len returns the number of windows.
func (s *Sequential) Len() int { return s.n }

// Start returns the position of the first input of window i: window
// floor(i*all/Len) of the whole set.
func (s *Sequential) Start(i int) int64 {
	hi, lo := bits.Mul64(uint64(i), uint64(s.all))
	w, _ := bits.Div64(hi, lo, uint64(s.n))
	return int64(w) * int64(s.t)
}

// Batch fills inputs and targets, each (n,T), with the windows first..first+n-1.
// A range outside 0..Len is an error.
func (s *Sequential) Batch(first, n int, inputs, targets []int32) error {
	if err := checkBatch(first, n, s.t, inputs, targets); err != nil {
		return err
	}
	if n > s.n-first {
		return fmt.Errorf("data: windows %d..%d of %d", first, first+n-1, s.n)
	}
	for i := range n {
		if err := readWindow(s.tokens, s.Start(first+i), inputs[i*s.t:(i+1)*s.t], targets[i*s.t:(i+1)*s.t]); err != nil {
			return err
		}
	}
	return nil
}

func checkBatch(first, n, t int, inputs, targets []int32) error {
	if first < 0 || n < 0 {
		return fmt.Errorf("data: batch of %d samples from %d: neither may be negative", n, first)
	}
	if len(inputs)%t != 0 || len(inputs)/t != n || len(targets) != len(inputs) {
		return fmt.Errorf("data: batch of %d samples of %d tokens into %d inputs and %d targets", n, t, len(inputs), len(targets))
	}
	return nil
}

// readWindow reads T+1 tokens from start: the first T into inputs, the last T
// into targets.
func readWindow(tokens Tokens, start int64, inputs, targets []int32) error {
	if err := tokens.Read(inputs[:1], start); err != nil {
		return err
	}
	if err := tokens.Read(targets, start+1); err != nil {
		return err
	}
	copy(inputs[1:], targets)
	return nil
}
