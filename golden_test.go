package bdia_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/cpufeat"
	"github.com/bdia-go/bdia/internal/golden"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// tinyGPT is the model of gpt_tiny_bdia_tied_tanh.safetensors.
var tinyGPT = model.GPTConfig{Vocab: 50, Context: 16, Layers: 4, Heads: 4, Width: 32}

// newCPU returns a CPU backend that the test closes.
func newCPU(t testing.TB, o cpu.Options) *cpu.Backend {
	t.Helper()
	if o.ArenaBytes == 0 {
		o.ArenaBytes = cpu.ScratchBytes(o.Threads) + 64<<20
	}
	be, err := cpu.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	return be
}

// collect is a Sink that copies every gradient to the host.
type collect struct {
	be    backend.Backend
	grads map[string][]float32
}

func (c *collect) Open(params []*tensor.Param) { bdia.AllocGrads(c.be, params) }

func (c *collect) Close(params []*tensor.Param) {
	for _, p := range params {
		c.grads[p.Name] = read(c.be, p.Grad)
	}
}

func read(be backend.Backend, x tensor.Tensor) []float32 {
	host := make([]float32, x.Len())
	be.Download(host, x)
	return host
}

func TestGoldenGPT(t *testing.T) {
	t.Parallel()
	goldenPaths(t, goldenFile{golden.Open(t, "gpt_tiny_bdia_tied_tanh.safetensors"), tinyGPT})
}

// TestGoldenFamilies: Llama's block and its kin's, with all that they differ in.
func TestGoldenFamilies(t *testing.T) {
	t.Parallel()
	for file, c := range map[string]model.GPTConfig{
		"llama": {Family: model.Llama, Layers: 4, Width: 64, MLP: 88, KVHeads: 2, HeadWidth: 16, Untied: true, Eps: 1e-5,
			Rope: model.Rope{Theta: 5e5, Kind: model.RopeLlama3, Factor: 8, LowFreq: 1, HighFreq: 4, OriginalContext: 64}},
		"qwen2":   {Family: model.Qwen2, Layers: 4, Width: 32, MLP: 88, KVHeads: 2, Eps: 1e-6, Rope: model.Rope{Theta: 1e6}},
		"qwen3":   {Family: model.Qwen3, Layers: 4, Width: 32, MLP: 72, KVHeads: 1, HeadWidth: 16, Eps: 1e-6, Rope: model.Rope{Theta: 1e6}},
		"mistral": {Family: model.Mistral, Layers: 3, Width: 32, MLP: 56, KVHeads: 2, Untied: true, Eps: 1e-5, Window: 5, Rope: model.Rope{Theta: 1e4}},
	} {
		c.Vocab, c.Context, c.Heads = 50, 16, 4
		t.Run(file, func(t *testing.T) {
			goldenPaths(t, goldenFile{golden.Open(t, "../llm/golden/"+file+"_tiny_bdia.safetensors"), c})
		})
	}
}

// goldenFile is a golden file of a language model.
type goldenFile struct {
	*golden.File
	c model.GPTConfig
}

// of returns what the file has of one of our parameters, which families' files have under other names and in parts.
func (g goldenFile) of(kind, name string) (all []float32) {
	names := []string{name}
	if g.c.Family != model.GPT2 {
		name = strings.NewReplacer("blocks.", "model.layers.", "ln1.", "input_layernorm.", "ln2.", "post_attention_layernorm.", "lnf.", "model.norm.",
			"wte.", "model.embed_tokens.", "head.", "lm_head.", "attn.proj", "self_attn.o_proj", "mlp.fc2", "mlp.down_proj", "attn.qnorm", "self_attn.q_norm",
			"attn.knorm", "self_attn.k_norm", "attn.qkv", "self_attn.{q,k,v}_proj", "mlp.fc1", "mlp.{gate,up}_proj").Replace(name)
		names = []string{name}
		if before, rest, ok := strings.Cut(name, "{"); ok {
			parts, after, _ := strings.Cut(rest, "}")
			names = nil
			for part := range strings.SplitSeq(parts, ",") {
				names = append(names, before+part+after)
			}
		}
	}
	for _, n := range names {
		all = append(all, g.F32(kind+n)...)
	}
	return all
}

