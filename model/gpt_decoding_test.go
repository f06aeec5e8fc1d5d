package model_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
)

// odd is a model whose sizes are multiples of nothing.
func odd() model.GPTConfig {
	return model.GPTConfig{Vocab: 37, Context: 75, Layers: 3, Heads: 3, Width: 39, MLP: 50}
}

// oddFamily is odd for a family: heads that share keys and values and are together not as wide as the model, a window
// for those that have one, and Granite's scales.
func oddFamily(f model.Family) model.GPTConfig {
	c := odd()
	c.Family, c.Heads, c.KVHeads, c.HeadWidth, c.Rope = f, 6, 2, 8, model.Rope{Theta: 1e4}
	if f == model.Mistral || f == model.Qwen2 {
		c.Window, c.FullLayers = 9, 1
	}
	if f == model.Granite {
		c.EmbeddingScale, c.AttentionScale, c.BranchScale, c.LogitsDivisor = 1.7, 0.3, 0.22, 2.5
	}
	return c
}

// decode returns a decoding of m that holds n hypotheses of ids.
func decode(t *testing.T, m *model.GPT, n, positions int, grid bdia.Grid, dst []float32, ids []int32) *model.GPTDecoding {
	t.Helper()
	d, err := m.Decode(n, positions, grid)
	if err == nil {
		err = d.Prefill(dst, ids)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestGPTDecoding: with cached keys and values the logits are those of the whole
// text, bit for bit, whatever part of it was read at once, on every instruction set.
func TestGPTDecoding(t *testing.T) {
	t.Parallel()
	wide := model.GPTConfig{Vocab: 130, Context: 40, Layers: 2, Heads: 2, Width: 64, Untied: true, NoBias: true}
	for _, level := range cpufeat.Supported() {
		for name, c := range map[string]model.GPTConfig{"odd": odd(), "wide": wide, "tiny": tiny(), "qwen3": oddFamily(model.Qwen3), "mistral": oddFamily(model.Mistral),
			"granite": oddFamily(model.Granite), "olmo2": oddFamily(model.OLMo2)} {
			for _, grid := range []bdia.Grid{bdia.DefaultGrid, bdia.NoGrid} {
				t.Run(fmt.Sprintf("%v %s grid %v", level, name, grid), func(t *testing.T) {
					t.Parallel()
					be, err := cpu.New(cpu.Options{Threads: 2, ISA: level.String(), ArenaBytes: cpu.ScratchBytes(2) + 8<<20})
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(be.Close)
					m := newModel(t, be, c, bdia.Options{Memory: bdia.Store, Grid: grid})
					text := newBatch(c, 1).Inputs
					want := make([]float32, c.Context*c.Vocab)
					testkit.OK(t, m.Logits(want, model.Batch{Size: 1, Inputs: text}, grid))
					mark := be.Mark()
					for _, at := range []int{0, 1, 2, c.Context / 2, c.Context} { // tokens read at once
						d, err := m.Decode(1, c.Context, grid)
						if err != nil {
							t.Fatal(err)
						}
						got := make([]float32, c.Vocab)
						for T := max(at, 1); T <= c.Context; T++ {
							if T == at {
								err = d.Prefill(got, text[:T])
							} else {
								err = d.Next(got, text[T-1:T])
							}
							if err != nil || d.At(0) != T {
								t.Fatalf("%d positions after %d: %v", d.At(0), T, err)
							}
							testkit.EqualBits(t, fmt.Sprintf("%d of %d", T, at), got, want[(T-1)*c.Vocab:T*c.Vocab])
						}
						d.Close()
					}
					if be.Mark() != mark {
						t.Error("memory is left allocated")
					}
				})
			}
		}
	}
}

// TestExtend: a text that goes on from any part of it that was kept has the bits of the whole text, also when it is
// longer than what is read at once.
func TestExtend(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]model.GPTConfig{"gpt2": odd(), "qwen3": oddFamily(model.Qwen3), "mistral": oddFamily(model.Mistral), "granite": oddFamily(model.Granite), "olmo2": oddFamily(model.OLMo2)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.Context = 620
			m := newModel(t, newCPU(t, 2), c, bdia.DefaultOptions())
			text, other := newBatch(c, 1).Inputs, slices.Clone(newBatch(c, 1).Inputs)
			for i := range other {
				other[i] = (other[i] + 3) % int32(c.Vocab)
			}
			want, got := make([]float32, c.Context*c.Vocab), make([]float32, c.Vocab)
			testkit.OK(t, m.Logits(want, model.Batch{Size: 1, Inputs: text}, bdia.DefaultGrid))
			d, err := m.Decode(2, c.Context, bdia.DefaultGrid)
			testkit.OK(t, err)
			defer d.Close()
			for _, cut := range [][2]int{{1, 5}, {5, 6}, {3, 30}, {30, 300}, {255, 257}, {1, 600}, {100, 620}, {600, 620}} { // kept, until
				keep, end := cut[0], cut[1]
				testkit.OK(t, d.Extend(1, 0, nil, text[:keep]))
				testkit.OK(t, d.Extend(1, keep, nil, other[keep:min(keep+20, c.Context)]))
				testkit.OK(t, d.Extend(1, keep, got, text[keep:end]))
				testkit.EqualBits(t, fmt.Sprintf("%d after %d", end-keep, keep), got, want[(end-1)*c.Vocab:end*c.Vocab])
				if d.At(1) != end || d.At(0) != 0 {
					t.Fatalf("%d and %d tokens", d.At(1), d.At(0))
				}
			}
			for _, err := range []error{d.Extend(1, 0, nil, nil), d.Extend(1, 3, nil, text), d.Extend(0, 1, nil, text[:1]), d.Extend(2, 0, nil, text[:1]), d.Extend(1, -1, nil, text[:1])} {
				if !errors.Is(err, model.ErrBatch) {
					t.Errorf("error %v", err)
				}
			}
		})
	}
}

