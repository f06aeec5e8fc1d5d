package convert

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/bdia-go/bdia/format/onnx"
	"github.com/bdia-go/bdia/model"
)

// The parts of a graph that only the families have.

// sizesOf are the sizes of a language model.
func sizesOf(c model.GPTConfig) sizes {
	if c.Family == model.GPT2 {
		return plainSizes(c.Heads, c.Width, c.GELU, c.Epsilon())
	}
	_, scale, branch, _ := c.Scales()
	return sizes{heads: c.Heads, keys: cmp.Or(c.KVHeads, c.Heads), head: cmp.Or(c.HeadWidth, c.Width/c.Heads), width: c.Width, eps: c.Epsilon(), family: true,
		scale: scale, branch: branch, after: c.Family == model.OLMo2, joint: c.Family == model.OLMo2}
}

// enter is what a branch takes of x: its norm, unless that comes after the branch.
func (g *graph) enter(x, norm string) string {
	if g.after {
		return x
	}
	return g.norm(x, norm)
}

// leave is what a branch gives of y: its norm if that comes after it, times the branch's scale.
func (g *graph) leave(y, norm string) string {
	if g.after {
		y = g.norm(y, norm)
	}
	return g.times(y, g.branch)
}

// times is x times a factor, or x itself for 1.
func (g *graph) times(x string, by float64) string {
	if by == 1 {
		return x
	}
	return g.node("Mul", x, g.number(by))
}

// rms is the RMS norm of the last axis, in the order of operations that runtimes recognise and replace by a fused one.
func (g *graph) rms(x, name string) string {
	square := g.node("Pow", x, g.number(2))
	mean := g.nodes("ReduceMean", 1, []string{square}, onnx.Attr{Name: "axes", Value: []int64{-1}}, onnx.Attr{Name: "keepdims", Value: int64(1)})[0]
	root := g.node("Sqrt", g.node("Add", mean, g.number(g.eps)))
	return g.node("Mul", g.node("Div", x, root), g.param(name+".weight"))
}

// gated is silu(a)*b of rows a, b.
func (g *graph) gated(x string) string {
	half := g.nodes("Split", 2, []string{x}, onnx.Attr{Name: "axis", Value: int64(1)})
	return g.node("Mul", g.node("Mul", half[0], g.node("Sigmoid", half[0])), half[1])
}

// turn is what the blocks of a family share.
type turn struct {
	ids, positions string // (B,T), and (T) without a cache
	cached         bool
	bias, narrow   string // of the scores, and of those in blocks with a window
}

// narrow is the bias of blocks that attend to a window of positions: "" if there are none.
func (g *graph) narrow(c model.GPTConfig, T, total, mask string) string {
	if c.Window == 0 || c.Window >= c.Context || c.FullLayers >= c.Layers {
		return ""
	}
	keys := g.node("Unsqueeze", g.upTo(g.index(0), total), g.list(0))
	first := g.node("Sub", g.node("Unsqueeze", g.upTo(g.node("Sub", total, T), total), g.list(1)), g.index(int64(c.Window-1)))
	seen := g.node("And", g.causal(T, total), g.node("LessOrEqual", first, keys))
	return g.bias(g.node("And", seen, g.real(mask)))
}

// familyBlocks returns x after all blocks.
func (g *graph) familyBlocks(x string, c model.GPTConfig, t turn, keep func(k int) func(key, value string) (string, string)) string {
	cos, sin := g.angles(c.Rope, t)
	queries, keys := g.rowsOf(t.ids, g.heads), g.rowsOf(t.ids, g.keys)
	for k := range c.Layers {
		prefix := fmt.Sprintf("blocks.%d.", k)
		g.scope = prefix + "attn."
		parts := g.nodes("Split", 3, []string{g.linear(g.enter(x, prefix+"ln1"), prefix+"attn.qkv"), g.list(int64(g.heads*g.head), int64(g.keys*g.head), int64(g.keys*g.head))},
			onnx.Attr{Name: "axis", Value: int64(1)})
		q, key, value := g.headNorm(parts[0], prefix+"attn.qnorm", queries), g.headNorm(parts[1], prefix+"attn.knorm", keys), g.byHead(g.node("Reshape", parts[2], keys))
		q, key = g.rotate(g.byHead(q), cos, sin), g.rotate(g.byHead(key), cos, sin)
		if keep := keep(k); keep != nil {
			key, value = keep(key, value)
		}
		bias := t.bias
		if t.narrow != "" && k >= c.FullLayers {
			bias = t.narrow
		}
		x = g.node("Add", x, g.leave(g.linear(g.grouped(q, key, value, bias), prefix+"attn.proj"), prefix+"ln1"))
		x = g.node("Add", x, g.mlp(x, prefix))
	}
	g.scope = ""
	return x
}

