package generate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/pmath"
	"github.com/bdia-go/bdia/kernel"
)

// ErrNotFinite is wrapped by errors about logits that are NaN or infinite.
var ErrNotFinite = errors.New("logits are not finite")

// SearchOptions are the options of beam search.
type SearchOptions struct {
	Beam          int     // hypotheses followed at a time; 1 is greedy: the likeliest token each time
	LengthPenalty float64 // log-probabilities are divided by length^LengthPenalty; 0: no division; larger values favour longer texts
	NBest         int     // hypotheses to return, at most Beam
}

// DefaultSearch returns fairseq's settings.
func DefaultSearch() SearchOptions { return SearchOptions{Beam: 5, LengthPenalty: 1, NBest: 1} }

// maxBeam limits memory.
const maxBeam = 1 << 10

// Validate returns an error for the first invalid setting.
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

// Decoder is a model that extends hypotheses token by token, for example
// *model.Decoding. It holds the same number of hypotheses for each source, one source
// after the other.
type Decoder interface {
	// Next appends a token to every hypothesis, ids (N), and writes the logits (N,V) of
	// the tokens after it to dst.
	Next(dst []float32, ids []int32) error
	// Reorder replaces hypothesis i by hypothesis parents[i], of the same source. If no
	// hypothesis of a source is a parent, the source is dropped.
	Reorder(parents []int32)
}

// Start is the start of the hypotheses of a source.
type Start struct {
	Begin int32 // the token before the first
	Most  int   // largest number of tokens after Begin, the end not counted
}

// Hypothesis is a possible output of the model.
type Hypothesis struct {
	IDs     []int32 // without the end
	LogProb float64 // log-probability, with the end token's
	Score   float64 // LogProb / n^LengthPenalty, n = len(IDs)+1 for the end, if there is one
}

// Search is beam search as in fairseq. Each step ranks all continuations of a source's
// hypotheses by log-probability; of equals, the better hypothesis and then the lowest
// id comes first. Among the first Beam continuations, those with an end token are
// finished; a text ends in one way, by the likeliest of its end tokens. The first Beam
// continuations without it go on. The search is over with Beam finished hypotheses
// ("first come, first served", Kasai et al., arXiv 2204.05424), so a beam of 1 is
// greedy. A hypothesis of Most tokens must end next; without an end token it is finished
// as it is. Finished hypotheses are ordered by Score.
//
// Log-probabilities are summed in float64, in the order of positions.
type Search struct {
	SearchOptions
	Ends []int32 // the tokens that end a hypothesis; none: it is as long as it may be
	Text []bool  // (V): the tokens that a hypothesis may have; the entries of Ends are ignored
}

// Run returns the NBest hypotheses of each source, best first, or fewer if no more
// exist. d must have read the sources and hold Beam empty hypotheses for each, with a
// capacity of one position more than the largest Most. Errors are d's, and
// ErrNotFinite.
func (s Search) Run(d Decoder, starts []Start) ([][]Hypothesis, error) {
	V, N := len(s.Text), len(starts)*s.Beam
	logits, ids, parents := make([]float32, N*V), make([]int32, N), make([]int32, 0, N)
	beams := make([]beam, len(starts))
	open := make([]*beam, len(starts)) // the sources still being searched, in order
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
				p := b.live[min(r, len(b.live)-1)] // with fewer, repeat the last one
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

// path is an unfinished hypothesis.
type path struct {
	ids     []int32
	logProb float64
	parent  int // its index one step ago
}

// beam is the search for one source.
type beam struct {
	Search
	most     int
	live     []path // likeliest first; empty when the search is over
	finished []Hypothesis
	ranked   []continuation
	likely   []int32
}

// continuation is hypothesis parent with one more token, or ended.
type continuation struct {
	parent  int
	id      int32
	logProb float64
}

// step extends the live hypotheses, which have n tokens, by one token, given their next
// logits (Beam,V).
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
		ended := false
		for _, id := range b.likely {
			if b.ends(id) && ended {
				continue
			}
			ended = ended || b.ends(id)
			b.ranked = append(b.ranked, continuation{r, id, p.logProb + (float64(row[id]) - total)})
		}
	}
	slices.SortStableFunc(b.ranked, func(x, y continuation) int { return cmp.Compare(y.logProb, x.logProb) })
	var next []path
	for rank, c := range b.ranked {
		text := b.live[c.parent].ids
		switch {
		case !b.ends(c.id) && len(next) < b.Beam:
			next = append(next, path{append(slices.Clip(text), c.id), c.logProb, c.parent})
		case b.ends(c.id) && rank < b.Beam && len(b.finished) < b.Beam:
			b.finish(text, c.logProb, n+1)
		}
	}
	if len(b.Ends) == 0 && n+1 == b.most { // there is no end token to wait for
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

// finish adds a finished hypothesis of n tokens, the end included.
func (b *beam) finish(ids []int32, logProb float64, n int) {
	b.finished = append(b.finished, Hypothesis{ids, logProb, logProb / pmath.Pow(float64(n), b.LengthPenalty)})
}

// ends reports whether a token ends a hypothesis.
func (b *beam) ends(id int32) bool { return slices.Contains(b.Ends, id) }

// top appends the likeliest tokens of a row to dst, enough for Beam that are no
// end; or, if end is set, only the ends.
func (b *beam) top(dst []int32, row []float32, end bool) []int32 {
	if end {
		return likeliest(dst, row, len(b.Ends), b.ends)
	}
	return likeliest(dst, row, b.Beam+len(b.Ends), func(id int32) bool { return b.Text[id] || b.ends(id) })
}

// likeliest appends the k likeliest tokens of a row to dst, which is empty: likeliest
// first, equals by rising id, and only ids for which may holds.
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

// chunk is the number of elements that logSumExp adds up in float32.
const chunk = 512

// logSumExp returns ln sum exp(row). It sums 512 elements at a time with
// kernel.ISA.ExpSum, which gives the same bits on every instruction set.
func logSumExp(row []float32) float64 {
	isa := kernel.ISA(cpufeat.Best())
	largest := isa.RowMax(row)
	var exp [chunk]float32
	var sum float64
	for x := range slices.Chunk(row, chunk) {
		sum += float64(isa.ExpSum(exp[:len(x)], x, 1, largest))
	}
	return float64(largest) + pmath.Log(sum)
}
