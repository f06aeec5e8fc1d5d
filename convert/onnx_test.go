package convert

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/format/onnx"
	"github.com/bdia-go/bdia/internal/onnxeval"
	"github.com/bdia-go/bdia/internal/rng"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// near is the most that a logit of a graph may differ, as a share of the largest.
const near = 1e-5

// roughen fills parameters with draws that are larger than those of Init, so that
// every part of a model shows in its logits, and biases and norms do.
func roughen(be backend.Backend, params []*tensor.Param) {
	for i, p := range params {
		host := make([]float32, p.Value.Len())
		key := rng.Key{Seed: 7, Block: uint32(i), Site: rng.SiteInit}
		for j := range host {
			u := float32(key.Uint64(uint32(j))>>40) / (1 << 24) // [0,1)
			host[j] = (u - 0.5) * 0.4
			if !p.Decay && !p.Embedding {
				host[j] += 0.5
			}
		}
		be.Upload(p.Value, host)
	}
}

// onnxFile writes m and reads it back.
func onnxFile(t testing.TB, m *onnx.Model) *onnx.Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := onnx.Create(path, m); err != nil {
		t.Fatal(err)
	}
	f, err := onnx.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &f.Model
}

// evaluate runs m.
func evaluate(t testing.TB, m *onnx.Model, inputs map[string]onnxeval.Value) map[string]onnxeval.Value {
	t.Helper()
	out, err := onnxeval.Run(m, inputs)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// ids64 draws n ids of a vocabulary.
func ids64(n, vocab int) []int64 {
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = int64(rng.Key{Seed: 3, Site: rng.SiteData}.Uint64(uint32(i)) % uint64(vocab))
	}
	return ids
}

// to32 and count make what inputs need.
func to32(ids []int64) []int32 {
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out
}

func count(from, n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(from + i)
	}
	return out
}

func ones(n int) []int64 { return slices.Repeat([]int64{1}, n) }

var onnxGPTs = []struct {
	name   string
	change func(*model.GPTConfig)
}{
	{"tied", func(*model.GPTConfig) {}},
	{"untied", func(c *model.GPTConfig) { c.Untied = true }},
	{"no bias", func(c *model.GPTConfig) { c.NoBias = true }},
	{"erf", func(c *model.GPTConfig) { c.GELU = backend.GELUErf; c.MLP, c.Eps = 20, 1e-3 }},
	{"llama", func(c *model.GPTConfig) { *c = onnxFamily(model.Llama, 2, 0) }},
	{"llama, every head its own keys, biases", func(c *model.GPTConfig) {
		*c = onnxFamily(model.Llama, 4, 0)
		c.Untied, c.AttentionBias, c.MLPBias = true, true, true
	}},
	{"qwen2, by yarn", func(c *model.GPTConfig) {
		*c = onnxFamily(model.Qwen2, 1, 0)
		c.Rope = model.Rope{Theta: 1e4, Kind: model.RopeYarn, Factor: 4, OriginalContext: 2, BetaFast: 32, BetaSlow: 1}
	}},
	{"qwen3, wide heads", func(c *model.GPTConfig) { *c = onnxFamily(model.Qwen3, 2, 10) }},
	{"mistral, window", func(c *model.GPTConfig) { *c = onnxFamily(model.Mistral, 2, 0); c.Window = 3 }},
	{"qwen2, window in the last block", func(c *model.GPTConfig) { *c = onnxFamily(model.Qwen2, 2, 0); c.Window, c.FullLayers = 2, 1 }},
	{"granite", func(c *model.GPTConfig) {
		*c = onnxFamily(model.Granite, 2, 6)
		c.EmbeddingScale, c.AttentionScale, c.BranchScale, c.LogitsDivisor = 1.7, 0.3, 0.22, 2.5
	}},
	{"olmo2, wide heads", func(c *model.GPTConfig) { *c = onnxFamily(model.OLMo2, 2, 6) }},
}