// TestGPTDecodingReorder: hypotheses that part, change places and become fewer have
// the bits of their whole texts.
func TestGPTDecodingReorder(t *testing.T) {
	t.Parallel()
	c := odd()
	m := newModel(t, newCPU(t, 2), c, bdia.DefaultOptions())
	other := newModel(t, newCPU(t, 1), c, bdia.DefaultOptions())
	prompt := newBatch(c, 1).Inputs[:9]
	texts := make([][]int32, 5)
	for i := range texts {
		texts[i] = slices.Clone(prompt)
	}
	d := decode(t, m, len(texts), 16, bdia.DefaultGrid, nil, prompt)
	defer d.Close()
	for step, parents := range [][]int32{{0, 1, 2, 3, 4}, {4, 4, 0, 1, 3}, {0, 1, 2, 3, 4}, {3, 0, 0}, {1, 1, 1}, {2}, {0}} {
		d.Reorder(parents)
		next := make([][]int32, len(parents))
		ids, got, want := make([]int32, len(parents)), make([]float32, len(parents)*c.Vocab), make([]float32, c.Vocab)
		for i, p := range parents {
			ids[i] = int32((7*step + 5*i + 1) % c.Vocab)
			next[i] = append(slices.Clone(texts[p]), ids[i])
		}
		texts = next
		if err := d.Next(got, ids); err != nil {
			t.Fatal(err)
		}
		for i, text := range texts {
			testkit.OK(t, other.NextLogits(want, text, bdia.DefaultGrid))
			testkit.EqualBits(t, fmt.Sprintf("hypothesis %d after %d steps", i, step+1), got[i*c.Vocab:][:c.Vocab], want)
		}
	}
	for _, parents := range [][]int32{{}, {1}, {-1}, {0, 0}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("parents %v are taken", parents)
				}
			}()
			d.Reorder(parents)
		}()
	}
	if err := d.Next(make([]float32, c.Vocab), []int32{1}); !errors.Is(err, model.ErrBatch) || !strings.Contains(err.Error(), "all 16 positions") {
		t.Errorf("a position more than there is room for: error %v", err)
	}
}

// TestGPTDecodingPlan: the planning backend knows the memory to the byte.
func TestGPTDecodingPlan(t *testing.T) {
	t.Parallel()
	c := odd()
	for _, n := range []int{1, 3} {
		be, planner := newCPU(t, 2), plan.New(cpu.ScratchBytes(2))
		for _, on := range []backend.Backend{be, planner} {
			m, err := model.NewGPT(on, c, bdia.DefaultOptions())
			if err != nil {
				t.Fatal(err)
			}
			m.Init(1)
			d := decode(t, m, n, 60, bdia.DefaultGrid, make([]float32, c.Vocab), make([]int32, 50))
			if err := d.Next(make([]float32, n*c.Vocab), make([]int32, n)); err != nil {
				t.Fatal(err)
			}
			d.Close()
		}
		if got, want := be.Peak(), planner.Peak(); got != want {
			t.Errorf("%d hypotheses: %v, planned %v", n, got, want)
		}
	}
}

func TestGPTDecodingErrors(t *testing.T) {
	t.Parallel()
	c := tiny()
	m := newModel(t, newCPU(t, 1), c, bdia.DefaultOptions())
	for _, size := range [][2]int{{0, 1}, {1, 0}, {1, c.Context + 1}, {-1, 3}} {
		if _, err := m.Decode(size[0], size[1], bdia.NoGrid); !errors.Is(err, model.ErrBatch) {
			t.Errorf("%v: error %v", size, err)
		}
	}
	d, err := m.Decode(2, 4, bdia.NoGrid)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, 2*c.Vocab)
	for name, err := range map[string]error{
		"no beginning": d.Prefill(nil, nil), "a long one": d.Prefill(nil, make([]int32, 5)), "an unknown token": d.Prefill(nil, []int32{1, 11}),
		"one token for two": d.Next(dst, []int32{1}), "another unknown one": d.Next(dst, []int32{1, -1}),
	} {
		if !errors.Is(err, model.ErrBatch) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	for _, span := range [][2]int{{-1, 1}, {0, 0}, {1, 3}} {
		if err := d.Begin(span[0], span[1], nil, []int32{1}); !errors.Is(err, model.ErrBatch) {
			t.Errorf("a beginning for %v: error %v", span, err)
		}
	}
}

