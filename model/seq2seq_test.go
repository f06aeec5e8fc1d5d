package model_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
)

// tinyPairs has sizes that are no multiples of vectors.
func tinyPairs() model.Seq2SeqConfig {
	return model.Seq2SeqConfig{SourceVocab: 11, TargetVocab: 11, SourceContext: 6, TargetContext: 5, EncoderLayers: 2, DecoderLayers: 3, Heads: 3, Width: 12, Shared: true}
}

// newSeq2Seq returns a model with lively random weights.
func newSeq2Seq(t *testing.T, be backend.Backend, c model.Seq2SeqConfig, opt bdia.Options) *model.Seq2Seq {
	t.Helper()
	m, err := model.NewSeq2Seq(be, c, opt)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range m.Params() {
		nn.Normal(be, p, 0.3, 17, i)
	}
	return m
}

// newPairs returns n pairs of random tokens, the second of which and every other
// has padding on both sides.
func newPairs(c model.Seq2SeqConfig, n int) model.PairBatch {
	b := model.NewPairBatch(n, c.SourceContext, c.TargetContext)
	key := rng.Key{Seed: 23}
	for i := range b.Source {
		b.Source[i] = int32(key.At(uint32(i))[0] % uint32(c.SourceVocab))
	}
	for i := range b.Input {
		w := key.At(uint32(i))
		b.Input[i], b.Target[i] = int32(w[1]%uint32(c.TargetVocab)), int32(w[2]%uint32(c.TargetVocab))
	}
	for i := 1; i < n; i += 2 {
		b.SourceLengths[i] = int32(b.S - 1 - i%(b.S-1))
		for t := b.T - 2; t < b.T; t++ {
			b.Target[i*b.T+t] = backend.Ignore
		}
	}
	return b
}

// TestSeq2SeqGradients holds every gradient against finite differences; see
// TestGradients.
func TestSeq2SeqGradients(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*model.Seq2SeqConfig){
		"shared, tied":   func(*model.Seq2SeqConfig) {},
		"shared, untied": func(c *model.Seq2SeqConfig) { c.Untied = true },
		"two, tied":      func(c *model.Seq2SeqConfig) { c.Shared, c.SourceVocab = false, 7 },
		"two, untied":    func(c *model.Seq2SeqConfig) { c.Shared, c.Untied, c.NoBias = false, true, true },
		"sinusoidal":     func(c *model.Seq2SeqConfig) { c.Sinusoidal, c.GELU = true, backend.GELUErf },
		"smoothing":      func(c *model.Seq2SeqConfig) { c.LabelSmoothing, c.MLP = 0.3, 7 },
		"one block":      func(c *model.Seq2SeqConfig) { c.EncoderLayers, c.DecoderLayers = 1, 1 },
		"dropout": func(c *model.Seq2SeqConfig) {
			c.EmbeddingDropout, c.AttentionDropout, c.ResidualDropout = 0.2, 0.3, 0.25
		},
	} {
		for _, gamma := range []bdia.Gamma{0, 0.5} {
			t.Run(fmt.Sprintf("%s/gamma %v", name, gamma), func(t *testing.T) {
				t.Parallel()
				c := tinyPairs()
				change(&c)
				be := newCPU(t, 1)
				m := newSeq2Seq(t, be, c, plain(gamma))
				b := newPairs(c, 3)
				checkSlopes(t, be, m.Params(), func(s bdia.Sink) ([]float32, error) { return m.MicroStep(b, trainPass, 1, s) })
			})
		}
	}
}

