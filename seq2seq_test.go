package bdia_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// pairTrial is one training step of a small encoder-decoder.
type pairTrial struct {
	model     model.Seq2SeqConfig
	opt       bdia.Options
	isa       string
	precision backend.Precision
	threads   int
	samples   int
	parts     []int // sizes of the micro-batches; nil: one
	padding   int   // positions more than the longest sequences need
}

// smallPairs has sizes that are no multiples of 8, and every kind of dropout.
func smallPairs(encoder, decoder int) pairTrial {
	return pairTrial{model: model.Seq2SeqConfig{SourceVocab: 13, TargetVocab: 13, SourceContext: 12, TargetContext: 12,
		EncoderLayers: encoder, DecoderLayers: decoder, Heads: 3, Width: 9, MLP: 20, Shared: true, LabelSmoothing: 0.1,
		EmbeddingDropout: 0.1, AttentionDropout: 0.2, ResidualDropout: 0.1}, opt: bdia.DefaultOptions(), threads: 1, samples: 3}
}

// newPairs returns n pairs of random tokens of 2 to 5 source positions and 1 to 6
// target positions, padded to 5 and 6 and so many more.
func newPairs(c model.Seq2SeqConfig, n, padding int) model.PairBatch {
	b := model.NewPairBatch(n, 5+padding, 6+padding)
	for i := range n {
		s, t := 5-i%4, 6-i*4%6
		b.SourceLengths[i] = int32(s)
		key := rng.Key{Seed: 23, Sample: uint32(i)}
		for j := range b.S {
			b.Source[i*b.S+j] = 7 // padding
			if j < s {
				b.Source[i*b.S+j] = int32(key.At(uint32(j))[0] % uint32(c.SourceVocab))
			}
		}
		for j := range b.T {
			b.Input[i*b.T+j], b.Target[i*b.T+j] = 7, backend.Ignore
			if w := key.At(uint32(j)); j < t {
				b.Input[i*b.T+j], b.Target[i*b.T+j] = int32(w[1]%uint32(c.TargetVocab)), int32(w[2]%uint32(c.TargetVocab))
			}
		}
	}
	return b
}

// cut returns the samples [from,to) of b.
func cut(b model.PairBatch, from, to int) model.PairBatch {
	return model.PairBatch{B: to - from, S: b.S, T: b.T, Source: b.Source[from*b.S : to*b.S], Input: b.Input[from*b.T : to*b.T],
		Target: b.Target[from*b.T : to*b.T], SourceLengths: b.SourceLengths[from:to]}
}

// run executes the trial. It fails the test where a state is off the grid or comes
// back from the reverse walk with other bits.
func (c pairTrial) run(t *testing.T) outcome {
	t.Helper()
	be := newCPU(t, cpu.Options{Threads: c.threads, ISA: c.isa, Precision: c.precision})
	m, err := model.NewSeq2Seq(be, c.model, c.opt)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range m.Params() {
		nn.Normal(be, p, 0.3, 17, i)
	}
	m.SetCheck(true)
	sink := newKeepAll(be, m.Params())
	out := outcome{grads: map[string][]float32{}}
	if c.parts == nil {
		c.parts = []int{c.samples}
	}
	all, first := newPairs(c.model, c.samples, c.padding), 0
	for _, n := range c.parts {
		for side, stack := range map[string]*bdia.Stack{"encoder": m.Encoder, "decoder": m.Decoder} {
			var states [][]float32
			stack.Observe = func(k int, x tensor.Tensor) {
				got := read(be, x)
				if k == len(states) {
					checkGrid(t, k, got, c.opt.Grid)
					states = append(states, got)
					return
				}
				testkit.EqualBits(t, fmt.Sprintf("x_%d of the %s on the way back", k, side), got, states[k])
			}
		}
		pass := backend.Pass{Train: true, Seed: 31, Step: 6, Sample: first}
		if err := testkit.AddTo(&out.loss)(m.MicroStep(cut(all, first, first+n), pass, 1.0/16, sink)); err != nil {
			t.Fatal(err)
		}
		out.digests(m)
		first += n
	}
	if want := len(c.parts) * (c.model.EncoderLayers + c.model.DecoderLayers + 3); sink.opened != want || sink.closed != want {
		t.Errorf("the sink was opened %d and closed %d times, want %d", sink.opened, sink.closed, want)
	}
	sink.finish()
	for _, p := range m.Params() {
		out.grads[p.Name] = read(be, p.Grad)
	}
	return out
}

