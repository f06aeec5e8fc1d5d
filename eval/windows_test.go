package eval

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/model"
)

// tokens returns a text of n tokens: 0, 1, 2, ...
func tokens(t *testing.T, n int) data.Tokens {
	t.Helper()
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(i)
	}
	text, err := data.FromIDs(ids, max(n, 1))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// batches lists all batches of w.
func batches(t *testing.T, w *Windows) (all []model.Batch) {
	t.Helper()
	for first := 0; first < w.Len; {
		b, err := w.Batch(first)
		if err != nil {
			t.Fatal(err)
		}
		if most := w.Largest(); b.Size > most.Size || len(b.Inputs) > len(most.Inputs) {
			t.Errorf("a batch of %d windows and %d tokens; the largest has %d and %d", b.Size, len(b.Inputs), most.Size, len(most.Inputs))
		}
		all = append(all, b)
		first += b.Size
	}
	return all
}

// TestWindowsCountOnce checks for many sizes that each token but the first is a target
// once, after its predecessor, whatever the stride and the batch.
func TestWindowsCountOnce(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 3, 7, 8, 9, 10, 24, 25, 31} {
		for _, o := range []WindowOptions{{Context: 8}, {Context: 8, Stride: 8, AtOnce: 3}, {Context: 8, Stride: 1, AtOnce: 2},
			{Context: 8, Stride: 5, AtOnce: 4}, {Context: 1}, {Context: 40, Stride: 3}, {Context: 8, Spread: true, AtOnce: 2}} {
			w, err := NewWindows(tokens(t, n), o)
			if err != nil {
				t.Fatal(err)
			}
			var seen []int32
			for _, b := range batches(t, w) {
				for i, id := range b.Targets {
					if id == backend.Ignore {
						continue
					}
					if b.Inputs[i] != id-1 {
						t.Errorf("%d tokens, %+v: %d is predicted from %d", n, o, id, b.Inputs[i])
					}
					seen = append(seen, id)
				}
			}
			slices.Sort(seen)
			want := make([]int32, n-1)
			for i := range want {
				want[i] = int32(i + 1)
			}
			if !slices.Equal(seen, want) {
				t.Errorf("%d tokens, %+v: targets %v", n, o, seen)
			}
		}
	}
}

// TestWindowsMost checks which windows a limit leaves: the first ones, or some from all
// over the text.
func TestWindowsMost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		o      WindowOptions
		first  []int32 // inputs of each window
		stride int
	}{
		{WindowOptions{Context: 4, Most: 2}, []int32{0, 4}, 4},
		{WindowOptions{Context: 4, Stride: 2, Most: 2, Spread: true}, []int32{0, 2}, 2},
		{WindowOptions{Context: 4, Most: 100, Spread: true}, []int32{0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40}, 4},
	} {
		w, err := NewWindows(tokens(t, 45), c.o)
		if err != nil {
			t.Fatal(err)
		}
		var first []int32
		for _, b := range batches(t, w) {
			first = append(first, b.Inputs[0])
		}
		if !slices.Equal(first, c.first) || w.Stride != c.stride {
			t.Errorf("%+v: windows begin at %v, stride %d; want %v, %d", c.o, first, w.Stride, c.first, c.stride)
		}
	}
	w, err := NewWindows(tokens(t, 1000), WindowOptions{Context: 4, Most: 5, Spread: true})
	if err != nil {
		t.Fatal(err)
	}
	var first []int32
	for _, b := range batches(t, w) {
		first = append(first, b.Inputs[0])
	}
	if w.Stride != 0 || len(first) != 5 || first[4] < 500 {
		t.Errorf("five windows of 1000 tokens begin at %v, stride %d; want them all over the text", first, w.Stride)
	}
}

func TestWindowsTooShort(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1} {
		if _, err := NewWindows(tokens(t, n), WindowOptions{Context: 4}); !errors.Is(err, data.ErrTooShort) {
			t.Errorf("%d tokens: %v", n, err)
		}
	}
}

func ExampleNewWindows() {
	text, err := data.FromIDs([]int32{0, 1, 2, 3, 4, 5}, 6)
	if err != nil {
		panic(err)
	}
	w, err := NewWindows(text, WindowOptions{Context: 4, Stride: 2})
	if err != nil {
		panic(err)
	}
	for first := 0; first < w.Len; first++ {
		b, err := w.Batch(first)
		if err != nil {
			panic(err)
		}
		fmt.Println(b.Inputs, "->", b.Targets)
	}
	// Output:
	// [0 1 2] -> [1 2 3]
	// [2 3 4] -> [-1 4 5]
}