// onnxFamily is a small model of a family.
func onnxFamily(f model.Family, keys, head int) model.GPTConfig {
	return model.GPTConfig{Family: f, Vocab: 19, Context: 8, Layers: 2, Heads: 4, KVHeads: keys, HeadWidth: head, Width: 16, MLP: 20, Eps: 1e-6, Rope: model.Rope{Theta: 1e4}}
}

// onnxGPT returns a model with rough weights.
func onnxGPT(t testing.TB, change func(*model.GPTConfig)) (backend.Backend, *model.GPT) {
	t.Helper()
	c := model.GPTConfig{Vocab: 19, Context: 8, Layers: 2, Heads: 2, Width: 12}
	change(&c)
	be, m := newModel(t, c)
	roughen(be, m.Params())
	return be, m
}

func gptGraph(t testing.TB, be backend.Backend, m *model.GPT, cached bool) *onnx.Model {
	t.Helper()
	g, err := GPTGraph(be, m, cached)
	if err != nil {
		t.Fatal(err)
	}
	return onnxFile(t, g)
}

// gptLogits are those of the model itself.
func gptLogits(m *model.GPT, B int, ids []int64) []float32 {
	dst := make([]float32, len(ids)*m.Config.Vocab)
	if err := m.Logits(dst, model.Batch{Size: B, Inputs: to32(ids)}, bdia.NoGrid); err != nil {
		panic(err)
	}
	return dst
}

