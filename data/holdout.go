package data

import (
	"fmt"
	"math"
	"slices"

	"github.com/bdia-go/bdia/internal/rng"
)

// Range are the tokens From..To-1 of a set.
type Range struct{ From, To int64 }

// Held is what is held out of a text.
type Held struct {
	Ranges    []Range // in order, apart from each other
	Documents []int   // numbers of the documents that are held out, from 0; nil: blocks are
}

// fewDocuments are too few to hold some of them out.
const fewDocuments = 10

// HoldOut chooses the share of a text of total tokens that is held out for validation, at least least tokens if the
// text has twice as many. starts are the first tokens of its documents. Of ten documents and more, whole ones are drawn
// until the share is met as nearly as they allow; the draw is always the same. Of fewer, or where a long one makes that
// impossible, blocks are taken that are spread over the text: it is cut into up to 20 equal parts, each long enough for
// blocks of least tokens, and the middle of each is held out; their sum is the share exactly.
func HoldOut(starts []int64, total int64, share float64, least int64) (Held, error) {
	if !(share >= 0 && share < 1) {
		return Held{}, fmt.Errorf("data: validation fraction %v is outside [0,1)", share)
	}
	want := int64(math.Floor(share * float64(total)))
	if share == 0 {
		return Held{}, nil
	}
	if want < least && total >= 2*least {
		want = least
	}
	if len(starts) >= fewDocuments {
		if h, n := drawDocuments(starts, total, want); n >= least && total-n >= least && 2*max(n-want, want-n) <= want {
			return h, nil
		}
	}
	return Held{Ranges: blocks(total, want, least)}, nil
}

// drawDocuments draws documents of about want tokens together. It returns their tokens.
func drawDocuments(starts []int64, total, want int64) (h Held, n int64) {
	end := func(i int) int64 {
		if i+1 < len(starts) {
			return starts[i+1]
		}
		return total
	}
	for i := range shuffled(len(starts)) {
		size := end(i) - starts[i]
		if size > 0 && max(n+size-want, want-n-size) < want-n { // nearer with it
			h.Documents, n = append(h.Documents, i), n+size
		}
		if n >= want {
			break
		}
	}
	slices.Sort(h.Documents)
	for _, i := range h.Documents {
		if k := len(h.Ranges); k > 0 && h.Ranges[k-1].To == starts[i] {
			h.Ranges[k-1].To = end(i)
		} else {
			h.Ranges = append(h.Ranges, Range{starts[i], end(i)})
		}
	}
	return h, n
}

// shuffled gives the numbers 0..n-1 in an order that depends on n only: sorted by a hash.
func shuffled(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		order := make([]uint64, n) // of a hash of 32 bits, and the number
		for i := range order {
			hash := rng.Key{Seed: 1, Sample: uint32(i), Site: rng.SiteData}.Uint64(0)
			order[i] = hash&^math.MaxUint32 | uint64(i)
		}
		slices.Sort(order)
		for _, o := range order {
			if !yield(int(o & math.MaxUint32)) {
				return
			}
		}
	}
}

// blocks spreads want tokens over total.
func blocks(total, want, least int64) (ranges []Range) {
	const most = 20
	n := min(max(want/max(4*least, 1), 1), most)
	for i := range n {
		from, to := total*i/n, total*(i+1)/n
		size := want*(i+1)/n - want*i/n
		begin := from + (to-from-size)/2
		if size > 0 {
			ranges = append(ranges, Range{begin, begin + size})
		}
	}
	return ranges
}

// Cut writes the tokens in ranges, which are in order, to held and all others to rest. What stands on both sides of a
// range meets in rest, so a window of training text may run across that place: between documents of a tokenizer with an
// end-of-text token that token is there; characters have none, and blocks are cut anywhere.
func Cut(t Tokens, ranges []Range, rest, held *ShardWriter) error {
	at := int64(0)
	for _, r := range append(slices.Clone(ranges), Range{t.Len(), t.Len()}) {
		if err := copyTokens(rest, t, at, r.From); err != nil {
			return err
		}
		if err := copyTokens(held, t, r.From, r.To); err != nil {
			return err
		}
		at = r.To
	}
	return nil
}

// copyTokens writes the tokens from..to-1 of t to w.
func copyTokens(w *ShardWriter, t Tokens, from, to int64) error {
	buf := make([]int32, 16<<10)
	for from < to {
		some := buf[:min(to-from, int64(len(buf)))]
		if err := t.Read(some, from); err != nil {
			return err
		}
		if err := w.Write(some); err != nil {
			return err
		}
		from += int64(len(some))
	}
	return nil
}
