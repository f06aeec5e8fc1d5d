package generate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/internal/rng"
)

// table is a Decoder whose logits are a function of the seed of the source and of
// the text so far: few values, so that there are ties.
type table struct {
	vocab, beams int
	seeds        []uint64 // of the sources
	texts        [][]int32
	reorders     int
	rows         int // of all reorders
}

func newTable(vocab, beams int, seeds ...uint64) *table {
	return &table{vocab: vocab, beams: beams, seeds: seeds, texts: make([][]int32, len(seeds)*beams)}
}

// logit is one of 16 values, 0.25 apart.
func (d *table) logit(source int, text []int32, id int32) float32 {
	var at uint32
	for _, t := range text {
		at = at*31 + uint32(t) + 1
	}
	return float32(rng.Key{Seed: d.seeds[source], Step: at}.At(uint32(id))[0]%16) / 4
}

func (d *table) Next(dst []float32, ids []int32) error {
	for i, id := range ids {
		d.texts[i] = append(slices.Clip(d.texts[i]), id)
		for v := range d.vocab {
			dst[i*d.vocab+v] = d.logit(i/d.beams, d.texts[i], int32(v))
		}
	}
	return nil
}

func (d *table) Reorder(parents []int32) {
	d.reorders++
	var seeds []uint64
	var texts [][]int32
	for i, p := range parents {
		source := int(p) / d.beams
		if i%d.beams == 0 {
			seeds = append(seeds, d.seeds[source])
		}
		if int(parents[i/d.beams*d.beams])/d.beams != source {
			panic("a hypothesis of another source")
		}
		texts = append(texts, d.texts[p])
	}
	d.seeds, d.texts, d.rows = seeds, texts, d.rows+len(parents)
}

// all is a set of vocab tokens that are all text.
func all(vocab int) []bool { return slices.Repeat([]bool{true}, vocab) }

func mustRun(t *testing.T, s Search, d Decoder, starts ...Start) [][]Hypothesis {
	t.Helper()
	best, err := s.Run(d, starts)
	if err != nil {
		t.Fatal(err)
	}
	return best
}

// definition is beam search spelled out: every continuation of every hypothesis is
// listed, and the list is sorted.
func definition(s Search, d *table, start Start) []Hypothesis {
	type entry struct {
		ids     []int32 // the end included
		logProb float64
	}
	live, finished := []entry{{}}, []Hypothesis(nil)
	for n := 0; len(live) > 0 && len(finished) < s.Beam; n++ {
		var every []entry
		for _, e := range live {
			row := make([]float32, d.vocab)
			for v := range row {
				row[v] = d.logit(0, append([]int32{start.Begin}, e.ids...), int32(v))
			}
			for v, l := range row {
				if int32(v) == s.Ends[0] || s.Text[v] && n < start.Most {
					every = append(every, entry{append(slices.Clip(e.ids), int32(v)), e.logProb + (float64(l) - logSumExp(row))})
				}
			}
		}
		slices.SortStableFunc(every, func(x, y entry) int { return cmp.Compare(y.logProb, x.logProb) })
		live = nil
		for rank, e := range every {
			last := e.ids[n]
			if last != s.Ends[0] && len(live) < s.Beam {
				live = append(live, e)
			}
			if last == s.Ends[0] && rank < s.Beam && len(finished) < s.Beam {
				finished = append(finished, Hypothesis{e.ids[:n], e.logProb, e.logProb / math.Pow(float64(n+1), s.LengthPenalty)})
			}
		}
	}
	slices.SortStableFunc(finished, func(x, y Hypothesis) int { return cmp.Compare(y.Score, x.Score) })
	return finished[:min(len(finished), s.NBest)]
}

// TestSearchIsItsDefinition compares many searches, ties included.
func TestSearchIsItsDefinition(t *testing.T) {
	t.Parallel()
	for beam := 1; beam <= 7; beam++ {
		for vocab := 2; vocab <= 12; vocab += 5 {
			for seed := range uint64(20) {
				s := Search{SearchOptions{beam, float64(seed%4) / 2, beam}, []int32{int32(seed) % int32(vocab)}, all(vocab)}
				s.Text[(seed+1)%uint64(vocab)] = seed%3 > 0
				start := Start{Begin: 1, Most: int(seed % 8)}
				got := mustRun(t, s, newTable(vocab, beam, seed), start)[0]
				want := definition(s, newTable(vocab, beam, seed), start)
				if fmt.Sprint(got) != fmt.Sprint(want) || len(got) == 0 {
					t.Errorf("beam %d, %d tokens, seed %d: %v, want %v", beam, vocab, seed, got, want)
				}
			}
		}
	}
}

