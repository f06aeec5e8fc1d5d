package generate

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/model"
)

func newModel(t *testing.T) *model.GPT {
	t.Helper()
	be := newCPU(t, cpu.ScratchBytes(1)+1<<20)
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
	if err := m.Logits(all, model.Batch{Size: 1, Inputs: seen}, bdia.DefaultGrid); err != nil {
		panic(err)
	}
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

// TestNoCache: the text does not depend on whether keys and values are cached, and
// ends at the tokens it is to stop at.
func TestNoCache(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	for _, n := range []int{1, 3, 6, 7} {
		o := DefaultOptions()
		o.MaxTokens, o.Temperature, o.RepetitionPenalty = 12, 2, 1.2
		prompt := []int32{5, 7, 2, 9, 3, 1, 4}[:n]
		cached := tokens(t, m, prompt, o)
		o.NoCache = true
		if plain := tokens(t, m, prompt, o); len(plain) != 12 || !slices.Equal(cached, plain) {
			t.Errorf("after %d tokens: %v, and %v without a cache", n, cached, plain)
		}
		o.NoCache, o.StopIDs = false, []int32{100, cached[7]}
		if got, want := tokens(t, m, prompt, o), cached[:slices.Index(cached, cached[7])]; !slices.Equal(got, want) {
			t.Errorf("up to token %d: %v, want %v", cached[7], got, want)
		}
	}
}

// TestTokensEach: prompts continued together have the texts that they have alone,
// whatever their lengths, and each ends for itself.
func TestTokensEach(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	prompts := [][]int32{{5}, {7, 2, 9}, {3, 1, 4, 0, 11, 8}, {5}, {1, 2, 3, 4, 5, 6, 7, 8}, {2, 2}}
	most := []int{12, 3, 9, 12, 5, 1}
	o := DefaultOptions()
	o.MaxTokens, o.Temperature, o.RepetitionPenalty, o.StopIDs = 12, 2, 1.1, []int32{4}
	for _, o.NoCache = range []bool{false, true} {
		got := make([][]int32, len(prompts))
		if err := TokensEach(m, prompts, o, func(i int, id int32) bool {
			got[i] = append(got[i], id)
			return len(got[i]) < most[i]
		}); err != nil {
			t.Fatal(err)
		}
		for i, prompt := range prompts {
			alone := o
			alone.MaxTokens, alone.Samples = most[i], []int{i}
			if want := tokens(t, m, prompt, alone); !slices.Equal(got[i], want) {
				t.Errorf("prompt %d, no cache %v: %v together, %v alone", i, o.NoCache, got[i], want)
			}
		}
		if slices.Equal(got[0], got[3]) {
			t.Error("one prompt twice gives one text twice")
		}
	}
	if err := TokensEach(m, nil, o, nil); err != nil {
		t.Error(err)
	}
	if err := TokensEach(m, [][]int32{{1}, {}}, o, nil); err == nil {
		t.Error("an empty prompt is taken")
	}
}

// TestGreedyLong: 200 tokens are those that there are without a cache.
func TestGreedyLong(t *testing.T) {
	t.Parallel()
	be := newCPU(t, cpu.ScratchBytes(1)+4<<20)
	m, err := model.NewGPT(be, model.GPTConfig{Vocab: 99, Context: 256, Layers: 3, Heads: 2, Width: 30}, bdia.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	m.Init(2)
	for _, p := range m.Params() {
		if p.Decay {
			be.Scale(p.Value, 8)
		}
	}
	o := DefaultOptions()
	o.Temperature, o.RepetitionPenalty = 0, 1.5 // so that it does not go round in circles
	for _, o.Grid = range []bdia.Grid{bdia.DefaultGrid, bdia.NoGrid} {
		o.NoCache = false
		cached := tokens(t, m, []int32{3, 1, 4, 1, 5}, o)
		o.NoCache = true
		if plain := tokens(t, m, []int32{3, 1, 4, 1, 5}, o); len(plain) != 200 || !slices.Equal(cached, plain) {
			t.Errorf("grid %v: %v, without a cache %v", o.Grid, cached, plain)
		}
		slices.Sort(cached)
		if n := len(slices.Compact(cached)); n < 10 {
			t.Errorf("only %d different tokens: little was tested", n)
		}
	}
}

// cached40 are models of which 40 positions are cached: the context, or up to where the rotation is not scaled.
var cached40 = []model.GPTConfig{{Vocab: 12, Context: 40, Layers: 2, Heads: 2, Width: 16},
	{Family: model.Llama, Vocab: 12, Context: 48, Layers: 2, Heads: 2, Width: 16, Rope: model.Rope{Theta: 1e3, Kind: model.RopeDynamic, Factor: 1.2, OriginalContext: 40}}}

// TestRehearseEach: no prompts take more memory than is rehearsed for as many that are
// as long.
func TestRehearseEach(t *testing.T) {
	t.Parallel()
	for _, cfg := range cached40 {
		for _, most := range []int{1, 2, 15, 60} {
			for n := 1; n < 45; n += 4 {
				o := DefaultOptions()
				o.MaxTokens = most
				planner, be := plan.New(cpu.ScratchBytes(1)), newCPU(t, cpu.ScratchBytes(1)+1<<20)
				rehearsed, err := model.NewGPT(planner, cfg, bdia.DefaultOptions())
				if err == nil {
					err = RehearseEach(rehearsed, 4, n, o)
				}
				if err != nil {
					t.Fatal(err)
				}
				m, err := model.NewGPT(be, cfg, bdia.DefaultOptions())
				if err != nil {
					t.Fatal(err)
				}
				m.Init(1)
				prompts := [][]int32{make([]int32, n), {1}, make([]int32, (n+1)/2), make([]int32, n)}
				if err := TokensEach(m, prompts, o, func(int, int32) bool { return true }); err != nil {
					t.Fatal(err)
				}
				if got, want := be.Peak().Total, planner.Peak().Total; got > want {
					t.Errorf("%d tokens after up to %d: %d bytes, planned %d", most, n, got, want)
				}
			}
		}
	}
}

// TestMixedLengths: prompts some of which outgrow the context while others are still
// cached take no more memory than is rehearsed, and have the texts that they have alone.
func TestMixedLengths(t *testing.T) {
	t.Parallel()
	for _, cfg := range cached40 {
		mixedLengths(t, cfg)
	}
}

func mixedLengths(t *testing.T, cfg model.GPTConfig) {
	o := DefaultOptions()
	o.MaxTokens, o.Temperature = 12, 2
	for _, lengths := range [][]int{{35, 40}, {40, 1}, {39, 40}, {41, 40}, {60, 33}, {40, 38, 36}, {50, 1, 40}, {34, 60, 40, 39, 2}} {
		planner, N := plan.New(cpu.ScratchBytes(1)), len(lengths)
		rehearsed, err := model.NewGPT(planner, cfg, bdia.DefaultOptions())
		if err == nil {
			err = RehearseEach(rehearsed, N, min(slices.Max(lengths), cfg.Context), o)
		}
		if err != nil {
			t.Fatal(err)
		}
		m, err := model.NewGPT(newCPU(t, planner.Peak().Total), cfg, bdia.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		m.Init(1)
		prompts, got := make([][]int32, N), make([][]int32, N)
		for i, n := range lengths {
			for j := range n {
				prompts[i] = append(prompts[i], int32((i+j*j)%cfg.Vocab))
			}
		}
		if err := TokensEach(m, prompts, o, func(i int, id int32) bool { got[i] = append(got[i], id); return true }); err != nil {
			t.Fatal(err)
		}
		for i, prompt := range prompts {
			alone := o
			alone.Samples, alone.NoCache = []int{i}, i%2 == 1
			if want := tokens(t, m, prompt, alone); !slices.Equal(got[i], want) {
				t.Errorf("lengths %v: prompt %d: %v together, %v alone", lengths, i, got[i], want)
			}
		}
	}
}

// TestRehearse: the memory of Tokens is what a planning backend knows after Rehearse,
// to the byte.
func TestRehearse(t *testing.T) {
	t.Parallel()
	cfg := model.GPTConfig{Vocab: 12, Context: 70, Layers: 2, Heads: 2, Width: 16}
	for _, n := range []int{1, 40, 70, 80} {
		for _, most := range []int{1, 2, 29, 60} {
			for _, noCache := range []bool{false, true} {
				o := DefaultOptions()
				o.MaxTokens, o.NoCache = most, noCache
				planner, be := plan.New(cpu.ScratchBytes(1)), newCPU(t, cpu.ScratchBytes(1)+1<<20)
				for _, on := range []backend.Backend{planner, be} {
					m, err := model.NewGPT(on, cfg, bdia.DefaultOptions())
					if err != nil {
						t.Fatal(err)
					}
					if m.Init(1); on == planner {
						err = Rehearse(m, n, o)
					} else {
						err = Tokens(m, make([]int32, n), o, func(int32) bool { return true })
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				if got, want := be.Peak(), planner.Peak(); got != want {
					t.Errorf("%d tokens after %d, no cache %v: %v, planned %v", most, n, noCache, got, want)
				}
			}
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
		{[]int32{1}, with(func(o *Options) { o.MinP = -0.1 }), "min-p is -0.1"},
		{[]int32{1}, with(func(o *Options) { o.MinP = math.NaN() }), "min-p is NaN"},
		{[]int32{1}, with(func(o *Options) { o.RepetitionPenalty = 0 }), "repetition penalty is 0"},
		{[]int32{1}, with(func(o *Options) { o.RepetitionPenalty = math.Inf(1) }), "repetition penalty is +Inf"},
		{[]int32{1}, with(func(o *Options) { o.Vocab = -1 }), "a choice of -1 tokens"},
		{[]int32{1}, with(func(o *Options) { o.Stop = []string{"a", ""} }), "to stop at is empty"},
	} {
		err := Tokens(m, tc.prompt, tc.o, func(int32) bool { t.Error("a token was emitted"); return false })
		if err == nil || !strings.HasPrefix(err.Error(), "generate: ") || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, %+v: error %v, want one line that says %q", tc.prompt, tc.o, err, tc.says)
		}
	}
}

// TestMinTokens: no text ends before it has so many tokens.
func TestMinTokens(t *testing.T) {
	t.Parallel()
	m := newModel(t)
	o := DefaultOptions()
	o.MaxTokens, o.Temperature = 12, 1
	free := tokens(t, m, []int32{3}, o)
	o.StopIDs = []int32{free[2], 999, -1}
	if got := tokens(t, m, []int32{3}, o); len(got) > 2 {
		t.Fatalf("%v goes on after %d", got, free[2])
	}
	o.MinTokens = 7
	got := tokens(t, m, []int32{3}, o)
	if len(got) < 7 || slices.Contains(got, free[2]) {
		t.Errorf("%v, without an end %v", got, free)
	}
	o.MinTokens = 13
	if err := o.Validate(); err == nil {
		t.Error("at least 13 tokens of at most 12")
	}
}
