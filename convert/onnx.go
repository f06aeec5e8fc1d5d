package convert

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/format/onnx"
	"github.com/bdia-go/bdia/tensor"
)

// graph builds an ONNX graph. Its methods append nodes and return the name of their
// result.
//
// The residual stream is (B*T,C), a matrix, so every linear layer is one Gemm with
// the weight in our layout, (out,in). Nothing is transposed, and a table used as both
// embedding and head is stored once. Weights are read from the backend in pieces
// while the file is written.
type graph struct {
	sizes
	be     backend.Backend
	model  *onnx.Model
	params map[string]*tensor.Param
	there  map[string]bool // tensors already added
	scope  string          // prefix of node names
}

// sizes are the sizes of the layers.
type sizes struct {
	heads, keys int // heads of queries, and of keys and values, which they share
	head, width int // of a head, and of the residual stream
	gelu        backend.GELUForm
	eps         float64
	family      bool    // the blocks are a family's
	scale       float64 // of the scores of attention
	branch      float64 // multiplies both branches of a family's blocks
	after       bool    // their norms stand after attention and MLP
	joint       bool    // their norms of queries and keys take all heads together
}

// plainSizes are the sizes of layers in which every head has keys and values of its own.
func plainSizes(heads, width int, gelu backend.GELUForm, eps float64) sizes {
	return sizes{heads: heads, keys: heads, head: width / heads, width: width, gelu: gelu, eps: eps, scale: 1 / math.Sqrt(float64(width/heads))}
}

func newGraph(be backend.Backend, name string, params []*tensor.Param, s sizes) *graph {
	g := &graph{sizes: s, be: be, model: &onnx.Model{Producer: "bdia", Name: name}, params: make(map[string]*tensor.Param, len(params)), there: map[string]bool{}}
	for _, p := range params {
		g.params[p.Name] = p
	}
	return g
}

// Names of free dimensions.
const (
	batchDim    = "batch_size"
	sequenceDim = "sequence_length"
	totalDim    = "past_sequence_length + sequence_length"
	pastDim     = "past_sequence_length"
	sourceDim   = "encoder_sequence_length"
)

// dims makes a shape of sizes (int) and names of free dimensions (string).
func dims(list ...any) (shape []onnx.Dim) {
	for _, d := range list {
		switch d := d.(type) {
		case int:
			shape = append(shape, onnx.Dim{Size: d})
		case string:
			shape = append(shape, onnx.Dim{Name: d})
		}
	}
	return shape
}

func (g *graph) input(name string, t onnx.Type, shape ...any) string {
	g.model.Inputs = append(g.model.Inputs, onnx.Value{Name: name, Type: t, Shape: dims(shape...)})
	return name
}

// output makes a value an output of the graph, under the given name.
func (g *graph) output(name, value string, shape ...any) {
	g.model.Outputs = append(g.model.Outputs, onnx.Value{Name: name, Type: onnx.Float, Shape: dims(shape...)})
	for i := range g.model.Nodes {
		n := &g.model.Nodes[i]
		for _, list := range [][]string{n.Inputs, n.Outputs} {
			for j, v := range list {
				if v == value {
					list[j] = name
				}
			}
		}
	}
}

// nodes appends a node with the given number of outputs.
func (g *graph) nodes(op string, outputs int, inputs []string, attrs ...onnx.Attr) []string {
	n := onnx.Node{Op: op, Name: fmt.Sprintf("%s%s.%d", g.scope, op, len(g.model.Nodes)), Inputs: inputs, Attrs: attrs}
	for i := range outputs {
		n.Outputs = append(n.Outputs, fmt.Sprintf("%s:%d", n.Name, i))
	}
	g.model.Nodes = append(g.model.Nodes, n)
	return slices.Clone(n.Outputs)
}

func (g *graph) node(op string, inputs ...string) string { return g.nodes(op, 1, inputs)[0] }

// with is node with an attribute.
func (g *graph) with(name string, value any, op string, inputs ...string) string {
	return g.nodes(op, 1, inputs, onnx.Attr{Name: name, Value: value})[0]
}

// constant adds a tensor the first time.
func (g *graph) constant(t onnx.Tensor) string {
	if !g.there[t.Name] {
		g.there[t.Name] = true
		g.model.Tensors = append(g.model.Tensors, t)
	}
	return t.Name
}

