package pairs

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math"
	"slices"
	"strings"
	"testing"
)

var special = Special{SourceEnd: 100, SourcePad: 101, Begin: 102, End: 103, Pad: 104}

func someSet(t testing.TB, n int) (*Set, [][2][]int32) {
	t.Helper()
	all := someIDs(n, 100)
	for i := range all { // every pair can be told from the others
		all[i][0] = append(all[i][0], int32(i%100), int32(i/100%100), int32(i/10_000))
	}
	v := Vocabulary{Size: 100}
	return writeSet(t, t.TempDir(), v, v, all), all
}

func newBatches(t testing.TB, s *Set, o BatchOptions) *Batches {
	t.Helper()
	o.Special = special
	b, err := NewBatches(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// checkBatch compares a batch with the pairs that it is to have.
func checkBatch(t testing.TB, b *Batch, all [][2][]int32) {
	t.Helper()
	S, T, targets := 0, 0, 0
	for _, p := range all {
		S, T, targets = max(S, len(p[0])+1), max(T, len(p[1])+1), targets+len(p[1])+1
	}
	if want := (Shape{len(all), S, T, targets}); b.Shape != want {
		t.Fatalf("shape %v, want %v", b.Shape, want)
	}
	pad := func(ids []int32, n int, id int32) []int32 {
		return slices.Concat(ids, slices.Repeat([]int32{id}, n-len(ids)))
	}
	var want Batch
	for _, p := range all {
		want.Source = append(want.Source, pad(slices.Concat(p[0], []int32{100}), S, 101)...)
		want.Input = append(want.Input, pad(slices.Concat([]int32{102}, p[1]), T, 104)...)
		want.Target = append(want.Target, pad(slices.Concat(p[1], []int32{103}), T, -1)...)
		want.SourceLengths = append(want.SourceLengths, int32(len(p[0])+1))
		want.TargetLengths = append(want.TargetLengths, int32(len(p[1])+1))
	}
	if !slices.Equal(b.Source, want.Source) || !slices.Equal(b.Input, want.Input) || !slices.Equal(b.Target, want.Target) ||
		!slices.Equal(b.SourceLengths, want.SourceLengths) || !slices.Equal(b.TargetLengths, want.TargetLengths) {
		t.Fatalf("batch\n%v\nwant\n%v", *b, want)
	}
}

// Every epoch has every pair once, in batches within the budget, padded as
// documented, and never in the same order.
func TestEpochs(t *testing.T) {
	t.Parallel()
	const n, budget, epochs = 3000, 512, 3
	set, all := someSet(t, n)
	b := newBatches(t, set, BatchOptions{Tokens: budget, Window: 700, Seed: 5})
	var got Batch
	orders := map[string]bool{}
	step := 0
	for epoch := range epochs {
		if b.Steps(epoch) != step {
			t.Fatalf("%d steps before epoch %d, want %d", b.Steps(epoch), epoch, step)
		}
		var taken []int32
		last := 0.0
		for ; step < b.Steps(epoch+1); step++ {
			if e, done, err := b.Epoch(step + 1); err != nil || e != epoch || done < last || done >= 1 {
				t.Fatalf("step %d: epoch %d, %v of it, error %v", step+1, e, done, err)
			} else {
				last = done
			}
			shape, err := b.Shape(step + 1)
			if err != nil {
				t.Fatal(err)
			}
			if shape.B < 1 || shape.B*(shape.S+shape.T) > budget {
				t.Fatalf("step %d: shape %v, budget %d", step+1, shape, budget)
			}
			if err := b.Fill(step+1, 0, shape.B, &got); err != nil {
				t.Fatal(err)
			}
			var of [][2][]int32
			for _, source := range slices.Collect(slices.Chunk(got.Source, got.S)) {
				end := slices.Index(source, 100)
				i := source[end-3] + 100*source[end-2] + 10_000*source[end-1]
				taken = append(taken, i)
				of = append(of, all[i])
			}
			checkBatch(t, &got, of)
		}
		orders[fmt.Sprint(taken)] = true
		slices.Sort(taken)
		for i := range n {
			if len(taken) != n || taken[i] != int32(i) {
				t.Fatalf("epoch %d has %d pairs, not each of %d once", epoch, len(taken), n)
			}
		}
	}
	if len(orders) != epochs {
		t.Errorf("%d epochs have %d orders", epochs, len(orders))
	}
}

// addBatch adds all that a batch consists of.
func addBatch(t testing.TB, h hash.Hash, b *Batch) {
	t.Helper()
	shape := []int32{int32(b.B), int32(b.S), int32(b.T), int32(b.Targets)}
	for _, x := range [][]int32{shape, b.Source, b.Input, b.Target, b.SourceLengths, b.TargetLengths} {
		if err := binary.Write(h, binary.LittleEndian, x); err != nil {
			t.Fatal(err)
		}
	}
}

// hashStep returns a hash of the whole batch of a step.
func hashStep(t testing.TB, b *Batches, step int) [32]byte {
	t.Helper()
	shape, err := b.Shape(step)
	if err != nil {
		t.Fatal(err)
	}
	var batch Batch
	if err := b.Fill(step, 0, shape.B, &batch); err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	addBatch(t, h, &batch)
	return [32]byte(h.Sum(nil))
}

// A step has the same bits whatever was asked before it.
func TestStepsInAnyOrder(t *testing.T) {
	t.Parallel()
	set, _ := someSet(t, 1000)
	o := BatchOptions{Tokens: 512, Window: 300, Seed: 3}
	b := newBatches(t, set, o)
	steps := b.Steps(4)
	want := make([][32]byte, steps+1)
	for step := 1; step <= steps; step++ {
		want[step] = hashStep(t, b, step)
	}
	if distinct := slices.Compact(slices.SortedFunc(slices.Values(want[1:]), func(x, y [32]byte) int { return slices.Compare(x[:], y[:]) })); len(distinct) != steps {
		t.Errorf("%d steps have %d different batches", steps, len(distinct))
	}
	for step := steps; step >= 1; step -= 7 {
		if hashStep(t, b, step) != want[step] {
			t.Errorf("step %d differs when asked for again", step)
		}
		if step%3 == 0 && hashStep(t, newBatches(t, set, o), step) != want[step] {
			t.Errorf("step %d differs when asked for first", step)
		}
	}
	o.Seed++
	if hashStep(t, newBatches(t, set, o), 1) == want[1] {
		t.Error("another seed has the same first batch")
	}
}

// A change of the batches would break resuming. The expected hash comes from a
// separate computation of the pairs, draws and batches in Python.
func TestBatchesArePinned(t *testing.T) {
	t.Parallel()
	set, _ := someSet(t, 500)
	b := newBatches(t, set, BatchOptions{Tokens: 300, Window: 200, Seed: 1234})
	h := sha256.New()
	for step := 1; step <= b.Steps(2); step++ {
		x := hashStep(t, b, step)
		h.Write(x[:])
	}
	if got, want := fmt.Sprintf("%d %x", b.Steps(2), h.Sum(nil)[:8]), "179 b7cd74f979a54267"; got != want {
		t.Errorf("steps and their hash %s, want %s", got, want)
	}
}

// Micro-batches put together are the whole batch.
func TestMicroBatches(t *testing.T) {
	t.Parallel()
	set, _ := someSet(t, 300)
	b := newBatches(t, set, BatchOptions{Tokens: 700})
	for step := 1; step <= 10; step++ {
		shape, err := b.Shape(step)
		if err != nil {
			t.Fatal(err)
		}
		var whole, part, sum Batch
		if err := b.Fill(step, 0, shape.B, &whole); err != nil || whole.Shape != shape {
			t.Fatalf("shape %v, want %v, error %v", whole.Shape, shape, err)
		}
		for size := 1; size <= shape.B; size++ {
			sum = Batch{}
			for first := 0; first < shape.B; first += size {
				if err := b.Fill(step, first, min(size, shape.B-first), &part); err != nil {
					t.Fatal(err)
				}
				sum.Shape = Shape{sum.B + part.B, part.S, part.T, sum.Targets + part.Targets}
				sum.Source = append(sum.Source, part.Source...)
				sum.Input = append(sum.Input, part.Input...)
				sum.Target = append(sum.Target, part.Target...)
				sum.SourceLengths = append(sum.SourceLengths, part.SourceLengths...)
				sum.TargetLengths = append(sum.TargetLengths, part.TargetLengths...)
			}
			x, y := sha256.New(), sha256.New()
			addBatch(t, x, &sum)
			addBatch(t, y, &whole)
			if !slices.Equal(x.Sum(nil), y.Sum(nil)) {
				t.Fatalf("step %d: micro-batches of %d differ from the whole", step, size)
			}
		}
	}
}

func TestRoom(t *testing.T) {
	t.Parallel()
	set, _ := someSet(t, 1000)
	b := newBatches(t, set, BatchOptions{Tokens: 512})
	steps := b.Steps(3) + 2
	most, err := b.Capacity(steps)
	if err != nil {
		t.Fatal(err)
	}
	var want Capacity
	for step := 1; step <= steps; step++ {
		shape, err := b.Shape(step)
		if err != nil {
			t.Fatal(err)
		}
		want = Capacity{max(want.B, shape.B), max(want.S, shape.S), max(want.T, shape.T), max(want.SourceRows, shape.B*shape.S), max(want.TargetRows, shape.B*shape.T)}
	}
	if most != want {
		t.Errorf("most %v, want %v", most, want)
	}
}

// With the most said, steps allocate nothing, over the end of an epoch too.
func TestStepsDoNotAllocate(t *testing.T) {
	set, _ := someSet(t, 1000)
	b := newBatches(t, set, BatchOptions{Tokens: 512})
	steps := b.Steps(3)
	most, err := b.Capacity(steps)
	if err != nil {
		t.Fatal(err)
	}
	dst := NewBatch(most)
	if n := testing.AllocsPerRun(1, func() {
		for step := 1; step <= steps; step++ {
			shape, err := b.Shape(step)
			if err == nil {
				err = b.Fill(step, 0, shape.B, dst)
			}
			if err != nil {
				t.Error(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations in %d steps", n, steps)
	}
}

// Evaluation takes every pair once; each batch is as full as the budget allows.
func TestSequential(t *testing.T) {
	t.Parallel()
	const n, budget = 2000, 400
	set, all := someSet(t, n)
	s, err := NewSequential(set, budget, special)
	if err != nil {
		t.Fatal(err)
	}
	dst := NewBatch(s.Capacity())
	memory := cap(dst.Source) + cap(dst.Input) + cap(dst.Target) + cap(dst.SourceLengths) + cap(dst.TargetLengths)
	var taken []int32
	real, padded := 0, 0
	for k := range s.Len() {
		shape := s.Shape(k)
		if err := s.Fill(k, 0, shape.B, dst); err != nil {
			t.Fatal(err)
		}
		var of [][2][]int32
		for _, i := range s.Pairs(k) {
			of = append(of, all[i])
			real += len(all[i][0]) + len(all[i][1]) + 2
		}
		checkBatch(t, dst, of)
		padded += shape.B * (shape.S + shape.T)
		if shape.B*(shape.S+shape.T) > budget {
			t.Errorf("batch %d: shape %v, budget %d", k, shape, budget)
		}
		if k+1 < s.Len() {
			next := all[s.Pairs(k + 1)[0]]
			if (shape.B+1)*(max(shape.S, len(next[0])+1)+max(shape.T, len(next[1])+1)) <= budget {
				t.Errorf("batch %d of shape %v has most for the next pair", k, shape)
			}
		}
		taken = append(taken, s.Pairs(k)...)
	}
	if now := cap(dst.Source) + cap(dst.Input) + cap(dst.Target) + cap(dst.SourceLengths) + cap(dst.TargetLengths); now != memory {
		t.Errorf("the batch grew from %d to %d", memory, now)
	}
	slices.Sort(taken)
	for i := range n {
		if len(taken) != n || taken[i] != int32(i) {
			t.Fatalf("%d pairs, not each of %d once", len(taken), n)
		}
	}
	if share := float64(real) / float64(padded); share < 0.9 {
		t.Errorf("%.3f of the positions are no padding", share)
	}
	for _, c := range [][3]int{{-1, 0, 1}, {s.Len(), 0, 1}, {0, -1, 1}, {0, 0, -1}, {0, 0, s.Shape(0).B + 1}, {0, math.MaxInt, math.MaxInt}} {
		if err := s.Fill(c[0], c[1], c[2], dst); err == nil {
			t.Errorf("%v is no error", c)
		}
	}
}

func TestBatchesRefuse(t *testing.T) {
	t.Parallel()
	v := Vocabulary{Size: 5}
	set := writeSet(t, t.TempDir(), v, v, [][2][]int32{{{1}, {}}, {{1, 2, 3}, {1, 2}}, {{}, {}}})
	for _, o := range []BatchOptions{{}, {Tokens: 6}, {Tokens: int(past32)}, {Tokens: 10, Window: -1}, {Tokens: 10, Special: Special{Pad: -1}}} {
		if _, err := NewBatches(set, o); err == nil {
			t.Errorf("%+v is no error", o)
		}
	}
	if _, err := NewSequential(set, 6, special); err == nil || !strings.Contains(err.Error(), "pair 1 takes 7 positions, a batch has 6") {
		t.Errorf("error %v", err)
	}
	b := newBatches(t, set, BatchOptions{Tokens: 7})
	for _, step := range []int{-1, 0, int(past32)} {
		if _, err := b.Shape(step); err == nil {
			t.Errorf("step %d is no error", step)
		}
	}
	if err := b.Fill(1, 0, 3, &Batch{}); err == nil {
		t.Error("samples 0..2 of a smaller batch are no error")
	}
	set.Close()
	if _, err := NewBatches(set, BatchOptions{Tokens: 10}); !errors.Is(err, ErrNoPairs) {
		t.Errorf("a closed set: error %v", err)
	}
}

func BenchmarkFill(b *testing.B) {
	set, _ := someSet(b, 30_000)
	batches := newBatches(b, set, BatchOptions{Tokens: 4096})
	most, err := batches.Capacity(batches.Steps(1))
	if err != nil {
		b.Fatal(err)
	}
	dst := NewBatch(most)
	step := 0
	b.ReportAllocs()
	for b.Loop() {
		step = step%batches.Steps(1) + 1
		shape, err := batches.Shape(step)
		if err == nil {
			err = batches.Fill(step, 0, shape.B, dst)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEpoch(b *testing.B) {
	set, _ := someSet(b, 30_000)
	batches := newBatches(b, set, BatchOptions{Tokens: 4096})
	b.ReportAllocs()
	for b.Loop() {
		batches.arrange(1 - max(batches.epoch, 0))
	}
}

// TestPairsOfABatch: a limit in pairs cuts batches that the tokens would leave whole, and every pair comes once all the
// same.
func TestPairsOfABatch(t *testing.T) {
	t.Parallel()
	set := writeSet(t, t.TempDir(), Vocabulary{Size: 50}, Vocabulary{Size: 50}, someIDs(200, 50))
	b, err := NewBatches(set, BatchOptions{Tokens: 10_000, Pairs: 7, Special: Special{1, 2, 3, 4, 5}})
	if err != nil {
		t.Fatal(err)
	}
	if n := b.Steps(1); n != 29 {
		t.Errorf("%d steps, want 29", n)
	}
	sum := 0
	for step := range b.Steps(1) {
		s, err := b.Shape(step + 1)
		if err != nil || s.B > 7 {
			t.Fatalf("step %d: %+v, error %v", step+1, s, err)
		}
		sum += s.B
	}
	if sum != set.Len() {
		t.Errorf("%d pairs in an epoch of %d", sum, set.Len())
	}
	if _, err := NewBatches(set, BatchOptions{Tokens: 100, Pairs: -1}); err == nil {
		t.Error("a negative limit is no error")
	}
}
