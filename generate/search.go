package generate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/kernel"
)

// ErrNotFinite is wrapped by the error of logits that are NaN or infinite.
var ErrNotFinite = errors.New("logits are not finite")

// SearchOptions say how the best continuation is looked for.
type SearchOptions struct {
	Beam          int     // hypotheses that are followed at a time; 1 takes the likeliest token each time (greedy)
	LengthPenalty float64 // power of the length that log-probabilities are divided by; 0: none, more: longer texts
	NBest         int     // hypotheses to return, at most Beam
}

// DefaultSearch returns the settings that fairseq has.
func DefaultSearch() SearchOptions { return SearchOptions{Beam: 5, LengthPenalty: 1, NBest: 1} }

// maxBeam bounds memory.
const maxBeam = 1 << 10

// Validate reports the first setting that cannot be.
func (o SearchOptions) Validate() error {
	switch {
	case o.Beam < 1 || o.Beam > maxBeam:
		return fmt.Errorf("generate: a beam of %d hypotheses; give 1 to %d", o.Beam, maxBeam)
	case !(math.Abs(o.LengthPenalty) <= 10):
		return fmt.Errorf("generate: the length penalty is %v; give -10 to 10", o.LengthPenalty)
	case o.NBest < 1 || o.NBest > o.Beam:
		return fmt.Errorf("generate: the %d best of %d hypotheses; give 1 to %d, or a wider beam", o.NBest, o.Beam, o.Beam)
	}
	return nil
}

// Decoder is a model that writes hypotheses token by token, as *model.Decoding
// does: the same number of them for each of its sources, side by side.
type Decoder interface {
	// Next gives every hypothesis its next token, ids (N), and writes the logits
	// (N,V) of what may follow to dst.
	Next(dst []float32, ids []int32) error
	// Reorder lets hypothesis i go on from where hypothesis parents[i] is, one of the
	// same source. A source none of whose hypotheses goes on is left out from then on.
	Reorder(parents []int32)
}

// Start is where the hypotheses of a source begin.
type Start struct {
	Begin int32 // the token before the first
	Most  int   // tokens at most, after Begin and before the end
}

// Hypothesis is a text that the model may mean.
type Hypothesis struct {
	IDs     []int32 // without the end
	LogProb float64 // logarithm of its probability, the end's included
	Score   float64 // LogProb / n^LengthPenalty, n = len(IDs)+1 for the end, if there is one
}

// Search is beam search as fairseq does it. Each step ranks all continuations of
// a source's hypotheses by log-probability, of equals the one of the better
// hypothesis and then the lowest id first. Those of the Beam first that end are
// finished; the Beam first that do not end go on. The search is over with Beam
// finished hypotheses (first come, first served, in the words of Kasai et al., arXiv
// 2204.05424), so that a beam of 1 is greedy. What has Most tokens must end. Where
// there is no end, what has Most tokens is finished. The finished are ordered by Score.
//
// Log-probabilities are summed in float64, in the order of positions.
type Search struct {
	SearchOptions
	End  int32  // the token that ends a hypothesis; negative for none
	Text []bool // (V): the tokens that a hypothesis may hold; whether End is one is not looked at
}

// Run returns the NBest hypotheses of each source, best first: fewer only where
// there are no more. d has read the sources and holds Beam hypotheses for each,
// without a token; it has room for one position more than the largest Most. It fails
// when d does, and with ErrNotFinite.
func (s Search) Run(d Decoder, starts []Start) ([][]Hypothesis, error) {
	V, N := len(s.Text), len(starts)*s.Beam
	logits, ids, parents := make([]float32, N*V), make([]int32, N), make([]int32, 0, N)
	beams := make([]beam, len(starts))
	open := make([]*beam, len(starts)) // of sources whose search is not over, in order
	for i, start := range starts {
		beams[i] = beam{Search: s, most: start.Most, live: []path{{}}}
		open[i] = &beams[i]
		for r := range s.Beam {
			ids[i*s.Beam+r] = start.Begin
		}
	}
	for position := 0; len(open) > 0; position++ {
		N = len(open) * s.Beam
		if err := d.Next(logits[:N*V], ids[:N]); err != nil {
			return nil, err
		}
		var next []*beam
		parents = parents[:0]
		for i, b := range open {
			if err := b.step(logits[i*s.Beam*V:][:s.Beam*V], position); err != nil {
				return nil, err
			}
			if len(b.live) == 0 {
				continue
			}
			next = append(next, b)
			for r := range s.Beam {
				p := b.live[min(r, len(b.live)-1)] // where there are fewer, the last one fills up
				ids[len(parents)] = p.ids[position]
				parents = append(parents, int32(i*s.Beam+p.parent))
			}
		}
		if open = next; len(open) > 0 {
			d.Reorder(parents)
		}
	}
	best := make([][]Hypothesis, len(beams))
	for i, b := range beams {
		slices.SortStableFunc(b.finished, func(x, y Hypothesis) int { return cmp.Compare(y.Score, x.Score) })
		best[i] = b.finished[:min(s.NBest, len(b.finished))]
	}
	return best, nil
}