// list adds a vector of integers, and index a single integer.
func (g *graph) list(v ...int64) string {
	name := strings.Trim(strings.ReplaceAll(fmt.Sprint(v), " ", ","), "[]")
	return g.constant(onnx.Ints("list:"+name, []int{len(v)}, v...))
}

func (g *graph) index(v int64) string {
	return g.constant(onnx.Ints(fmt.Sprint("index:", v), nil, v))
}

func (g *graph) number(v float64) string {
	return g.constant(onnx.Scalar(fmt.Sprint("number:", float32(v)), float32(v)))
}

// param adds a parameter, in another shape if one is given. It returns "" if the
// model does not have the parameter.
func (g *graph) param(name string, shape ...int) string {
	p := g.params[name]
	if p == nil {
		return ""
	}
	if shape == nil {
		shape = p.Value.Shape.Dims()
	}
	return g.constant(onnx.Tensor{Name: name, Type: onnx.Float, Shape: shape, Fill: func(from int, dst []float32) {
		g.be.Download(dst, p.Value.Slice(from, from+len(dst)))
	}})
}

// linear is x Wᵀ + b: (N,in) to (N,out).
func (g *graph) linear(x, name string) string {
	inputs := []string{x, g.param(name + ".weight")}
	if b := g.param(name + ".bias"); b != "" {
		inputs = append(inputs, b)
	}
	return g.with("transB", int64(1), "Gemm", inputs...)
}

func (g *graph) norm(x, name string) string {
	if g.family {
		return g.rms(x, name)
	}
	inputs := []string{x, g.param(name + ".weight")}
	if b := g.param(name + ".bias"); b != "" {
		inputs = append(inputs, b)
	}
	return g.nodes("LayerNormalization", 1, inputs, onnx.Attr{Name: "axis", Value: int64(-1)}, onnx.Attr{Name: "epsilon", Value: float32(g.eps)})[0]
}

// activation is GELU, in the order of operations that runtimes recognise and replace
// by a fused one.
func (g *graph) activation(x string) string {
	if g.gelu == backend.GELUErf {
		e := g.node("Add", g.node("Erf", g.node("Div", x, g.number(math.Sqrt2))), g.number(1))
		return g.node("Mul", g.node("Mul", x, e), g.number(0.5))
	}
	cubic := g.node("Add", g.node("Mul", g.node("Mul", x, g.number(0.044715)), x), g.number(1))
	u := g.node("Mul", g.node("Mul", x, g.number(math.Sqrt(2/math.Pi))), cubic)
	return g.node("Mul", g.node("Mul", x, g.number(0.5)), g.node("Add", g.node("Tanh", u), g.number(1)))
}

// mlp is m(x) of nn.MLP.
func (g *graph) mlp(x, prefix string) string {
	g.scope = prefix + "mlp."
	if g.family {
		f := g.linear(g.enter(x, prefix+"ln2"), prefix+"mlp.fc1")
		return g.leave(g.linear(g.gated(f), prefix+"mlp.fc2"), prefix+"ln2")
	}
	f := g.linear(g.norm(x, prefix+"ln2"), prefix+"mlp.fc1")
	return g.linear(g.activation(f), prefix+"mlp.fc2")
}

// rows computes the shape (B,T,H,D) of a stream's heads from its ids or mask (B,T).
func (g *graph) rows(ids string) string { return g.rowsOf(ids, g.heads) }

func (g *graph) rowsOf(ids string, heads int) string {
	return g.with("axis", int64(0), "Concat", g.node("Shape", ids), g.list(int64(heads), int64(g.head)))
}

// split splits x (B*T,n*C) into n parts (B,H,T,D); rows is the shape (B,T,H,D).
func (g *graph) split(x, rows string, n int) []string {
	parts := []string{x}
	if n > 1 {
		parts = g.nodes("Split", n, parts, onnx.Attr{Name: "axis", Value: int64(1)})
	}
	for i, p := range parts {
		parts[i] = g.byHead(g.node("Reshape", p, rows))
	}
	return parts
}

// byHead makes (B,T,H,D) of (B,H,T,D), and the other way round.
func (g *graph) byHead(x string) string {
	return g.with("perm", []int64{0, 2, 1, 3}, "Transpose", x)
}

