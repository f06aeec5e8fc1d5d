package model_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// TestDefaultEpsilons: an epsilon of 0 means timm's for ViT and PyTorch's for the other models.
func TestDefaultEpsilons(t *testing.T) {
	t.Parallel()
	for name, eps := range map[string][2]float64{
		"GPT": {model.GPTConfig{}.Epsilon(), 1e-5}, "ViT": {model.ViTConfig{}.Epsilon(), 1e-6}, "Seq2Seq": {model.Seq2SeqConfig{}.Epsilon(), 1e-5},
	} {
		if eps[0] != eps[1] {
			t.Errorf("the default epsilon of %s is %v, want %v", name, eps[0], eps[1])
		}
	}
}

// depths records the probabilities of stochastic depth by block.
type depths struct {
	backend.Backend
	of map[int][]float32
}

func (d depths) DropSamples(y, x tensor.Tensor, p float32, draw backend.Draw) {
	if !slices.Contains(d.of[draw.Block], p) {
		d.of[draw.Block] = append(d.of[draw.Block], p)
	}
	d.Backend.DropSamples(y, x, p, draw)
}

// TestStochasticDepth: the probability rises linearly from 0 at the first block to the configured one at the last, as in
// Huang et al., ECCV 2016. Both branches of a block have the same.
func TestStochasticDepth(t *testing.T) {
	t.Parallel()
	for layers, want := range map[int]string{
		1: "map[]", // the first block is the last
		2: "map[1:[0.3]]",
		4: "map[1:[0.1] 2:[0.2] 3:[0.3]]",
	} {
		c := tinyViT()
		c.Layers, c.StochasticDepth = layers, 0.3
		d := depths{plan.New(64), map[int][]float32{}}
		m, err := model.NewViT(d, c, plain(0))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.MicroStep(newImages(c, 2), trainPass, 1, newSink(d, m.Params())); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(d.of); got != want {
			t.Errorf("%d blocks drop branches with probabilities %s, want %s", layers, got, want)
		}
	}
}

// TestDecay: matrices decay; vectors (norms and biases) do not, nor do the class token and the positions of a ViT, as in
// timm. Tables of tokens and of positions, and the class token, are embeddings.
func TestDecay(t *testing.T) {
	t.Parallel()
	pairs := tinyPairs()
	pairs.Shared, pairs.Untied = false, true
	mean := tinyViT()
	mean.MeanPool = true
	two := tinyViT()
	two.TwoStream = true
	for _, tc := range []struct {
		name       string
		make       func(backend.Backend) (interface{ Params() []*tensor.Param }, error)
		plain      []string // matrices that do not decay
		embeddings []string
	}{
		{"ViT", func(be backend.Backend) (interface{ Params() []*tensor.Param }, error) {
			return model.NewViT(be, tinyViT(), bdia.DefaultOptions())
		}, []string{"pos"}, []string{"cls", "pos"}},
		{"ViT of the mean", func(be backend.Backend) (interface{ Params() []*tensor.Param }, error) {
			return model.NewViT(be, mean, bdia.DefaultOptions())
		}, []string{"pos"}, []string{"pos"}},
		{"RevViT", func(be backend.Backend) (interface{ Params() []*tensor.Param }, error) {
			return model.NewViT(be, two, twoStream)
		}, []string{"pos"}, []string{"cls", "pos"}},
		{"Seq2Seq", func(be backend.Backend) (interface{ Params() []*tensor.Param }, error) {
			return model.NewSeq2Seq(be, tinyPairs(), bdia.DefaultOptions())
		}, nil, []string{"wte.weight", "enc.wpe.weight", "dec.wpe.weight"}},
		{"Seq2Seq of two tables", func(be backend.Backend) (interface{ Params() []*tensor.Param }, error) {
			return model.NewSeq2Seq(be, pairs, bdia.DefaultOptions())
		}, nil, []string{"enc.wte.weight", "enc.wpe.weight", "dec.wte.weight", "dec.wpe.weight"}},
	} {
		m, err := tc.make(plan.New(64))
		if err != nil {
			t.Fatal(err)
		}
		var embeddings []string
		for _, p := range m.Params() {
			if want := p.Value.Shape.Rank() == 2 && !slices.Contains(tc.plain, p.Name); p.Decay != want {
				t.Errorf("%s: %s has decay %v", tc.name, p.Name, p.Decay)
			}
			if p.Embedding {
				embeddings = append(embeddings, p.Name)
			}
		}
		if !slices.Equal(embeddings, tc.embeddings) {
			t.Errorf("%s: embeddings %q, want %q", tc.name, embeddings, tc.embeddings)
		}
	}
}

// TestAdapterScale: the logits of a model with adapters are those of a model without, each of whose weights W has become
// W + alpha/rank * B A. The sum is made here, in float64.
func TestAdapterScale(t *testing.T) {
	t.Parallel()
	const rank, alpha = 2, 3
	c := tiny()
	be := newCPU(t, 1)
	b := newBatch(c, 2)
	logits := func(m *model.GPT) []float32 {
		l := make([]float32, len(b.Inputs)*c.Vocab)
		testkit.OK(t, m.Logits(l, b, bdia.NoGrid))
		return l
	}
	adapted := adapted(t, be, c, model.LoRAConfig{Rank: rank, Alpha: alpha, Targets: model.Targets{"all"}}, bdia.DefaultOptions())
	adapters := map[string]*tensor.Param{}
	for _, p := range adapted.Adapters() {
		adapters[p.Name] = p
	}
	whole := newModel(t, be, c, bdia.DefaultOptions())
	for _, p := range whole.Params() {
		name := p.Name[:max(0, len(p.Name)-len(".weight"))]
		A, B := adapters[name+".lora_a"], adapters[name+".lora_b"]
		if A == nil || B == nil {
			continue
		}
		w, a, b := read(be, p.Value), read(be, A.Value), read(be, B.Value)
		in := p.Value.Cols()
		for i := range w {
			sum := 0.0
			for r := range rank {
				sum += float64(b[i/in*rank+r]) * float64(a[r*in+i%in])
			}
			w[i] = float32(float64(w[i]) + float64(alpha)/rank*sum)
		}
		be.Upload(p.Value, w)
		delete(adapters, A.Name)
		delete(adapters, B.Name)
	}
	if len(adapters) > 0 {
		t.Fatalf("adapters of no weight: %v", adapters)
	}
	testkit.Near(t, "logits", logits(adapted), logits(whole), 1e-5)
}