// TestGraphGELU: the constants of both forms of the GELU are the nearest float32 of what they are named after. The
// logits of a tiny model hardly show their last digits.
func TestGraphGELU(t *testing.T) {
	t.Parallel()
	for form, want := range map[backend.GELUForm][]string{
		backend.GELUTanh: {"Mul 0.044715", "Add 1", "Mul 0.7978846", "Mul 0.5", "Add 1"},
		backend.GELUErf:  {"Div 1.4142135", "Add 1", "Mul 0.5"},
	} {
		be, m := onnxGPT(t, func(c *model.GPTConfig) { c.GELU = form })
		g := gptGraph(t, be, m, false)
		values := map[string]float32{}
		for _, c := range g.Tensors {
			if c.Type == onnx.Float && len(c.Shape) == 0 {
				values[c.Name] = math.Float32frombits(binary.LittleEndian.Uint32(c.Data))
			}
		}
		var got []string
		for _, n := range g.Nodes {
			for _, in := range n.Inputs {
				if v, ok := values[in]; ok && strings.HasPrefix(n.Name, "blocks.0.mlp.") {
					got = append(got, fmt.Sprint(n.Op, " ", v))
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: constants %q, want %q", form, got, want)
		}
	}
}

// TestGPTGraph: the graph of every kind of language model gives its logits, for
// several sizes of batch and length.
func TestGPTGraph(t *testing.T) {
	t.Parallel()
	for _, tc := range onnxGPTs {
		be, m := onnxGPT(t, tc.change)
		g := gptGraph(t, be, m, false)
		for _, s := range [][2]int{{1, 1}, {3, 5}, {2, 8}} {
			B, T := s[0], s[1]
			ids := ids64(B*T, m.Config.Vocab)
			out := evaluate(t, g, map[string]onnxeval.Value{"input_ids": onnxeval.Ints(ids, B, T), "attention_mask": onnxeval.Ints(ones(B*T), B, T)})
			testkit.Near(t, fmt.Sprint(tc.name, s), out["logits"].Floats, gptLogits(m, B, ids), near)
		}
	}
}

// TestGPTGraphPadding: what the mask has 0 for is not seen, at either end.
func TestGPTGraphPadding(t *testing.T) {
	t.Parallel()
	for _, tc := range onnxGPTs {
		be, m := onnxGPT(t, tc.change)
		t.Run(tc.name, func(t *testing.T) { checkPadding(t, be, m) })
	}
}

func checkPadding(t *testing.T, be backend.Backend, m *model.GPT) {
	V := m.Config.Vocab
	ids := ids64(5, V)
	want := gptLogits(m, 1, ids)
	plain, cached := gptGraph(t, be, m, false), gptGraph(t, be, m, true)
	junk := []int64{4, 4}

	// At the end: another sample of the batch is longer.
	batch := slices.Concat(ids, junk, ids64(7, V))
	mask := slices.Concat(ones(5), []int64{0, 0}, ones(7))
	out := evaluate(t, plain, map[string]onnxeval.Value{"input_ids": onnxeval.Ints(batch, 2, 7), "attention_mask": onnxeval.Ints(mask, 2, 7)})
	testkit.Near(t, "padded at the end", out["logits"].Floats[:5*V], want, near)

	// At the front: positions say where the text begins.
	batch = slices.Concat(junk, ids, ids64(7, V))
	mask = slices.Concat([]int64{0, 0}, ones(5), ones(7))
	inputs := map[string]onnxeval.Value{"input_ids": onnxeval.Ints(batch, 2, 7), "attention_mask": onnxeval.Ints(mask, 2, 7),
		"position_ids": onnxeval.Ints(slices.Concat([]int64{1, 1}, count(0, 5), count(0, 7)), 2, 7)}
	empty(inputs, m, 2)
	out = evaluate(t, cached, inputs)
	testkit.Near(t, "padded at the front", out["logits"].Floats[2*V:7*V], want, near)
	testkit.Near(t, "beside padding", out["logits"].Floats[7*V:], gptLogits(m, 1, ids64(7, V)), near)
}

// empty adds keys and values of no positions, and asks for all logits.
func empty(inputs map[string]onnxeval.Value, m *model.GPT, B int) {
	keys, head := cached(m.Config)
	for k := range m.Config.Layers {
		for _, what := range []string{"key", "value"} {
			inputs[fmt.Sprintf("past_key_values.%d.%s", k, what)] = onnxeval.Floats(nil, B, keys, 0, head)
		}
	}
	if m.Config.Family != model.GPT2 {
		inputs["num_logits_to_keep"] = onnxeval.Ints([]int64{0})
	}
}

// cached returns the heads of keys that a model caches, and their width.
func cached(c model.GPTConfig) (keys, head int) {
	keys, head = c.KVHeads, c.HeadWidth
	if keys == 0 {
		keys = c.Heads
	}
	if head == 0 {
		head = c.Width / c.Heads
	}
	return keys, head
}

// TestGPTGraphCached: a text in pieces, through keys and values, gives the logits of
// the whole, whatever the pieces.
func TestGPTGraphCached(t *testing.T) {
	t.Parallel()
	const B, T = 2, 7
	for _, tc := range onnxGPTs {
		be, m := onnxGPT(t, tc.change)
		c := m.Config
		g := gptGraph(t, be, m, true)
		ids := ids64(B*T, c.Vocab)
		want := gptLogits(m, B, ids)
		for _, pieces := range [][]int{{7}, {1, 1, 1, 1, 1, 1, 1}, {3, 1, 3}} {
			inputs := map[string]onnxeval.Value{}
			empty(inputs, m, B)
			at := 0
			for _, n := range pieces {
				piece := slices.Concat(ids[at:at+n], ids[T+at:T+at+n])
				inputs["input_ids"] = onnxeval.Ints(piece, B, n)
				inputs["position_ids"] = onnxeval.Ints(slices.Repeat(count(at, n), B), B, n)
				inputs["attention_mask"] = onnxeval.Ints(ones(B*(at+n)), B, at+n)
				out := evaluate(t, g, inputs)
				for b := range B {
					testkit.Near(t, fmt.Sprintf("%s: sample %d from %d of %v", tc.name, b, at, pieces),
						out["logits"].Floats[b*n*c.Vocab:(b+1)*n*c.Vocab], want[(b*T+at)*c.Vocab:(b*T+at+n)*c.Vocab], near)
				}
				at += n
				for k := range c.Layers {
					for _, what := range []string{"key", "value"} {
						v := out[fmt.Sprintf("present.%d.%s", k, what)]
						keys, head := cached(c)
						if w := []int{B, keys, at, head}; !slices.Equal(v.Shape, w) {
							t.Fatalf("present has shape %v, want %v", v.Shape, w)
						}
						inputs[fmt.Sprintf("past_key_values.%d.%s", k, what)] = v
					}
				}
			}
		}
	}
}

// TestGPTGraphLastLogits: a family's graph gives the logits of the last positions alone, if it is asked to.
func TestGPTGraphLastLogits(t *testing.T) {
	t.Parallel()
	const B, T = 2, 5
	be, m := onnxGPT(t, func(c *model.GPTConfig) { *c = onnxFamily(model.Llama, 2, 0) })
	V := m.Config.Vocab
	ids := ids64(B*T, V)
	inputs := map[string]onnxeval.Value{"input_ids": onnxeval.Ints(ids, B, T), "attention_mask": onnxeval.Ints(ones(B*T), B, T),
		"position_ids": onnxeval.Ints(slices.Repeat(count(0, T), B), B, T)}
	empty(inputs, m, B)
	want := gptLogits(m, B, ids)
	for _, n := range []int{1, 3, 5} {
		inputs["num_logits_to_keep"] = onnxeval.Ints([]int64{int64(n)})
		out := evaluate(t, gptGraph(t, be, m, true), inputs)["logits"]
		if !slices.Equal(out.Shape, []int{B, n, V}) {
			t.Fatalf("logits %v", out.Shape)
		}
		for b := range B {
			testkit.Near(t, fmt.Sprint(n, " of sample ", b), out.Floats[b*n*V:(b+1)*n*V], want[((b+1)*T-n)*V:(b+1)*T*V], near)
		}
	}
}

// TestGPTGraphOneTable: a tied table is in the file once.
func TestGPTGraphOneTable(t *testing.T) {
	t.Parallel()
	be, m := onnxGPT(t, func(c *model.GPTConfig) { c.Vocab = 1000 })
	g, err := GPTGraph(be, m, true)
	if err != nil {
		t.Fatal(err)
	}
	params := int64(0)
	for _, p := range m.Params() {
		params += p.Value.Bytes()
	}
	if over := g.Size() - params; over > 24<<10 {
		t.Errorf("the file has %d bytes more than the %d of the weights", over, params)
	}
}

// TestGPTGraphAdapters: adapters are not in the graph, so they are refused.
func TestGPTGraphAdapters(t *testing.T) {
	t.Parallel()
	be, m := onnxGPT(t, func(*model.GPTConfig) {})
	if err := m.AddLoRA(model.LoRAConfig{Rank: 2, Alpha: 4, Targets: model.Targets{"all"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := GPTGraph(be, m, false); !errors.Is(err, ErrUnsupported) {
		t.Errorf("with adapters: %v", err)
	}
	m.InitLoRA(1)
	m.MergeLoRA()
	if _, err := GPTGraph(be, m, false); err != nil {
		t.Error(err)
	}
}

var onnxViTs = []struct {
	name   string
	change func(*model.ViTConfig)
}{
	{"class token", func(*model.ViTConfig) {}},
	{"mean", func(c *model.ViTConfig) { c.MeanPool = true }},
	{"two streams", func(c *model.ViTConfig) { c.TwoStream = true; c.GELU = backend.GELUErf }},
}

// onnxViT returns a model with rough weights, and some pixels.
func onnxViT(t testing.TB, change func(*model.ViTConfig)) (backend.Backend, *model.ViT, model.ImageBatch) {
	t.Helper()
	c := model.ViTConfig{Image: 6, Patch: 2, Classes: 5, Layers: 2, Heads: 2, Width: 12}
	change(&c)
	be, m := newViT(t, c)
	roughen(be, m.Params())
	b := model.NewImageBatch(c, 3)
	for i := range b.Pixels {
		b.Pixels[i] = float32(rng.Key{Seed: 9, Site: rng.SiteData}.Uint64(uint32(i))>>40)/(1<<23) - 1
	}
	return be, m, b
}

// vitLogits are those of the model itself.
func vitLogits(t testing.TB, m *model.ViT, b model.ImageBatch) []float32 {
	t.Helper()
	dst := make([]float32, b.Size*m.Config.Classes)
	if err := m.Logits(dst, b, bdia.NoGrid, 0); err != nil {
		t.Fatal(err)
	}
	return dst
}

func TestViTGraph(t *testing.T) {
	t.Parallel()
	for _, tc := range onnxViTs {
		be, m, b := onnxViT(t, tc.change)
		side := m.Config.Image
		out := evaluate(t, onnxFile(t, ViTGraph(be, m)), map[string]onnxeval.Value{"pixel_values": onnxeval.Floats(b.Pixels, b.Size, 3, side, side)})
		testkit.Near(t, tc.name, out["logits"].Floats, vitLogits(t, m, b), near)
	}
}

var onnxSeq2Seqs = []struct {
	name   string
	change func(*model.Seq2SeqConfig)
}{
	{"shared", func(*model.Seq2SeqConfig) {}},
	{"separate", func(c *model.Seq2SeqConfig) { c.Shared, c.TargetVocab = false, 13 }},
	{"sinusoids, untied, no bias", func(c *model.Seq2SeqConfig) { c.Sinusoidal, c.Untied, c.NoBias = true, true, true }},
}

// onnxSeq2Seq returns a model with rough weights, and two pairs, one of a padded
// source.
func onnxSeq2Seq(t testing.TB, change func(*model.Seq2SeqConfig)) (backend.Backend, *model.Seq2Seq, model.PairBatch) {
	t.Helper()
	c := model.Seq2SeqConfig{SourceVocab: 17, TargetVocab: 17, SourceContext: 9, TargetContext: 7, EncoderLayers: 2, DecoderLayers: 2, Heads: 2, Width: 12, Shared: true}
	change(&c)
	be, err := cpu.New(cpu.Options{Threads: 1, ArenaBytes: cpu.ScratchBytes(1) + 1<<20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	m, err := model.NewSeq2Seq(be, c, bdia.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	roughen(be, m.Params())
	b := model.NewPairBatch(2, 6, 4)
	copy(b.Source, to32(ids64(12, c.SourceVocab)))
	copy(b.Input, to32(ids64(8, c.TargetVocab)))
	b.SourceLengths[1] = 4
	return be, m, b
}

// seq2seqLogits are those of the model itself.
func seq2seqLogits(t testing.TB, m *model.Seq2Seq, b model.PairBatch) []float32 {
	t.Helper()
	dst := make([]float32, len(b.Input)*m.Config.TargetVocab)
	if err := m.Logits(dst, b, bdia.NoGrid); err != nil {
		t.Fatal(err)
	}
	return dst
}

// to64 is the inverse of to32.
func to64(ids []int32) []int64 {
	out := make([]int64, len(ids))
	for i, id := range ids {
		out[i] = int64(id)
	}
	return out
}

// sourceMask has 1 for what is not padding.
func sourceMask(b model.PairBatch) []int64 {
	mask := make([]int64, b.B*b.S)
	for i, n := range b.SourceLengths {
		copy(mask[i*b.S:], ones(int(n)))
	}
	return mask
}

func TestSeq2SeqGraphs(t *testing.T) {
	t.Parallel()
	for _, tc := range onnxSeq2Seqs {
		be, m, b := onnxSeq2Seq(t, tc.change)
		encoder, decoder := Seq2SeqGraphs(be, m)
		mask := onnxeval.Ints(sourceMask(b), b.B, b.S)
		memory := evaluate(t, onnxFile(t, encoder), map[string]onnxeval.Value{"input_ids": onnxeval.Ints(to64(b.Source), b.B, b.S), "attention_mask": mask})
		out := evaluate(t, onnxFile(t, decoder), map[string]onnxeval.Value{"input_ids": onnxeval.Ints(to64(b.Input), b.B, b.T),
			"encoder_attention_mask": mask, "encoder_hidden_states": memory["last_hidden_state"]})
		testkit.Near(t, tc.name, out["logits"].Floats, seq2seqLogits(t, m, b), near)
	}
}