// attention is softmax(q kᵀ*scale + bias) v: q (B,H,T,D), k and v (B,H,S,D), the
// result (B*T,H*D). bias is "" for none.
func (g *graph) attention(q, k, v, bias string) string {
	scores := g.node("MatMul", q, g.with("perm", []int64{0, 1, 3, 2}, "Transpose", k))
	scores = g.node("Mul", scores, g.number(g.scale))
	if bias != "" {
		scores = g.node("Add", scores, bias)
	}
	y := g.node("MatMul", g.with("axis", int64(-1), "Softmax", scores), v)
	return g.node("Reshape", g.byHead(y), g.list(-1, int64(g.heads*g.head)))
}

// self is a(x) of nn.Attention. keep, if not nil, gets the new keys and values and
// returns all that attention uses, for example with the cached ones before them.
func (g *graph) self(x, prefix, rows, bias string, keep func(k, v string) (string, string)) string {
	g.scope = prefix + "attn."
	qkv := g.split(g.linear(g.norm(x, prefix+"ln1"), prefix+"attn.qkv"), rows, 3)
	if keep != nil {
		qkv[1], qkv[2] = keep(qkv[1], qkv[2])
	}
	return g.linear(g.attention(qkv[0], qkv[1], qkv[2], bias), prefix+"attn.proj")
}

// block is x + h(x) of nn.Block.
func (g *graph) block(x, prefix, rows, bias string, keep func(k, v string) (string, string)) string {
	x = g.node("Add", x, g.self(x, prefix, rows, bias, keep))
	return g.node("Add", x, g.mlp(x, prefix))
}

// cross is c(x) of nn.Cross. memory is (B*S,C), seen the shape (B,S,H,D).
func (g *graph) cross(x, prefix, rows, memory, seen, bias string) string {
	g.scope = prefix + "cross."
	q := g.split(g.linear(g.norm(x, prefix+"lnc"), prefix+"cross.q"), rows, 1)
	kv := g.split(g.linear(memory, prefix+"cross.kv"), seen, 2)
	return g.linear(g.attention(q[0], kv[0], kv[1], bias), prefix+"cross.proj")
}

// length is one dimension of x.
func (g *graph) length(x string, axis int64) string {
	return g.with("axis", int64(0), "Gather", g.node("Shape", x), g.index(axis))
}

// upTo is the range of integers from from to to.
func (g *graph) upTo(from, to string) string { return g.node("Range", from, to, g.index(1)) }

// causal computes the keys, out of total, that each of the last queries sees:
// booleans (T,total).
func (g *graph) causal(queries, total string) string {
	keys := g.node("Unsqueeze", g.upTo(g.index(0), total), g.list(0))
	at := g.node("Unsqueeze", g.upTo(g.node("Sub", total, queries), total), g.list(1))
	return g.node("LessOrEqual", keys, at)
}

// real computes the keys that are not padding, from a mask (B,S): booleans (B,1,1,S).
func (g *graph) real(mask string) string {
	return g.node("Unsqueeze", g.with("to", int64(onnx.Bool), "Cast", mask), g.list(1, 2))
}

// bias turns seen into a number to add to the scores: 0, or the lowest number for a
// key that is not seen.
func (g *graph) bias(seen string) string {
	return g.node("Where", seen, g.number(0), g.number(-math.MaxFloat32))
}

// unfold makes (B*T,n) of x like ids (B,T): (B,T,n).
func (g *graph) unfold(x, ids string, n int) string {
	return g.node("Reshape", x, g.with("axis", int64(0), "Concat", g.node("Shape", ids), g.list(int64(n))))
}

// fold makes (B,T,C) a matrix.
func (g *graph) fold(x string) string { return g.node("Reshape", x, g.list(-1, int64(g.width))) }

// logits adds the output logits: rows x over a vocabulary, times scale, in the shape of ids.
func (g *graph) logits(x, norm, weight, ids string, vocab int, scale float64) {
	g.scope = ""
	y := g.with("transB", int64(1), "Gemm", g.times(g.norm(x, norm), scale), g.param(weight))
	g.output("logits", g.unfold(y, ids, vocab), batchDim, sequenceDim, vocab)
}