// TestLogSumExp compares with sums in float64.
func TestLogSumExp(t *testing.T) {
	t.Parallel()
	for n := 1; n < 5000; n = n*3/2 + 1 {
		row := make([]float32, n)
		var want float64
		for i := range row {
			row[i] = 40 * float32(rng.Key{Seed: 4, Step: uint32(n)}.Float64(uint32(i))-0.5)
			want += math.Exp(float64(row[i]))
		}
		if want = math.Log(want); math.Abs(logSumExp(row)-want) > 1e-6 {
			t.Errorf("%d logits: %v, want %v", n, logSumExp(row), want)
		}
	}
}

// TestGreedySearch: a beam of 1 takes the likeliest token each time, the lowest of
// equals, until the end or the most tokens, whatever the length penalty.
func TestGreedySearch(t *testing.T) {
	t.Parallel()
	const vocab, end, most = 9, 3, 6
	lengths := map[int]bool{}
	for seed := range uint64(100) {
		d := newTable(vocab, 1, seed)
		text := []int32{0}
		for len(text) <= most {
			row := make([]float32, vocab)
			for v := range row {
				row[v] = d.logit(0, text, int32(v))
			}
			id := int32(slices.Index(row, slices.Max(row)))
			if id == end {
				break
			}
			text = append(text, id)
		}
		for _, penalty := range []float64{0, 1, -3} {
			s := Search{SearchOptions{1, penalty, 1}, []int32{end}, all(vocab)}
			got := mustRun(t, s, newTable(vocab, 1, seed), Start{Begin: 0, Most: most})[0][0]
			if !slices.Equal(got.IDs, text[1:]) {
				t.Errorf("seed %d, penalty %v: %v, want %v", seed, penalty, got.IDs, text[1:])
			}
		}
		lengths[len(text)-1] = true
	}
	if len(lengths) < 4 {
		t.Errorf("all texts have one of the lengths %v: little was tested", lengths)
	}
}

// TestSearchIsExhaustive: a beam that holds every text finds the likeliest of them
// all, in order, and their probabilities add up to 1.
func TestSearchIsExhaustive(t *testing.T) {
	t.Parallel()
	const vocab, most, end = 4, 4, 2
	texts := 1 + 3 + 9 + 27 + 81
	for _, penalty := range []float64{0, 0.6, 1, 2, -1} {
		s := Search{SearchOptions{texts, penalty, texts}, []int32{end}, all(vocab)}
		got := mustRun(t, s, newTable(vocab, texts, 77), Start{Begin: 1, Most: most})[0]
		seen, sum := map[string]bool{}, 0.0
		for i, h := range got {
			seen[fmt.Sprint(h.IDs)] = true
			if len(h.IDs) < most {
				sum += math.Exp(h.LogProb)
			} else { // what follows it is not the end alone
				d, text := newTable(vocab, 1, 77), append([]int32{1}, h.IDs...)
				var all float64
				for v := range int32(vocab) {
					all += math.Exp(float64(d.logit(0, text, v) - d.logit(0, text, end)))
				}
				sum += math.Exp(h.LogProb) * all
			}
			if i > 0 && h.Score > got[i-1].Score {
				t.Errorf("penalty %v: number %d has score %v after %v", penalty, i, h.Score, got[i-1].Score)
			}
			if want := h.LogProb / math.Pow(float64(len(h.IDs)+1), penalty); h.Score != want {
				t.Errorf("penalty %v: score %v of %d tokens, want %v", penalty, h.Score, len(h.IDs), want)
			}
		}
		if len(seen) != texts || math.Abs(sum-1) > 1e-6 {
			t.Errorf("penalty %v: %d texts of probability %v, want %d of 1", penalty, len(seen), sum, texts)
		}
	}
}

// TestSearchTogether: sources searched side by side, of different limits, give the
// bits of each by itself.
func TestSearchTogether(t *testing.T) {
	t.Parallel()
	const vocab = 11
	s := Search{SearchOptions{4, 1, 4}, []int32{5}, all(vocab)}
	seeds, starts := []uint64{3, 1, 4, 1, 5, 9}, []Start{{1, 9}, {1, 0}, {2, 3}, {1, 20}, {7, 1}, {1, 9}}
	d := newTable(vocab, s.Beam, seeds...)
	together := mustRun(t, s, d, starts...)
	for i, seed := range seeds {
		if one := mustRun(t, s, newTable(vocab, s.Beam, seed), starts[i])[0]; !reflect.DeepEqual(together[i], one) {
			t.Errorf("source %d: %v among others, %v alone", i, together[i], one)
		}
	}
	if d.reorders >= 20 {
		t.Errorf("%d steps, though every source has its %d hypotheses earlier", d.reorders, s.Beam)
	}
	if d.rows >= d.reorders*len(seeds)*s.Beam*3/4 {
		t.Errorf("%d rows in %d steps: sources that are done with are not left out", d.rows, d.reorders)
	}
	if none := mustRun(t, s, newTable(vocab, s.Beam)); len(none) != 0 {
		t.Errorf("of no sources: %v", none)
	}
}