// TestSeq2SeqInit: a loss near ln V at the start, for learned positions and
// sinusoids.
func TestSeq2SeqInit(t *testing.T) {
	t.Parallel()
	for _, sinusoidal := range []bool{false, true} {
		c := tinyPairs()
		c.Width, c.TargetVocab, c.SourceVocab, c.Sinusoidal, c.Untied = 36, 200, 200, sinusoidal, true
		be := newCPU(t, 1)
		m, err := model.NewSeq2Seq(be, c, bdia.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		m.Init(5)
		b := newPairs(c, 4)
		var sum float64
		if err := testkit.AddTo(&sum)(m.Loss(b, bdia.DefaultGrid)); err != nil {
			t.Fatal(err)
		}
		if loss, want := sum/float64(realTargets(b)), math.Log(200); math.Abs(loss-want) > 0.15 {
			t.Errorf("sinusoidal %v: loss %v at the start, want about %v", sinusoidal, loss, want)
		}
	}
}

func realTargets(b model.PairBatch) (n int) {
	for _, id := range b.Target {
		if id != backend.Ignore {
			n++
		}
	}
	return n
}

// TestSeq2SeqLossIsThatOfLogits: the validation loss is the mean over targets that
// are not padding, without smoothing and dropout.
func TestSeq2SeqLossIsThatOfLogits(t *testing.T) {
	t.Parallel()
	for _, grid := range []bdia.Grid{bdia.DefaultGrid, bdia.NoGrid} {
		c := tinyPairs()
		c.ResidualDropout, c.EmbeddingDropout, c.AttentionDropout, c.LabelSmoothing = 0.5, 0.5, 0.5, 0.5 // must not matter
		be := newCPU(t, 2)
		m := newSeq2Seq(t, be, c, bdia.DefaultOptions())
		b := newPairs(c, 3)
		var sum, want float64
		if err := testkit.AddTo(&sum)(m.Loss(b, grid)); err != nil {
			t.Fatal(err)
		}
		logits := make([]float32, len(b.Input)*c.TargetVocab)
		if err := m.Logits(logits, b, grid); err != nil {
			t.Fatal(err)
		}
		for i, target := range b.Target {
			if target == backend.Ignore {
				continue
			}
			row, total := logits[i*c.TargetVocab:][:c.TargetVocab], 0.0
			for _, l := range row {
				total += math.Exp(float64(l))
			}
			want += math.Log(total) - float64(row[target])
		}
		if math.Abs(sum-want) > 1e-5*want {
			t.Errorf("grid %v: loss %v, from the logits %v", grid, sum, want)
		}
	}
}

// TestDecoding: hypotheses written position by position, changing places between
// them, have the bits of hypotheses computed whole.
func TestDecoding(t *testing.T) {
	t.Parallel()
	for _, grid := range []bdia.Grid{bdia.DefaultGrid, bdia.NoGrid} {
		for _, sinusoidal := range []bool{false, true} {
			const B, beams, positions = 2, 3, 20
			c := tinyPairs()
			c.TargetContext, c.Sinusoidal, c.NoBias = positions, sinusoidal, sinusoidal
			be := newCPU(t, 2)
			m := newSeq2Seq(t, be, c, bdia.DefaultOptions())
			sources := newPairs(c, B)
			mark := be.Mark()
			d, err := m.Decode(sources, beams, positions, grid)
			if err != nil {
				t.Fatal(err)
			}
			const N = B * beams
			hypotheses, logits := make([][]int32, N), make([]float32, N*c.TargetVocab)
			said := make([][]float32, N) // the logits after each position
			for at := range positions {
				ids, key := make([]int32, N), rng.Key{Seed: 2, Step: uint32(at)}
				if at > 0 {
					parents := make([]int32, N)
					h, s := make([][]int32, N), make([][]float32, N)
					for i := range parents {
						parents[i] = int32(i/beams*beams) + int32(key.At(uint32(i))[1]%beams)
						h[i], s[i] = slices.Clone(hypotheses[parents[i]]), slices.Clone(said[parents[i]])
					}
					d.Reorder(parents)
					hypotheses, said = h, s
				}
				for i := range ids {
					ids[i] = int32(key.At(uint32(i))[0] % uint32(c.TargetVocab))
					hypotheses[i] = append(hypotheses[i], ids[i])
				}
				if err := d.Next(logits, ids); err != nil {
					t.Fatal(err)
				}
				for i := range said {
					said[i] = append(said[i], logits[i*c.TargetVocab:][:c.TargetVocab]...)
				}
			}
			if err := d.Next(logits, make([]int32, N)); !errors.Is(err, model.ErrBatch) {
				t.Errorf("a position too many: error %v", err)
			}
			d.Close()
			if be.Mark() != mark {
				t.Error("memory is left allocated")
			}
			whole := model.NewPairBatch(N, sources.S, positions)
			for i := range N {
				copy(whole.Source[i*sources.S:], sources.Source[i/beams*sources.S:][:sources.S])
				whole.SourceLengths[i] = sources.SourceLengths[i/beams]
				copy(whole.Input[i*positions:], hypotheses[i])
			}
			want := make([]float32, N*positions*c.TargetVocab)
			if err := m.Logits(want, whole, grid); err != nil {
				t.Fatal(err)
			}
			for i := range said {
				testkit.EqualBits(t, fmt.Sprintf("grid %v: logits of hypothesis %d", grid, i), said[i], want[i*positions*c.TargetVocab:][:positions*c.TargetVocab])
			}
		}
	}
}

// TestSeq2SeqBadBatches: see TestBadBatches.
func TestSeq2SeqBadBatches(t *testing.T) {
	t.Parallel()
	c := tinyPairs()
	be := newCPU(t, 2)
	m := newSeq2Seq(t, be, c, bdia.DefaultOptions())
	s := newSink(be, m.Params())
	mark := be.Mark()
	for name, bad := range map[string]struct {
		change func(*model.PairBatch)
		source bool // decoding refuses it too
	}{
		"no pairs":           {func(b *model.PairBatch) { b.B = 0 }, true},
		"source too large":   {func(b *model.PairBatch) { b.Source[1] = 11 }, true},
		"source negative":    {func(b *model.PairBatch) { b.Source[1] = -1 }, true},
		"source too long":    {func(b *model.PairBatch) { b.S, b.Source = 7, make([]int32, 14) }, true},
		"no lengths":         {func(b *model.PairBatch) { b.SourceLengths = nil }, true},
		"length 0":           {func(b *model.PairBatch) { b.SourceLengths[1] = 0 }, true},
		"length 7 of 6":      {func(b *model.PairBatch) { b.SourceLengths[1] = 7 }, true},
		"no source":          {func(b *model.PairBatch) { b.S, b.Source = 0, nil }, true},
		"input too large":    {func(b *model.PairBatch) { b.Input[1] = 11 }, false},
		"input negative":     {func(b *model.PairBatch) { b.Input[1] = -1 }, false},
		"target too large":   {func(b *model.PairBatch) { b.Target[1] = 11 }, false},
		"target below -1":    {func(b *model.PairBatch) { b.Target[1] = -2 }, false},
		"too many positions": {func(b *model.PairBatch) { b.T, b.Input, b.Target = 6, make([]int32, 12), make([]int32, 12) }, false},
		"no targets":         {func(b *model.PairBatch) { b.Target = nil }, false},
		"uneven":             {func(b *model.PairBatch) { b.Input = b.Input[1:] }, false},
	} {
		b := newPairs(c, 2)
		bad.change(&b)
		var sum float64
		if err := testkit.AddTo(&sum)(m.MicroStep(b, trainPass, 1, s)); !errors.Is(err, model.ErrBatch) {
			t.Errorf("%s: Step: error %v", name, err)
		}
		if err := testkit.AddTo(&sum)(m.Loss(b, bdia.NoGrid)); !errors.Is(err, model.ErrBatch) {
			t.Errorf("%s: Loss: error %v", name, err)
		}
		if d, err := m.Decode(b, 1, 2, bdia.NoGrid); errors.Is(err, model.ErrBatch) != bad.source {
			t.Errorf("%s: Decode: error %v", name, err)
		} else if err == nil {
			d.Close()
		}
	}
	if _, err := m.Decode(newPairs(c, 2), 1, 6, bdia.NoGrid); !errors.Is(err, model.ErrBatch) {
		t.Errorf("6 positions of 5: error %v", err)
	}
	d, err := m.Decode(newPairs(c, 2), 2, 5, bdia.NoGrid)
	if err != nil {
		t.Fatal(err)
	}
	for _, ids := range [][]int32{{1, 2, 3}, {1, 2, 3, 11}, {-1, 2, 3, 4}} {
		if err := d.Next(make([]float32, 44), ids); !errors.Is(err, model.ErrBatch) {
			t.Errorf("tokens %v: error %v", ids, err)
		}
	}
	for _, parents := range [][]int32{{0, 1, 2}, {0, 2, 2, 3}, {0, 1, 2, -1}} {
		func() {
			defer func() {
				if msg := fmt.Sprint(recover()); !strings.HasPrefix(msg, "model: ") {
					t.Errorf("parents %v: panic %q", parents, msg)
				}
			}()
			d.Reorder(parents)
		}()
	}
	d.Close()
	if be.Mark() != mark {
		t.Error("memory is left allocated")
	}
}

// TestSeq2SeqStepsDoNotAllocate: see TestStepsDoNotAllocate.
func TestSeq2SeqStepsDoNotAllocate(t *testing.T) {
	c := tinyPairs()
	c.ResidualDropout, c.LabelSmoothing = 0.1, 0.1
	be := newCPU(t, 2)
	m := newSeq2Seq(t, be, c, bdia.DefaultOptions())
	s, b, pass := newSink(be, m.Params()), newPairs(c, 3), trainPass
	if got := testing.AllocsPerRun(20, func() {
		var sum float64
		pass.Step++
		if err := testkit.AddTo(&sum)(m.MicroStep(b, pass, 1, s)); err != nil {
			t.Fatal(err)
		}
		if err := testkit.AddTo(&sum)(m.Loss(b, bdia.DefaultGrid)); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("%v allocations a step", got)
	}
}

// TestSeq2SeqPlan: a step, an evaluation and decoding take what planning says, to
// the byte.
func TestSeq2SeqPlan(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*model.Seq2SeqConfig){
		"shared":     func(*model.Seq2SeqConfig) {},
		"two":        func(c *model.Seq2SeqConfig) { c.Shared, c.Untied, c.MLP = false, true, 5 },
		"sinusoidal": func(c *model.Seq2SeqConfig) { c.Sinusoidal, c.ResidualDropout = true, 0.1 },
	} {
		for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
			for _, now := range []bool{false, true} {
				c, opt := tinyPairs(), bdia.DefaultOptions()
				change(&c)
				opt.Memory = memory
				run := func(be backend.Backend) backend.Usage {
					m := newSeq2Seq(t, be, c, opt)
					b := newPairs(c, 3)
					var s bdia.Sink = passing{be}
					if !now {
						s = newSink(be, m.Params())
					}
					var sum float64
					if err := testkit.AddTo(&sum)(m.MicroStep(b, trainPass, 1, s)); err != nil {
						t.Fatal(err)
					}
					if err := testkit.AddTo(&sum)(m.Loss(b, opt.Grid)); err != nil {
						t.Fatal(err)
					}
					d, err := m.Decode(b, 4, 5, opt.Grid)
					if err != nil {
						t.Fatal(err)
					}
					if err := d.Next(make([]float32, 12*c.TargetVocab), make([]int32, 12)); err != nil {
						t.Fatal(err)
					}
					d.Close()
					return be.Peak()
				}
				planned := run(plan.New(cpu.ScratchBytes(1)))
				be, err := cpu.New(cpu.Options{Threads: 1, ArenaBytes: planned.Total})
				if err != nil {
					t.Fatal(err)
				}
				if got := run(be); got != planned {
					t.Errorf("%s, %v: peak %v, planned %v", name, memory, got, planned)
				}
				be.Close()
			}
		}
	}
}