// TestGPTDecodingLengths: hypotheses of different lengths, some of which begin again,
// have the bits of their whole texts.
func TestGPTDecodingLengths(t *testing.T) {
	t.Parallel()
	for _, c := range []model.GPTConfig{odd(), oddFamily(model.Llama), oddFamily(model.Qwen2), oddFamily(model.Granite), oddFamily(model.OLMo2)} {
		t.Run(c.Family.String(), func(t *testing.T) {
			t.Parallel()
			decodingLengths(t, c)
		})
	}
}

func decodingLengths(t *testing.T, c model.GPTConfig) {
	m := newModel(t, newCPU(t, 2), c, bdia.DefaultOptions())
	other := newModel(t, newCPU(t, 1), c, bdia.DefaultOptions())
	tokens, V := newBatch(c, 1).Inputs, c.Vocab
	d, err := m.Decode(4, 60, bdia.DefaultGrid)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	texts := make([][]int32, 4)
	begin := func(from, to, T int) {
		t.Helper()
		got, want := make([]float32, V), make([]float32, V)
		if err := d.Begin(from, to, got, tokens[:T]); err != nil {
			t.Fatal(err)
		}
		testkit.OK(t, other.NextLogits(want, tokens[:T], bdia.DefaultGrid))
		testkit.EqualBits(t, "beginning", got, want)
		for i := from; i < to; i++ {
			texts[i] = slices.Clone(tokens[:T])
		}
	}
	begin(1, 3, 17) // hypothesis 0 has none
	begin(3, 4, 40)
	for step := range 12 {
		switch step {
		case 4:
			begin(2, 3, 3)
		case 7:
			d.Reorder([]int32{3, 2, 0})
			texts = [][]int32{texts[3], texts[2], texts[0]}
		case 9:
			d.Reorder([]int32{1, 1, 2})
			texts = [][]int32{texts[1], texts[1], texts[2]}
		}
		ids, got, want := make([]int32, len(texts)), make([]float32, len(texts)*V), make([]float32, V)
		for i := range ids {
			ids[i] = int32((7*step + 5*i + 1) % V)
			texts[i] = append(slices.Clone(texts[i]), ids[i])
		}
		if err := d.Next(got, ids); err != nil {
			t.Fatal(err)
		}
		for i, text := range texts {
			testkit.OK(t, other.NextLogits(want, text, bdia.DefaultGrid))
			testkit.EqualBits(t, fmt.Sprintf("hypothesis %d of %d tokens", i, d.At(i)), got[i*V:][:V], want)
		}
	}
}

// TestGPTDecodingAdapters: adapters take part in cached keys and values.
func TestGPTDecodingAdapters(t *testing.T) {
	t.Parallel()
	for _, c := range []model.GPTConfig{odd(), oddFamily(model.Qwen3), oddFamily(model.Granite), oddFamily(model.OLMo2)} {
		t.Run(c.Family.String(), func(t *testing.T) {
			t.Parallel()
			decodingAdapters(t, c)
		})
	}
}

func decodingAdapters(t *testing.T, c model.GPTConfig) {
	be := newCPU(t, 2)
	m := newModel(t, be, c, bdia.DefaultOptions())
	plain, got, want := make([]float32, c.Vocab), make([]float32, c.Vocab), make([]float32, c.Vocab)
	text := newBatch(c, 1).Inputs[:20]
	testkit.OK(t, m.NextLogits(plain, text, bdia.NoGrid))
	if err := m.AddLoRA(model.LoRAConfig{Rank: 3, Alpha: 6, Dropout: 0.5, Targets: model.Targets{"all"}}); err != nil {
		t.Fatal(err)
	}
	for i, p := range m.Adapters() {
		nn.Normal(be, p, 0.3, 5, i)
	}
	testkit.OK(t, m.NextLogits(want, text, bdia.NoGrid))
	d := decode(t, m, 1, 20, bdia.NoGrid, nil, text[:12])
	defer d.Close()
	for _, id := range text[12:] {
		if err := d.Next(got, []int32{id}); err != nil {
			t.Fatal(err)
		}
	}
	testkit.EqualBits(t, "logits", got, want)
	if slices.Equal(got, plain) {
		t.Error("the adapters change nothing")
	}
}