// TestSearchText: what is no text is never written, nor is anything but the end
// where nothing is text.
func TestSearchText(t *testing.T) {
	t.Parallel()
	s := Search{SearchOptions{3, 1, 3}, []int32{0}, []bool{false, true, false, true, false}}
	for _, h := range mustRun(t, s, newTable(5, 3, 8), Start{Begin: 2, Most: 6})[0] {
		for _, id := range h.IDs {
			if id != 1 && id != 3 {
				t.Errorf("token %d in %v", id, h.IDs)
			}
		}
	}
	s.Text = make([]bool, 5)
	if got := mustRun(t, s, newTable(5, 3, 8), Start{Begin: 2, Most: 6})[0]; len(got) != 1 || len(got[0].IDs) != 0 {
		t.Errorf("without text: %v", got)
	}
}

// broken is a table with a logit of its own.
type broken struct {
	*table
	logit float32
	err   error
}

func (d broken) Next(dst []float32, ids []int32) error {
	if err := d.table.Next(dst, ids); err != nil || d.err != nil {
		return d.err
	}
	dst[1] = d.logit
	return nil
}

// TestSearchNotFinite: logits that are no numbers are an error; one that rules a
// token out is none.
func TestSearchNotFinite(t *testing.T) {
	t.Parallel()
	s := Search{SearchOptions{2, 1, 1}, []int32{3}, all(6)}
	start := []Start{{Begin: 1, Most: 4}}
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		_, err := s.Run(broken{newTable(6, 2, 1), float32(bad), nil}, start)
		if !errors.Is(err, ErrNotFinite) || !strings.HasPrefix(err.Error(), "generate: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("a logit of %v: error %v", bad, err)
		}
	}
	best, err := s.Run(broken{newTable(6, 2, 1), float32(math.Inf(-1)), nil}, start)
	if err != nil || slices.Contains(best[0][0].IDs[:1], 1) {
		t.Errorf("a token ruled out: %v, %v", best, err)
	}
	stop := errors.New("stop")
	if _, err := s.Run(broken{newTable(6, 2, 1), 0, stop}, start); !errors.Is(err, stop) {
		t.Errorf("error of the decoder: %v", err)
	}
}

func TestSearchOptions(t *testing.T) {
	t.Parallel()
	if err := DefaultSearch().Validate(); err != nil {
		t.Error(err)
	}
	for says, o := range map[string]SearchOptions{
		"beam of 0":                 {0, 1, 1},
		"beam of 1025":              {1025, 1, 1},
		"length penalty is NaN":     {1, math.NaN(), 1},
		"length penalty is -Inf":    {1, math.Inf(-1), 1},
		"the 0 best of 2":           {2, 1, 0},
		"the 3 best of 2 hypothese": {2, 1, 3},
	} {
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), "generate: ") || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: error %v, want %q", o, err, says)
		}
	}
}

// TestSearchEnds: of several end tokens each ends a text, once; the score is the likeliest one's.
func TestSearchEnds(t *testing.T) {
	t.Parallel()
	const vocab, most = 6, 3
	for seed := range uint64(20) {
		both := mustRun(t, Search{SearchOptions{4, 0, 4}, []int32{2, 4}, all(vocab)}, newTable(vocab, 4, seed), Start{1, most})[0]
		seen := map[string]bool{}
		for _, h := range both {
			text := fmt.Sprint(h.IDs)
			if seen[text] || slices.Contains(h.IDs, 2) || slices.Contains(h.IDs, 4) {
				t.Errorf("seed %d: %v among %v", seed, h, both)
			}
			seen[text] = true
			d, sum := newTable(vocab, 4, seed), 0.0
			for n := 0; n <= len(h.IDs); n++ {
				row := make([]float32, vocab)
				for v := range row {
					row[v] = d.logit(0, append([]int32{1}, h.IDs[:n]...), int32(v))
				}
				next := max(row[2], row[4])
				if n < len(h.IDs) {
					next = row[h.IDs[n]]
				}
				sum += float64(next) - logSumExp(row)
			}
			if math.Abs(sum-h.LogProb) > 1e-9 {
				t.Errorf("seed %d: %v has log-probability %v", seed, h, sum)
			}
		}
	}
}
