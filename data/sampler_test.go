package data

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// positions is a set whose token at position i is i: windows show where they
// came from.
func positions(t testing.TB, n int) Tokens {
	t.Helper()
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(i)
	}
	tokens, err := FromIDs(ids, n)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func TestFromIDs(t *testing.T) {
	t.Parallel()
	for _, ids := range [][]int32{{0, 1, 5}, {0, 1, -1}} {
		if _, err := FromIDs(ids, 5); err == nil || !strings.Contains(err.Error(), "position 2") {
			t.Errorf("%v: error %v", ids, err)
		}
	}
}

func TestSplitAndSlice(t *testing.T) {
	t.Parallel()
	all := positions(t, 10)
	train, val, err := Split(all, 0.25)
	if err != nil {
		t.Fatal(err)
	}
	if train.Len() != 8 || val.Len() != 2 {
		t.Fatalf("split into %d and %d", train.Len(), val.Len())
	}
	got := make([]int32, 2)
	if err := val.Read(got, 0); err != nil || !slices.Equal(got, []int32{8, 9}) {
		t.Errorf("validation part %v, error %v", got, err)
	}
	if err := train.Read(got, 7); err == nil {
		t.Error("a read past the training part reaches the validation part")
	}
	inner, err := Slice(val, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := inner.Read(got[:1], 0); err != nil || got[0] != 9 {
		t.Errorf("slice of a slice reads %d, error %v", got[0], err)
	}
	if err := inner.Read(got[:1], -1); err == nil {
		t.Error("a read before a slice is no error")
	}
	for _, f := range []float64{-0.1, 1, math.NaN()} {
		if _, _, err := Split(all, f); err == nil {
			t.Errorf("fraction %v is no error", f)
		}
	}
	for _, r := range [][2]int64{{-1, 2}, {3, 2}, {0, 11}} {
		if _, err := Slice(all, r[0], r[1]); err == nil {
			t.Errorf("range %v is no error", r)
		}
	}
}

func TestBatchIsTheSameForEverySplit(t *testing.T) {
	t.Parallel()
	const n, ctx = 12, 8
	s, err := NewSampler(positions(t, 1000), ctx, 42)
	if err != nil {
		t.Fatal(err)
	}
	inputs, targets := make([]int32, n*ctx), make([]int32, n*ctx)
	if err := s.Batch(3, 0, n, inputs, targets); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 2, 3, 4, 6, 5} {
		in, out := make([]int32, n*ctx), make([]int32, n*ctx)
		for first := 0; first < n; first += size {
			m := min(size, n-first)
			a, b := first*ctx, (first+m)*ctx
			if err := s.Batch(3, first, m, in[a:b], out[a:b]); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(in, inputs) || !slices.Equal(out, targets) {
			t.Errorf("micro-batches of %d differ from the whole batch", size)
		}
	}
	for i := range inputs {
		if want := s.Start(3, uint32(i/ctx)) + int64(i%ctx); int64(inputs[i]) != want || int64(targets[i]) != want+1 {
			t.Fatalf("element %d: input %d, target %d, want %d and the next", i, inputs[i], targets[i], want)
		}
	}
	other, err := NewSampler(positions(t, 1000), ctx, 43)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]int64{"sample": s.Start(3, 1), "step": s.Start(4, 0), "seed": other.Start(3, 0)} {
		if x == s.Start(3, 0) {
			t.Errorf("another %s draws the same window", name)
		}
	}
}

// A change of the draws would break resuming. The expected values come from a
// separate computation of Philox and the product in Python.
func TestStartsArePinned(t *testing.T) {
	t.Parallel()
	s, err := NewSampler(positions(t, 100_000), 100, 1234)
	if err != nil {
		t.Fatal(err)
	}
	got := []int64{s.Start(0, 0), s.Start(0, 1), s.Start(1, 0), s.Start(4_000_000_000, 7)}
	want := []int64{93960, 68280, 6400, 92326}
	if !slices.Equal(got, want) {
		t.Errorf("starts %v, want %v", got, want)
	}
}

func TestStartsAreUniform(t *testing.T) {
	t.Parallel()
	const starts, ctx, draws = 20, 5, 40_000
	s, err := NewSampler(positions(t, starts+ctx), ctx, 9)
	if err != nil {
		t.Fatal(err)
	}
	var count [starts]int
	for i := range uint32(draws) {
		count[s.Start(i/16, i%16)]++
	}
	var chi2 float64
	for _, c := range count {
		d := float64(c) - draws/starts
		chi2 += d * d / (draws / starts)
	}
	if chi2 > 43.8 { // 0.1% point of 19 degrees of freedom
		t.Errorf("chi squared %.1f, counts %v", chi2, count)
	}
}

