package nn

import (
	"strings"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/internal/golden"
	"github.com/bdia-go/bdia/internal/testkit"
	"github.com/bdia-go/bdia/tensor"
)

// TestInsideFamilies compares what stands inside a block of Llama's kind with an independent reference: norms, queries,
// keys and values after norm and rotation, attention's output, the gated product, both branches.
func TestInsideFamilies(t *testing.T) {
	t.Parallel()
	for file, c := range map[string]BlockConfig{
		"llama":   {Width: 64, MLP: 88, KVHeads: 2, HeadWidth: 16, Eps: 1e-5},
		"qwen2":   {Width: 32, MLP: 88, KVHeads: 2, Eps: 1e-6, QKVBias: true},
		"qwen3":   {Width: 32, MLP: 72, KVHeads: 1, HeadWidth: 16, Eps: 1e-6, HeadNorm: true},
		"mistral": {Width: 32, MLP: 56, KVHeads: 2, Eps: 1e-5, Window: 5},
	} {
		c.Heads, c.Causal, c.RMS, c.Gated, c.Separate = 4, true, true, true, true
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			insideBlock(t, golden.Open(t, "../llm/golden/"+file+"_tiny_bdia.safetensors"), c)
		})
	}
}

const goldenB, goldenT = 3, 16

func insideBlock(t *testing.T, g *golden.File, c BlockConfig) {
	be, err := cpu.New(cpu.Options{Threads: 2, ArenaBytes: cpu.ScratchBytes(2) + 8<<20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(be.Close)
	read := func(x tensor.Tensor) []float32 {
		host := make([]float32, x.Len())
		be.Download(host, x)
		return host
	}
	factor := g.F32("rope.cos")[0] // at position 0 every cosine is 1
	c.Rotation = NewRotation(be, g.F32("rope.inv_freq"), factor)
	c.Rotation.Begin(goldenT)
	b := NewBlock(be, "", 1, c)
	for _, p := range b.Params() {
		be.Upload(p.Value, goldenParam(g, p.Name))
	}
	x := be.Alloc(backend.Activation, tensor.F32, tensor.Shape{goldenB, goldenT, c.Width})
	be.Upload(x, g.F32("x.1"))
	h := activation(be, x.Shape)

	D, A := c.Head(), c.attWidth()
	angles := read(c.Rotation.table)
	testkit.Near(t, "cosines", columns(angles, D, 0, D/2), g.F32("rope.cos"), 1e-5)
	testkit.Near(t, "sines", columns(angles, D, D/2, D), g.F32("rope.sin"), 1e-5)

	b.Forward(h, x, backend.Pass{})
	att := &b.attention.tape
	qkv, G := read(att.qkv), c.KeyHeads()
	testkit.Near(t, "q", byHead(columns(qkv, c.qkvWidth(), 0, A), c.Heads), g.F32("block1.q"), 1e-5)
	testkit.Near(t, "k", byHead(columns(qkv, c.qkvWidth(), A, A+G*D), G), g.F32("block1.k"), 1e-5)
	testkit.Near(t, "v", byHead(columns(qkv, c.qkvWidth(), A+G*D, A+2*G*D), G), g.F32("block1.v"), 1e-5)
	testkit.Near(t, "att", read(att.att), g.F32("block1.att"), 1e-5)
	testkit.Near(t, "a", read(b.tape.a), g.F32("block1.a"), 1e-5)
	testkit.Near(t, "gate_up", read(b.mlp.tape.g), g.F32("block1.gate_up"), 1e-5)

	for name, in := range map[string]struct {
		norm Norm
		x    tensor.Tensor
	}{"n1": {b.attention.norm, x}, "n2": {b.mlp.norm, b.tape.u}} {
		in.norm.Forward(h, in.norm.Stats(x.Rows()), in.x)
		testkit.Near(t, name, read(h), g.F32("block1."+name), 1e-5)
	}
	b.mlp.Forward(h, b.tape.u, backend.Pass{})
	testkit.Near(t, "m", read(h), g.F32("block1.m"), 1e-5)
}

// goldenParam returns a parameter of block 1, which the file has under other names and in parts.
func goldenParam(g *golden.File, name string) (all []float32) {
	layer, kind, _ := strings.Cut(name[strings.LastIndex(name[:strings.LastIndex(name, ".")], ".")+1:], ".")
	for _, part := range map[string][]string{
		"ln1": {"input_layernorm"}, "ln2": {"post_attention_layernorm"}, "qkv": {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},
		"qnorm": {"self_attn.q_norm"}, "knorm": {"self_attn.k_norm"}, "proj": {"self_attn.o_proj"},
		"fc1": {"mlp.gate_proj", "mlp.up_proj"}, "fc2": {"mlp.down_proj"},
	}[layer] {
		all = append(all, g.F32("param.model.layers.1."+part+"."+kind)...)
	}
	return all
}

// columns returns columns [from,to) of rows of the given width.
func columns(x []float32, width, from, to int) (out []float32) {
	for at := 0; at < len(x); at += width {
		out = append(out, x[at+from:at+to]...)
	}
	return out
}

// byHead turns (B,T,heads*D) into (B,heads,T,D).
func byHead(x []float32, heads int) (out []float32) {
	width := len(x) / (goldenB * goldenT)
	D := width / heads
	for b := range goldenB {
		for h := range heads {
			for t := range goldenT {
				at := (b*goldenT+t)*width + h*D
				out = append(out, x[at:at+D]...)
			}
		}
	}
	return out
}