// TestSeq2SeqMemoryModesAgree: see TestMemoryModesAgree.
func TestSeq2SeqMemoryModesAgree(t *testing.T) {
	t.Parallel()
	for _, gamma := range []bdia.Gamma{0.5, 0.25} {
		for _, K := range [][2]int{{1, 1}, {2, 3}, {3, 2}, {5, 4}, {24, 24}} {
			t.Run(fmt.Sprintf("gamma %v/K %v", gamma, K), func(t *testing.T) {
				t.Parallel()
				c := smallPairs(K[0], K[1])
				c.opt.Gamma = gamma
				want := c.run(t)
				want.lively(t)
				for _, memory := range []bdia.Memory{bdia.Store, bdia.Recompute} {
					c.opt.Memory = memory
					c.run(t).equal(t, want)
				}
			})
		}
	}
}

// tables are the ways to share tables of tokens.
var tables = map[string]func(c *model.Seq2SeqConfig){
	"shared, tied":   func(*model.Seq2SeqConfig) {},
	"shared, untied": func(c *model.Seq2SeqConfig) { c.Untied = true },
	"two, tied":      func(c *model.Seq2SeqConfig) { c.Shared, c.SourceVocab = false, 17 },
	"two, untied":    func(c *model.Seq2SeqConfig) { c.Shared, c.Untied = false, true },
}

// TestSeq2SeqPathsAgree: instruction sets and numbers of threads change no bit.
func TestSeq2SeqPathsAgree(t *testing.T) {
	t.Parallel()
	for name, change := range tables {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := smallPairs(3, 4)
			change(&c.model)
			c.model.Sinusoidal, c.model.Width = c.model.Untied, 36
			want := c.run(t)
			for _, level := range cpufeat.Supported() {
				for _, threads := range []int{1, 2, 3} {
					if level == cpufeat.Portable && threads != 3 {
						continue
					}
					c.isa, c.threads = level.String(), threads
					c.run(t).equal(t, want)
				}
			}
		})
	}
}

// TestSeq2SeqMicroBatchesAgree: see TestMicroBatchesAgree.
func TestSeq2SeqMicroBatchesAgree(t *testing.T) {
	t.Parallel()
	for name, change := range tables {
		for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store} {
			t.Run(fmt.Sprintf("%s/%v", name, memory), func(t *testing.T) {
				t.Parallel()
				c := smallPairs(3, 4)
				change(&c.model)
				c.samples, c.opt.Memory = 5, memory
				want := c.run(t)
				for _, parts := range [][]int{{1, 1, 1, 1, 1}, {2, 3}, {4, 1}} {
					c.parts = parts
					c.run(t).equal(t, want)
				}
			})
		}
	}
}

// TestSeq2SeqPaddingIsNothing: more padding changes no bit of loss and gradients.
// Attention dropout is left out: it numbers weights by the padded sizes.
func TestSeq2SeqPaddingIsNothing(t *testing.T) {
	t.Parallel()
	for name, change := range tables {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := smallPairs(3, 4)
			change(&c.model)
			c.samples, c.model.AttentionDropout = 4, 0
			want := c.run(t)
			for _, more := range []int{1, 6} {
				c.padding = more
				got := c.run(t)
				got.equal(t, outcome{loss: want.loss, grads: want.grads})
			}
		})
	}
}

// TestStacksDrawApart: the blocks of both stacks draw gammas of their own.
func TestStacksDrawApart(t *testing.T) {
	t.Parallel()
	be := newCPU(t, cpu.Options{Threads: 1})
	m, err := model.NewSeq2Seq(be, smallPairs(8, 8).model, bdia.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	pass := backend.Pass{Train: true, Seed: 3}
	gammas := func(s *bdia.Stack) []float32 { return bdia.DrawGammas(0.5, s.FirstBlock, 8, 8, pass)[8:] }
	if slices.Equal(gammas(m.Encoder), gammas(m.Decoder)) {
		t.Error("encoder and decoder draw the same gammas")
	}
}