func TestShortestSet(t *testing.T) {
	t.Parallel()
	s, err := NewSampler(positions(t, 5), 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	in, out := make([]int32, 4), make([]int32, 4)
	if err := s.Batch(0, 0, 1, in, out); err != nil || in[0] != 0 || out[3] != 4 {
		t.Errorf("window %v to %v, error %v", in, out, err)
	}
	_, err1 := NewSampler(positions(t, 4), 4, 1)
	_, err2 := NewSequential(positions(t, 4), 4, 0)
	for _, err := range []error{err1, err2} {
		if !errors.Is(err, ErrTooShort) || !strings.Contains(err.Error(), "4 tokens") || !strings.Contains(err.Error(), "at least 5") {
			t.Errorf("error %v", err)
		}
	}
}

func TestBatchRejects(t *testing.T) {
	t.Parallel()
	s, err := NewSampler(positions(t, 50), 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]int32, 8)
	late := int64(3 << 31) // not of int in every system
	for name, err := range map[string]error{
		"context 0":     func() error { _, err := NewSampler(positions(t, 50), 0, 1); return err }(),
		"short inputs":  s.Batch(0, 0, 2, b[:7], b),
		"short targets": s.Batch(0, 0, 2, b, b[:7]),
		"negative n":    s.Batch(0, 0, -2, b, b),
		"first":         s.Batch(0, -1, 2, b, b),
		"step":          s.Batch(-1, 0, 2, b, b),
		"late step":     s.Batch(int(late), 0, 2, b, b),
	} {
		if err == nil {
			t.Errorf("%s is no error", name)
		}
	}
}

func TestSequentialCoversTheSetOnce(t *testing.T) {
	t.Parallel()
	s, err := NewSequential(positions(t, 43), 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	if s.Len() != 4 {
		t.Fatalf("%d windows of 10 in 43 tokens", s.Len())
	}
	in, out := make([]int32, 40), make([]int32, 40)
	if err := s.Batch(0, 4, in, out); err != nil {
		t.Fatal(err)
	}
	for i := range in {
		if int(in[i]) != i || int(out[i]) != i+1 {
			t.Fatalf("element %d: input %d, target %d", i, in[i], out[i])
		}
	}
	if err := s.Batch(1, 4, in, out); err == nil {
		t.Error("a batch past the last window is no error")
	}
	if err := s.Batch(3, 1, in[:10], out[:10]); err != nil || in[0] != 30 {
		t.Errorf("last window starts at %d, error %v", in[0], err)
	}
}

func TestSequentialSpreadsEvenly(t *testing.T) {
	t.Parallel()
	s, err := NewSequential(positions(t, 1001), 10, 8)
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for i := range s.Len() {
		got = append(got, s.Start(i)/10)
	}
	if want := []int64{0, 12, 25, 37, 50, 62, 75, 87}; !slices.Equal(got, want) {
		t.Errorf("windows %v, want %v", got, want)
	}
	if s, err := NewSequential(positions(t, 101), 10, 1000); err != nil || s.Len() != 10 {
		t.Errorf("more windows allowed than there are: %d, error %v", s.Len(), err)
	}
	if _, err := NewSequential(positions(t, 101), 10, -1); err == nil {
		t.Error("-1 windows is no error")
	}
}

// Batches from disk equal those from memory and allocate nothing.
func TestSamplerOnShards(t *testing.T) {
	dir := t.TempDir()
	ids := ramp(5000, 300)
	writeShards(t, dir, ids, ShardOptions{VocabSize: 300, ShardTokens: 64})
	fromMemory, err := FromIDs(ids, 300)
	if err != nil {
		t.Fatal(err)
	}
	const ctx, n = 100, 10
	a, err1 := NewSampler(openShards(t, dir, OpenOptions{}), ctx, 5)
	b, err2 := NewSampler(fromMemory, ctx, 5)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	var buf [4][]int32
	for i := range buf {
		buf[i] = make([]int32, ctx*n)
	}
	allocs := testing.AllocsPerRun(10, func() {
		if err := errors.Join(a.Batch(1, 0, n, buf[0], buf[1]), b.Batch(1, 0, n, buf[2], buf[3])); err != nil {
			t.Fatal(err)
		}
	})
	if !slices.Equal(buf[0], buf[2]) || !slices.Equal(buf[1], buf[3]) {
		t.Error("shards and memory give different batches")
	}
	if allocs != 0 {
		t.Errorf("%v allocations a batch", allocs)
	}
}