func goldenPaths(t *testing.T, g goldenFile) {
	for _, level := range cpufeat.Supported() {
		for _, memory := range []bdia.Memory{bdia.Reversible, bdia.Store, bdia.Recompute} {
			t.Run(fmt.Sprintf("%v/%v", level, memory), func(t *testing.T) {
				t.Parallel()
				be := newCPU(t, cpu.Options{Threads: 2, ISA: level.String()})
				goldenGPT(t, g, be, memory)
			})
		}
	}
}

func goldenGPT(t *testing.T, g goldenFile, be backend.Backend, memory bdia.Memory) {
	opt := bdia.DefaultOptions()
	opt.Memory = memory
	m, err := model.NewGPT(be, g.c, opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		be.Upload(p.Value, g.of("param.", p.Name))
	}
	batch := model.Batch{Size: 3, Inputs: g.I32("input.tokens"), Targets: g.I32("input.targets")}
	tokens := float64(len(batch.Inputs))

	// Training: states on the way up, side information, states on the way down.
	m.Stack.SetGammas(g.F32("gamma"))
	seen := 0
	m.Stack.Observe = func(k int, x tensor.Tensor) {
		seen++
		testkit.EqualBits(t, fmt.Sprintf("x_%d (visit %d)", k, seen), read(be, x), g.F32(fmt.Sprintf("x.%d", k)))
		if side := m.Stack.Side(); memory == bdia.Reversible && k == g.c.Layers {
			for j := range g.c.Layers - 2 {
				bits := make([]byte, side.Of(j).Len())
				be.DownloadBytes(bits, side.Of(j))
				if want := g.Bytes(fmt.Sprintf("s_packed.%d", j)); string(bits) != string(want) {
					t.Errorf("side information s_%d differs", j)
				}
			}
		}
	}
	sink := &collect{be: be, grads: map[string][]float32{}}
	var sum float64
	if err := testkit.AddTo(&sum)(m.MicroStep(batch, backend.Pass{Train: true}, float32(1/tokens), sink)); err != nil {
		t.Fatal(err)
	}
	want := g.c.Layers + 1
	if memory == bdia.Reversible {
		want += g.c.Layers - 2
	}
	if seen != want {
		t.Errorf("%d states were observed, want %d", seen, want)
	}
	testkit.Near(t, "loss", []float32{float32(sum / tokens)}, g.F32("loss"), 1e-5)
	for name, grad := range sink.grads {
		testkit.Near(t, "gradient of "+name, grad, g.of("grad.", name), 1e-5)
	}
	if len(sink.grads) != len(m.Params()) {
		t.Errorf("%d gradients for %d parameters", len(sink.grads), len(m.Params()))
	}
	testkit.Near(t, "dloss/dx_0", read(be, m.Stack.Grad()), g.F32("gx.0"), 1e-5)

	// Inference.
	m.Stack.Observe = func(k int, x tensor.Tensor) {
		testkit.EqualBits(t, fmt.Sprintf("inference x_%d", k), read(be, x), g.F32(fmt.Sprintf("infer.x.%d", k)))
	}
	sum = 0
	if err := testkit.AddTo(&sum)(m.Loss(batch, bdia.DefaultGrid)); err != nil {
		t.Fatal(err)
	}
	testkit.Near(t, "inference loss", []float32{float32(sum / tokens)}, g.F32("infer.loss"), 1e-5)
	logits := make([]float32, len(batch.Inputs)*g.c.Vocab)
	testkit.OK(t, m.Logits(logits, batch, bdia.DefaultGrid))
	testkit.Near(t, "inference logits", logits, g.F32("infer.logits"), 1e-5)
}
