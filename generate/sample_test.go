package generate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/bdia-go/bdia/internal/rng"
)

// choose returns draw number i after a text of the tokens seen.
func choose(t testing.TB, o Options, seen []int32, logits []float32, i int) int32 {
	t.Helper()
	id, err := newSampler(o, seen, len(logits)).choose(slices.Clone(logits), i)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// exact returns the probabilities that o gives to the tokens of logits after a text
// of the tokens seen, from the definitions: softmax of the penalised at the
// temperature, the k most likely, then the fewest of them that make up p, then those
// of a share of the most likely, normalised.
func exact(logits []float32, seen []int32, o Options) []float64 {
	p := make([]float64, len(logits))
	order := make([]int, len(logits))
	for i, l := range logits {
		x := float64(l)
		if slices.Contains(seen, int32(i)) && x > 0 {
			x /= o.RepetitionPenalty
		} else if slices.Contains(seen, int32(i)) {
			x *= o.RepetitionPenalty
		}
		p[i], order[i] = math.Exp(x/o.Temperature), i
	}
	slices.SortStableFunc(order, func(a, b int) int { return -cmpFloat(p[a], p[b]) })
	keep := len(p)
	if o.TopK > 0 {
		keep = min(keep, o.TopK)
	}
	var all, part float64
	for _, i := range order[:keep] {
		all += p[i]
	}
	for n, i := range order[:keep] {
		part += p[i]
		if part >= o.TopP*all {
			keep = n + 1
			break
		}
	}
	part = 0
	for n, i := range order {
		if n >= keep || p[i] < o.MinP*p[order[0]] {
			p[i] = 0
		}
		part += p[i]
	}
	for i := range p {
		p[i] /= part
	}
	return p
}

func cmpFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// TestDistribution draws many tokens and compares their frequencies with the
// exact probabilities: within five standard deviations, and never a token that
// is cut off.
func TestDistribution(t *testing.T) {
	t.Parallel()
	logits := []float32{1.5, -0.5, 2, 0, 2, -3, 1, 0.25}
	const draws = 40_000
	seen := []int32{2, 1, 2, 7}
	for _, o := range []Options{
		{Temperature: 1}, {Temperature: 0.5}, {Temperature: 3},
		{Temperature: 1, TopK: 3}, {Temperature: 1, TopK: 100}, {Temperature: 1, TopK: 2},
		{Temperature: 1, TopP: 0.5}, {Temperature: 1, TopP: 0.9}, {Temperature: 2, TopK: 5, TopP: 0.8}, {Temperature: 1, TopP: 1e-6},
		{Temperature: 1, MinP: 0.3}, {Temperature: 2, MinP: 0.3}, {Temperature: 1, MinP: 1}, {Temperature: 2, TopP: 0.8, MinP: 0.5}, {Temperature: 2, TopK: 4, MinP: 0.1},
		{Temperature: 1, RepetitionPenalty: 1.5}, {Temperature: 1.5, TopK: 5, TopP: 0.9, MinP: 0.2, RepetitionPenalty: 1.3}, {Temperature: 1, RepetitionPenalty: 0.8},
		{Temperature: 1e-3}, {Temperature: 1e-320, TopK: 2}, {Temperature: 1e300},
	} {
		o.TopP, o.RepetitionPenalty = cmp.Or(o.TopP, 1), cmp.Or(o.RepetitionPenalty, 1)
		t.Run(fmt.Sprintf("temperature=%v k=%d p=%v min=%v penalty=%v", o.Temperature, o.TopK, o.TopP, o.MinP, o.RepetitionPenalty), func(t *testing.T) {
			t.Parallel()
			o.Seed = 12345
			counts := make([]float64, len(logits))
			for i := range draws {
				counts[choose(t, o, seen, logits, i)]++
			}
			if o.Temperature < 1e-2 { // two tokens are equally likely; exact overflows
				if d := math.Abs(counts[2] - counts[4]); counts[2]+counts[4] != draws || d > 5*math.Sqrt(draws) {
					t.Errorf("counts %v", counts)
				}
				return
			}
			for i, p := range exact(logits, seen, o) {
				if d := math.Abs(counts[i] - draws*p); d > 5*math.Sqrt(draws*p*(1-p)) {
					t.Errorf("token %d was drawn %v times, expected %.1f", i, counts[i], draws*p)
				}
			}
		})
	}
}

// TestRanking holds ranks against a stable sort, with many equals and however few of
// them are asked for.
func TestRanking(t *testing.T) {
	t.Parallel()
	for _, V := range []int{1, 2, 3, 10, 1000} {
		r := ranking{buffer: make([]int32, V)}
		for round := range 3 {
			logits, want := make([]float32, V), make([]int32, V)
			for i := range logits {
				logits[i], want[i] = float32(int(rng.Key{Seed: 3, Step: uint32(round)}.At(uint32(i))[0]%100)-50), int32(i)
			}
			slices.SortStableFunc(want, func(a, b int32) int { return cmp.Compare(logits[b], logits[a]) })
			n := min(V, 1+300*round)
			r.reset(logits, n)
			for j := range n {
				if got := r.at(j); got != want[j] {
					t.Fatalf("rank %d of %d is token %d, want %d", j, V, got, want[j])
				}
			}
			if got := r.at(0); got != want[0] {
				t.Errorf("rank 0 has become token %d", got)
			}
		}
	}
}

// TestPenalty: tokens of the prompt and new ones are penalised, once each, and
// greedily too.
func TestPenalty(t *testing.T) {
	t.Parallel()
	o := DefaultOptions()
	o.Temperature, o.RepetitionPenalty = 0, 2
	s := newSampler(o, []int32{1, 1}, 4)
	for i, want := range []int32{2, 1, 2, 2} { // 2 is halved too from the second on
		logits := []float32{1.25, 3, 2, -1}
		if i > 1 {
			logits[2] = 4
		}
		if got, err := s.choose(logits, i); err != nil || got != want {
			t.Errorf("choice %d is %d, %v, want %d", i, got, err, want)
		}
		if logits[1] != 1.5 || logits[3] != -1 {
			t.Errorf("logits %v", logits)
		}
	}
	if id := choose(t, o, []int32{0, 1}, []float32{-1, -1.5, -2.5}, 0); id != 0 {
		t.Errorf("of -2, -3 and -2.5 the largest is number %d", id)
	}
}

// TestNotFinite: logits that are no numbers are an error, not a text.
func TestNotFinite(t *testing.T) {
	t.Parallel()
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, logits := range [][]float32{{nan, 1}, {1, nan}, {1, inf}, {-inf, -inf}} {
		if id, err := newSampler(DefaultOptions(), nil, 2).choose(logits, 0); !errors.Is(err, ErrNotFinite) {
			t.Errorf("%v: token %d, error %v", logits, id, err)
		}
	}
	if id := choose(t, DefaultOptions(), nil, []float32{-inf, 1}, 0); id != 1 {
		t.Errorf("token %d is impossible", id)
	}
}

// BenchmarkChoose draws from GPT-2's vocabulary.
func BenchmarkChoose(b *testing.B) {
	logits := make([]float32, 50257)
	for i := range logits {
		logits[i] = float32(rng.Key{Seed: 5}.Float64(uint32(i))*20 - 10)
	}
	for name, change := range map[string]func(*Options){
		"top-k 50": func(*Options) {}, "top-p 0.9": func(o *Options) { o.TopK, o.TopP = 0, 0.9 }, "all": func(o *Options) { o.TopK = 0 },
	} {
		b.Run(name, func(b *testing.B) {
			o := DefaultOptions()
			change(&o)
			s := newSampler(o, nil, len(logits))
			for i := 0; b.Loop(); i++ {
				if _, err := s.choose(logits, i); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
