package model_test

import (
	"errors"
	"math"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
)

// TestLongContextCostsNothing: a model for texts of 131,072 tokens takes as much memory as one for 16, and gives the
// same logits, in training as in decoding.
func TestLongContextCostsNothing(t *testing.T) {
	t.Parallel()
	const T = 16
	short, long := oddFamily(model.Llama), oddFamily(model.Llama)
	short.Context, long.Context = T, 131072
	b := newBatch(short, 2)
	var peaks []backend.Usage
	for _, c := range []model.GPTConfig{short, long} {
		be := plan.New(0)
		m, err := model.NewGPT(be, c, bdia.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.MicroStep(b, trainPass, 1, newSink(be, m.Params())); err != nil {
			t.Fatal(err)
		}
		d, err := m.Decode(3, T, bdia.NoGrid)
		if err != nil {
			t.Fatal(err)
		}
		d.Close()
		peaks = append(peaks, be.Peak())
	}
	if peaks[0] != peaks[1] {
		t.Errorf("a context of %d takes %+v, one of %d %+v", T, peaks[0], long.Context, peaks[1])
	}
	var logits [2][]float32
	for i, c := range []model.GPTConfig{short, long} {
		m := newModel(t, newCPU(t, 1), c, bdia.DefaultOptions())
		logits[i] = make([]float32, c.Vocab)
		if err := m.NextLogits(logits[i], b.Inputs[:T], bdia.NoGrid); err != nil {
			t.Fatal(err)
		}
	}
	testkit.EqualBits(t, "logits", logits[1], logits[0])
}

// TestTextsGetLonger: the angles of a position do not depend on how long the texts before were.
func TestTextsGetLonger(t *testing.T) {
	t.Parallel()
	c := oddFamily(model.Qwen3)
	c.Context = 40
	b := newBatch(c, 1)
	logits := func(lengths ...int) []float32 {
		m, last := newModel(t, newCPU(t, 1), c, bdia.DefaultOptions()), make([]float32, c.Vocab)
		for _, n := range lengths {
			if err := m.NextLogits(last, b.Inputs[:n], bdia.NoGrid); err != nil {
				t.Fatal(err)
			}
		}
		return last
	}
	want := logits(40)
	testkit.EqualBits(t, "after shorter ones", logits(3, 5, 1, 40), want)
	testkit.EqualBits(t, "after a longer one", logits(40, 3, 40), want)
}

// TestPassesBetween: a decoding goes on with the same bits after other passes of its model.
func TestPassesBetween(t *testing.T) {
	t.Parallel()
	c := oddFamily(model.Llama)
	m, text := newModel(t, newCPU(t, 1), c, bdia.DefaultOptions()), newBatch(c, 1).Inputs
	logits := func(between bool) []float32 {
		d := decode(t, m, 1, c.Context, bdia.NoGrid, nil, text[:5])
		defer d.Close()
		if between {
			testkit.OK(t, m.NextLogits(make([]float32, c.Vocab), text[:3], bdia.NoGrid))
		}
		got := make([]float32, c.Vocab)
		testkit.OK(t, d.Next(got, text[5:6]))
		return got
	}
	testkit.EqualBits(t, "after another pass", logits(true), logits(false))
}

// TestDynamicRotation: a text longer than the context before scaling turns by the base for its length, and any other by
// the usual base, whatever texts came between. No cache holds it.
func TestDynamicRotation(t *testing.T) {
	t.Parallel()
	const P, T, factor = 20, 50, 3
	c := oddFamily(model.Qwen3)
	c.Context, c.Rope = P*factor, model.Rope{Theta: 1e4, Kind: model.RopeDynamic, Factor: factor, OriginalContext: P}
	if got := c.Rope.Extended(P); got != c.Context {
		t.Errorf("the context is %d, want %d", got, c.Context)
	}
	b := newBatch(c, 1)
	logits := func(r model.Rope, lengths ...int) []float32 {
		c := c
		c.Rope = r
		m, last := newModel(t, newCPU(t, 1), c, bdia.DefaultOptions()), make([]float32, c.Vocab)
		for _, n := range lengths {
			testkit.OK(t, m.NextLogits(last, b.Inputs[:n], bdia.NoGrid))
		}
		return last
	}
	plain := model.Rope{Theta: 1e4}
	long := plain // of T tokens, in heads of width 8
	long.Theta *= math.Pow(factor*float64(T)/P-(factor-1), 8.0/6)
	testkit.EqualBits(t, "short", logits(c.Rope, T, P), logits(plain, P))
	testkit.EqualBits(t, "long", logits(c.Rope, P, 30, T, 3, T), logits(long, T))
	if m := newModel(t, newCPU(t, 1), c, bdia.DefaultOptions()); m != nil {
		decode(t, m, 1, P, bdia.NoGrid, nil, b.Inputs[:3]).Close()
		if _, err := m.Decode(1, P+1, bdia.NoGrid); !errors.Is(err, model.ErrBatch) {
			t.Errorf("a decoding of more positions: error %v", err)
		}
	}
}

// TestExtended: the context of a scaled rotation is the longer one, if the file has the one before scaling.
func TestExtended(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		r             model.Rope
		context, want int
	}{
		{model.Rope{}, 7, 7},
		{model.Rope{Kind: model.RopeLinear, Factor: 4}, 7, 7},
		{model.Rope{Kind: model.RopeLlama3, Factor: 4, OriginalContext: 9}, 7, 7},
		{model.Rope{Kind: model.RopeYarn, Factor: 4, OriginalContext: 32768}, 32768, 131072},
		{model.Rope{Kind: model.RopeYarn, Factor: 4, OriginalContext: 32768}, 131072, 131072},
		{model.Rope{Kind: model.RopeYarn, Factor: 4, OriginalContext: 32768}, 40960, 131072},
		{model.Rope{Kind: model.RopeYarn, Factor: 0.5, OriginalContext: 32}, 32, 32},
		{model.Rope{Kind: model.RopeDynamic, Factor: 2.5, OriginalContext: 10}, 10, 25},
		{model.Rope{Kind: model.RopeDynamic, Factor: 0.5, OriginalContext: 10}, 10, 10},
		{model.Rope{Kind: model.RopeDynamic, Factor: 1e9, OriginalContext: 10}, 10, 1 << 20},
	} {
		if got := x.r.Extended(x.context); got != x.want {
			t.Errorf("%+v: context %d becomes %d, want %d", x.r, x.context, got, x.want)
		}
	}
}
