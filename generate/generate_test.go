package generate

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/model"
)

func newModel(t *testing.T) *model.GPT {
	t.Helper()
	be, err := cpu.New(cpu.Options{Threads: 1, ArenaBytes: cpu.ScratchBytes(1) + 1<<20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	m, err := model.NewGPT(be, model.GPTConfig{Vocab: 12, Context: 6, Layers: 2, Heads: 2, Width: 16}, bdia.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	m.Init(4)
	for _, p := range m.Params() {
		if p.Decay { // so that the model has an opinion
			be.Scale(p.Value, 8)
		}
	}
	return m
}

// tokens continues prompt.
func tokens(t *testing.T, m *model.GPT, prompt []int32, o Options) (out []int32) {
	t.Helper()
	if err := Tokens(m, prompt, o, func(id int32) bool { out = append(out, id); return true }); err != nil {
		t.Fatal(err)
	}
	return out
}

// logits returns those of the position after text, of which the model sees the
// last Context tokens, from the logits of a whole batch.
func logits(m *model.GPT, text []int32) []float32 {
	seen := text[max(0, len(text)-m.Config.Context):]
	all := make([]float32, len(seen)*m.Config.Vocab)
	m.Logits(all, model.Batch{Size: 1, Inputs: seen}, bdia.DefaultGrid)
	return all[len(all)-m.Config.Vocab:]
}

// TestGreedy: temperature 0 and top-k 1 take the most likely token at each
// position, past the end of the context too.
func TestGreedy(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	for _, prompt := range [][]int32{{3}, {1, 2, 3, 4, 5, 6}, {0, 11, 5, 7, 2, 9, 3, 1, 4}} {
		text := slices.Clone(prompt)
		for range 20 {
			l := logits(m, text)
			text = append(text, int32(slices.Index(l, slices.Max(l))))
		}
		want := text[len(prompt):]
		o := DefaultOptions()
		o.MaxTokens, o.Temperature = 20, 0
		before := slices.Clone(prompt)
		if got := tokens(t, m, prompt, o); !slices.Equal(got, want) {
			t.Errorf("temperature 0 after %v: %v, want %v", prompt, got, want)
		}
		o.Temperature, o.TopK = 1, 1
		if got := tokens(t, m, prompt, o); !slices.Equal(got, want) {
			t.Errorf("top-k 1 after %v: %v, want %v", prompt, got, want)
		}
		o.TopK, o.TopP = 0, 1e-9
		if got := tokens(t, m, prompt, o); !slices.Equal(got, want) {
			t.Errorf("a tiny top-p after %v: %v, want %v", prompt, got, want)
		}
		if !slices.Equal(prompt, before) {
			t.Error("the prompt was changed")
		}
	}
}

// TestContextSlides: what lies further back than the context has no influence.
func TestContextSlides(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	o := DefaultOptions()
	o.MaxTokens, o.Seed = 15, 5
	tail := []int32{4, 8, 1, 10, 2, 7}
	a := tokens(t, m, append([]int32{0, 0, 0}, tail...), o)
	b := tokens(t, m, append([]int32{9, 3}, tail...), o)
	if !slices.Equal(a, b) {
		t.Errorf("%v and %v after the same %d tokens", a, b, len(tail))
	}
	if c := tokens(t, m, []int32{4, 8, 1, 10, 2, 6}, o); slices.Equal(a, c) {
		t.Error("another last token gives the same text: nothing was tested")
	}
}

func TestSeed(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	o := DefaultOptions()
	o.MaxTokens, o.Temperature = 30, 1
	a := tokens(t, m, []int32{1}, o)
	if b := tokens(t, m, []int32{1}, o); !slices.Equal(a, b) {
		t.Errorf("one seed gives %v and %v", a, b)
	}
	short := o
	short.MaxTokens = 10
	if b := tokens(t, m, []int32{1}, short); !slices.Equal(a[:10], b) {
		t.Errorf("the first ten tokens of %v are %v when no more are asked for", a, b)
	}
	o.Seed++
	if b := tokens(t, m, []int32{1}, o); slices.Equal(a, b) {
		t.Errorf("another seed gives the same %v", a)
	}
}

func TestEmitStops(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	var n int
	if err := Tokens(m, []int32{1}, DefaultOptions(), func(int32) bool { n++; return n < 3 }); err != nil || n != 3 {
		t.Errorf("%d tokens, %v, want 3", n, err)
	}
}

// exact returns the probabilities that o gives to the tokens of logits, from
// the definitions: softmax at the temperature, the k most likely, then the
// fewest of them that make up p, normalised.
func exact(logits []float32, o Options) []float64 {
	p := make([]float64, len(logits))
	order := make([]int, len(logits))
	for i, l := range logits {
		p[i], order[i] = math.Exp(float64(l)/o.Temperature), i
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
	for _, i := range order[keep:] {
		p[i] = 0
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
	for _, o := range []Options{
		{Temperature: 1, TopP: 1}, {Temperature: 0.5, TopP: 1}, {Temperature: 3, TopP: 1},
		{Temperature: 1, TopK: 3, TopP: 1}, {Temperature: 1, TopK: 100, TopP: 1}, {Temperature: 1, TopK: 2, TopP: 1},
		{Temperature: 1, TopP: 0.5}, {Temperature: 1, TopP: 0.9}, {Temperature: 2, TopK: 5, TopP: 0.8}, {Temperature: 1, TopP: 1e-6},
		{Temperature: 1e-3, TopP: 1}, {Temperature: 1e-320, TopK: 2, TopP: 1}, {Temperature: 1e300, TopP: 1},
	} {
		t.Run(fmt.Sprintf("temperature=%v k=%d p=%v", o.Temperature, o.TopK, o.TopP), func(t *testing.T) {
			t.Parallel()
			o.Seed = 12345
			s := sampler{o: o, order: make([]int32, len(logits)), p: make([]float64, len(logits))}
			counts := make([]float64, len(logits))
			for i := range draws {
				counts[s.choose(logits, i)]++
			}
			if o.Temperature < 1e-2 { // two tokens are equally likely; exact overflows
				if d := math.Abs(counts[2] - counts[4]); counts[2]+counts[4] != draws || d > 5*math.Sqrt(draws) {
					t.Errorf("counts %v", counts)
				}
				return
			}
			for i, p := range exact(logits, o) {
				if d := math.Abs(counts[i] - draws*p); d > 5*math.Sqrt(draws*p*(1-p)) {
					t.Errorf("token %d was drawn %v times, expected %.1f", i, counts[i], draws*p)
				}
			}
		})
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	good := DefaultOptions()
	with := func(change func(*Options)) Options {
		o := good
		change(&o)
		return o
	}
	for _, tc := range []struct {
		prompt []int32
		o      Options
		says   string
	}{
		{nil, good, "empty"},
		{[]int32{1, 12}, good, "token 1 of the prompt is 12; the model has ids 0 to 11"},
		{[]int32{-1}, good, "-1"},
		{[]int32{1, math.MaxInt32, 1, 1, 1, 1, 1, 1, 1, 1}, good, "2147483647"}, // out of sight of the context
		{[]int32{1}, with(func(o *Options) { o.MaxTokens = 0 }), "0 tokens"},
		{[]int32{1}, with(func(o *Options) { o.Temperature = -1 }), "temperature is -1"},
		{[]int32{1}, with(func(o *Options) { o.Temperature = math.NaN() }), "temperature is NaN"},
		{[]int32{1}, with(func(o *Options) { o.Temperature = math.Inf(1) }), "temperature is +Inf"},
		{[]int32{1}, with(func(o *Options) { o.TopK = -1 }), "top-k is -1"},
		{[]int32{1}, with(func(o *Options) { o.TopP = 0 }), "top-p is 0"},
		{[]int32{1}, with(func(o *Options) { o.TopP = 1.5 }), "top-p is 1.5"},
		{[]int32{1}, with(func(o *Options) { o.TopP = math.NaN() }), "top-p is NaN"},
	} {
		err := Tokens(m, tc.prompt, tc.o, func(int32) bool { t.Error("a token was emitted"); return false })
		if err == nil || !strings.HasPrefix(err.Error(), "generate: ") || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, %+v: error %v, want one line that says %q", tc.prompt, tc.o, err, tc.says)
		}
	}
}