// TestSeq2SeqMemory: a reversible step of the base size takes less than half of
// what ordinary back-propagation does, weights included.
func TestSeq2SeqMemory(t *testing.T) {
	t.Parallel()
	c, err := model.Seq2SeqPreset("base")
	if err != nil {
		t.Fatal(err)
	}
	peak := func(opt bdia.Options) int64 {
		be := plan.New(cpu.ScratchBytes(2))
		m, err := model.NewSeq2Seq(be, c, opt)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.MicroStep(model.NewPairBatch(64, 32, 32), trainPass, 1, passing{be}); err != nil {
			t.Fatal(err)
		}
		return be.Peak().Total
	}
	store, reversible := peak(plain(0)), peak(bdia.DefaultOptions())
	t.Logf("store %d MiB, reversible %d MiB", store>>20, reversible>>20)
	if 2*reversible > store {
		t.Errorf("reversible takes %d bytes, store %d", reversible, store)
	}
}

// TestSeq2SeqConfig: what cannot be is refused, by Validate and NewSeq2Seq alike.
func TestSeq2SeqConfig(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*model.Seq2SeqConfig)
		part   string // of the error; "" for none
	}{
		"fine":            {func(*model.Seq2SeqConfig) {}, ""},
		"two tables":      {func(c *model.Seq2SeqConfig) { c.Shared, c.SourceVocab = false, 9 }, ""},
		"shared of two":   {func(c *model.Seq2SeqConfig) { c.SourceVocab = 9 }, "9 source and 11 target ids"},
		"no source ids":   {func(c *model.Seq2SeqConfig) { c.SourceVocab = 0 }, "source vocabulary is 0"},
		"no target ids":   {func(c *model.Seq2SeqConfig) { c.TargetVocab = -1 }, "target vocabulary is -1"},
		"source context":  {func(c *model.Seq2SeqConfig) { c.SourceContext = 0 }, "source context is 0"},
		"target context":  {func(c *model.Seq2SeqConfig) { c.TargetContext = 1 << 30 }, "target context is"},
		"encoder":         {func(c *model.Seq2SeqConfig) { c.EncoderLayers = 0 }, "layers is 0"},
		"decoder":         {func(c *model.Seq2SeqConfig) { c.DecoderLayers = 0 }, "decoder layers is 0"},
		"heads":           {func(c *model.Seq2SeqConfig) { c.Heads = 5 }, "not divisible by 5 heads"},
		"dropout":         {func(c *model.Seq2SeqConfig) { c.ResidualDropout = 1 }, "residual dropout is 1"},
		"label smoothing": {func(c *model.Seq2SeqConfig) { c.LabelSmoothing = math.NaN() }, "label smoothing is NaN"},
		"epsilon":         {func(c *model.Seq2SeqConfig) { c.Eps = 2 }, "0 means 1e-5"},
	} {
		cfg := tinyPairs()
		c.change(&cfg)
		err := cfg.Validate()
		if (err == nil) != (c.part == "") || err != nil && (!strings.Contains(err.Error(), c.part) || !strings.HasPrefix(err.Error(), "model: ")) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.part)
		}
		if _, made := model.NewSeq2Seq(plan.New(64), cfg, bdia.DefaultOptions()); (made == nil) != (err == nil) {
			t.Errorf("%s: NewSeq2Seq says %v, Validate %v", name, made, err)
		}
	}
}