// headNorm cuts rows into heads, normalised if the model has that norm: each by itself, or all together before.
func (g *graph) headNorm(x, norm, heads string) string {
	has := g.params[norm+".weight"] != nil
	if has && g.joint {
		x = g.rms(x, norm)
	}
	x = g.node("Reshape", x, heads)
	if has && !g.joint {
		x = g.rms(x, norm)
	}
	return x
}

// angles returns the cosines and sines (B,1,T,D/2) of positions, (1,T,D/2) without a cache, as nn.Rotation has them:
// the product of position and frequency is rounded to float32.
func (g *graph) angles(r model.Rope, t turn) (cos, sin string) {
	frequencies, factor := r.Frequencies(g.head)
	by := g.constant(onnx.Tensor{Name: "rotation", Type: onnx.Float, Shape: []int{len(frequencies)}, Data: floatBytes(frequencies)})
	axes := g.list(1)
	if t.cached {
		axes = g.list(1, 3)
	}
	angle := g.node("Mul", g.node("Unsqueeze", g.with("to", int64(onnx.Float), "Cast", t.positions), axes), by)
	cos, sin = g.node("Cos", angle), g.node("Sin", angle)
	if factor != 1 {
		cos, sin = g.node("Mul", cos, g.number(float64(factor))), g.node("Mul", sin, g.number(float64(factor)))
	}
	return cos, sin
}

// rotate turns x (B,H,T,D).
func (g *graph) rotate(x, cos, sin string) string {
	half := g.nodes("Split", 2, []string{x}, onnx.Attr{Name: "axis", Value: int64(3)})
	first := g.node("Sub", g.node("Mul", half[0], cos), g.node("Mul", half[1], sin))
	second := g.node("Add", g.node("Mul", half[1], cos), g.node("Mul", half[0], sin))
	return g.with("axis", int64(3), "Concat", first, second)
}

// grouped is attention in which the heads of queries q (B,H,T,D) share heads of keys and values (B,G,S,D): with queries
// (B,G,H/G,T,D), a product meets each head of keys without a copy. bias is (B,1,T,S).
func (g *graph) grouped(q, k, v, bias string) string {
	if g.keys == g.heads {
		return g.attention(q, k, v, bias)
	}
	each := func(x string) string { return g.node("Unsqueeze", x, g.list(2)) }
	q = g.node("Reshape", q, g.list(0, int64(g.keys), int64(g.heads/g.keys), -1, int64(g.head)))
	scores := g.node("MatMul", q, each(g.with("perm", []int64{0, 1, 3, 2}, "Transpose", k)))
	scores = g.node("Add", g.node("Mul", scores, g.number(g.scale)), each(bias))
	y := g.node("MatMul", g.with("axis", int64(-1), "Softmax", scores), each(v))
	y = g.byHead(g.node("Reshape", y, g.list(0, int64(g.heads), -1, int64(g.head))))
	return g.node("Reshape", y, g.list(-1, int64(g.heads*g.head)))
}

// lastLogits adds the output logits of the last positions, as many as the input num_logits_to_keep says; 0: of all.
func (g *graph) lastLogits(x, weight, ids string, vocab int, scale float64) {
	count := g.input("num_logits_to_keep", onnx.Int64)
	from := g.node("Unsqueeze", g.node("Sub", g.index(0), count), g.list(0))
	last := g.node("Slice", g.unfold(x, ids, g.width), from, g.list(math.MaxInt64), g.list(1))
	y := g.with("transB", int64(1), "Gemm", g.times(g.norm(g.fold(last), "lnf"), scale), g.param(weight))
	batch := g.with("axis", int64(0), "Gather", g.node("Shape", ids), g.list(0))
	shape := g.with("axis", int64(0), "Concat", batch, g.list(-1, int64(vocab)))
	g.output("logits", g.node("Reshape", y, shape), batchDim, "num_logits", vocab)
}

// floatBytes are float32 numbers as a file has them.
func floatBytes(v []float32) (b []byte) {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}