// path is a hypothesis that has not ended.
type path struct {
	ids     []int32
	logProb float64
	parent  int // where it was a step ago
}

// beam is the search for one source.
type beam struct {
	Search
	most     int
	live     []path // likeliest first; none when the search is over
	finished []Hypothesis
	ranked   []continuation
	likely   []int32
}

// continuation is the end of hypothesis parent, or one more token of it.
type continuation struct {
	parent  int
	id      int32
	logProb float64
}

// step goes on by a token, given the logits (Beam,V) after the live hypotheses,
// which have n tokens.
func (b *beam) step(logits []float32, n int) error {
	V := len(b.Text)
	b.ranked = b.ranked[:0]
	for r, p := range b.live {
		row := logits[r*V:][:V]
		total := logSumExp(row)
		if math.IsNaN(total) || math.IsInf(total, 0) {
			return fmt.Errorf("generate: %w after token %d; are the weights damaged, or of a run that diverged?", ErrNotFinite, n)
		}
		b.likely = b.top(b.likely[:0], row, n == b.most)
		for _, id := range b.likely {
			b.ranked = append(b.ranked, continuation{r, id, p.logProb + (float64(row[id]) - total)})
		}
	}
	slices.SortStableFunc(b.ranked, func(x, y continuation) int { return cmp.Compare(y.logProb, x.logProb) })
	var next []path
	for rank, c := range b.ranked {
		text := b.live[c.parent].ids
		switch {
		case c.id != b.End && len(next) < b.Beam:
			next = append(next, path{append(slices.Clip(text), c.id), c.logProb, c.parent})
		case c.id == b.End && rank < b.Beam && len(b.finished) < b.Beam:
			b.finish(text, c.logProb, n+1)
		}
	}
	if b.End < 0 && n+1 == b.most { // there is no end to wait for
		for _, p := range next {
			b.finish(p.ids, p.logProb, n+1)
		}
		next = nil
	}
	if len(b.finished) == b.Beam {
		next = nil
	}
	b.live = next
	return nil
}

// finish adds a hypothesis of n tokens, the end included.
func (b *beam) finish(ids []int32, logProb float64, n int) {
	b.finished = append(b.finished, Hypothesis{ids, logProb, logProb / math.Pow(float64(n), b.LengthPenalty)})
}

// top appends the likeliest tokens of a row to dst: as many as hold Beam that go
// on, or the end alone.
func (b *beam) top(dst []int32, row []float32, end bool) []int32 {
	if end {
		return append(dst, b.End)
	}
	return likeliest(dst, row, b.Beam+1, func(id int32) bool { return b.Text[id] || id == b.End })
}

// likeliest appends the k likeliest tokens of a row to dst, which is empty: likeliest
// first, of equals the lowest first, of those that may be.
func likeliest(dst []int32, row []float32, k int, may func(id int32) bool) []int32 {
	least := float32(math.Inf(-1))
	for i, l := range row {
		id := int32(i)
		if len(dst) == k && l <= least || !may(id) {
			continue
		}
		if len(dst) == k {
			dst = dst[:k-1]
		}
		at := len(dst)
		for at > 0 && row[dst[at-1]] < l {
			at--
		}
		dst = slices.Insert(dst, at, id)
		least = row[dst[len(dst)-1]]
	}
	return dst
}

// together is how many elements logSumExp adds up in float32.
const together = 512

// logSumExp returns ln sum exp(row). The sums of 512 elements are those of
// kernel.ISA.ExpSum, which are the same on every instruction set.
func logSumExp(row []float32) float64 {
	isa := kernel.ISA(cpufeat.Best())
	largest := isa.RowMax(row)
	var exp [together]float32
	var sum float64
	for x := range slices.Chunk(row, together) {
		sum += float64(isa.ExpSum(exp[:len(x)], x, 1, largest))
	}
	return float64(largest) + math.Log(sum)
}