// TestSeq2SeqPresets counts parameters by hand.
func TestSeq2SeqPresets(t *testing.T) {
	t.Parallel()
	if names := model.Seq2SeqPresets(); !slices.Equal(names, []string{"tiny", "eng-fra", "small", "base"}) {
		t.Errorf("presets %v", names)
	}
	count := func(k, C, M, context int) int {
		square := C*C + C
		mlp, norm := C*M+M+M*C+C, 2*C
		return 8192*C + 2*context*C + k*(4*square+mlp+2*norm) + k*(8*square+mlp+3*norm) + 2*norm
	}
	// Three tables of 8192 tokens, positions without parameters.
	engFra := count(3, 192, 192, 0) + 2*8192*192
	want := map[string]int{"eng-fra": engFra, "tiny": count(4, 128, 512, 256), "small": count(6, 256, 1024, 256), "base": count(6, 512, 2048, 256)}
	for name, want := range want {
		c, err := model.Seq2SeqPreset(name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := model.NewSeq2Seq(plan.New(64), c, bdia.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, p := range m.Params() {
			n += p.Value.Len()
		}
		if n != want {
			t.Errorf("%s has %d parameters, want %d", name, n, want)
		}
	}
	if _, err := model.Seq2SeqPreset("huge"); err == nil || !strings.Contains(err.Error(), "small") {
		t.Errorf("error %v", err)
	}
}
