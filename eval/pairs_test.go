package eval

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/bdia-go/bdia/data/pairs"
)

// pairSet returns n pairs of rising length: pair i has i%10+1 tokens on both sides.
func pairSet(t *testing.T, n int) *pairs.Sequential {
	t.Helper()
	dir := t.TempDir()
	v := pairs.Vocabulary{Size: 8}
	w, err := pairs.Create(dir, "val", v, v)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i := range n {
		ids := make([]int32, i%10+1)
		if err := w.Add(ids, ids); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	set, err := pairs.Open(dir, "val", pairs.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	s, err := pairs.NewSequential(set, 40, pairs.Special{SourceEnd: 8, SourcePad: 9, Begin: 8, End: 9, Pad: 10})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestEachPairBatch checks that all pairs come once, and that a part of them has both
// the shortest and long ones.
func TestEachPairBatch(t *testing.T) {
	t.Parallel()
	set := pairSet(t, 100)
	for _, most := range []int{0, 1, 30, 100, 1000} {
		n, buf := 0, pairs.NewBatch(pairs.Capacity{})
		var lengths []int
		if err := EachPairBatch(t.Context(), set, most, buf, func(b *pairs.Batch) error {
			n += b.B
			lengths = append(lengths, b.S)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if whole := most == 0 || most >= 100; whole && n != 100 || !whole && (n < most || n > most+20) {
			t.Errorf("most %d: %d pairs", most, n)
		}
		if most == 30 && (slices.Min(lengths) > 3 || slices.Max(lengths) < 8) {
			t.Errorf("most %d: sources of %v positions, want short and long ones", most, lengths)
		}
	}
}

// TestEachPairBatchStops checks that an error of do and the end of the context stop it.
func TestEachPairBatchStops(t *testing.T) {
	t.Parallel()
	set, buf, wrong := pairSet(t, 30), pairs.NewBatch(pairs.Capacity{}), errors.New("wrong")
	if err := EachPairBatch(t.Context(), set, 0, buf, func(*pairs.Batch) error { return wrong }); err != wrong {
		t.Errorf("got %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := EachPairBatch(ctx, set, 0, buf, func(*pairs.Batch) error { return wrong }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
