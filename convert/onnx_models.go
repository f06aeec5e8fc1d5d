package convert

import (
	"fmt"
	"math"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/format/onnx"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
)

// GPTGraph returns a language model as a graph:
//
//	input_ids, attention_mask (B,T) -> logits (B,T,V)
//
// or, if cached, with the keys and values (B,G,P,D) of P earlier positions, under the names of optimum and
// transformers.js (P = 0 at first):
//
//	input_ids, position_ids (B,T), attention_mask (B,P+T), past_key_values.N.key, .value -> logits, present.N.key, .value
//
// B, T and P are free. A key with mask 0 is not seen. Without a cache positions are 0 to T-1, padding included. With a
// cache, the graph of a family has one more input, num_logits_to_keep: how many positions at the end have logits, 0 for
// all. The weights are read from be when the graph is written. A model with adapters is ErrUnsupported.
func GPTGraph(be backend.Backend, m *model.GPT, cached bool) (*onnx.Model, error) {
	if len(m.Adapters()) > 0 {
		return nil, fmt.Errorf("convert: %w: the graph has no adapters; merge them into the weights first", ErrUnsupported)
	}
	if err := m.PlainBlocks(); err != nil {
		return nil, fmt.Errorf("convert: %w: %w", ErrUnsupported, err)
	}
	c := m.Config
	g := newGraph(be, c.Family.String(), m.Params(), sizesOf(c))
	ids := g.input("input_ids", onnx.Int64, batchDim, sequenceDim)
	total := sequenceDim
	if cached {
		total = totalDim
	}
	mask := g.input("attention_mask", onnx.Int64, batchDim, total)
	var positions string
	if cached {
		positions = g.input("position_ids", onnx.Int64, batchDim, sequenceDim)
	} else {
		positions = g.upTo(g.index(0), g.length(ids, 1))
	}
	T, all := g.length(ids, 1), g.length(mask, 1)
	bias := g.bias(g.node("And", g.causal(T, all), g.real(mask)))
	embedding, _, _, divisor := c.Scales()
	x := g.times(g.node("Gather", g.param("wte.weight"), ids), embedding)
	present := make([][2]string, c.Layers)
	keep := func(k int) func(key, value string) (string, string) {
		if !cached {
			return nil
		}
		return func(key, value string) (string, string) {
			present[k] = [2]string{g.append(k, "key", key), g.append(k, "value", value)}
			return present[k][0], present[k][1]
		}
	}
	if c.Family == model.GPT2 {
		rows := g.rows(ids)
		x = g.fold(g.node("Add", x, g.node("Gather", g.param("wpe.weight"), positions)))
		for k := range c.Layers {
			x = g.block(x, fmt.Sprintf("blocks.%d.", k), rows, bias, keep(k))
		}
	} else {
		x = g.familyBlocks(g.fold(x), c, turn{ids: ids, positions: positions, cached: cached, bias: bias, narrow: g.narrow(c, T, all, mask)}, keep)
	}
	head := "wte.weight"
	if c.Untied {
		head = "head.weight"
	}
	if c.Family != model.GPT2 && cached {
		g.lastLogits(x, head, ids, c.Vocab, 1/divisor)
	} else {
		g.logits(x, "lnf", head, ids, c.Vocab, 1/divisor)
	}
	for k, kv := range present {
		for i, what := range []string{"key", "value"} {
			if cached {
				g.output(fmt.Sprintf("present.%d.%s", k, what), kv[i], batchDim, g.keys, totalDim, g.head)
			}
		}
	}
	return g.model, nil
}

// append puts the keys or values x of block k after the cached ones.
func (g *graph) append(k int, what, x string) string {
	past := g.input(fmt.Sprintf("past_key_values.%d.%s", k, what), onnx.Float, batchDim, g.keys, pastDim, g.head)
	return g.with("axis", int64(2), "Concat", past, x)
}

// ViTGraph returns a vision transformer, also one of two streams, as a graph:
//
//	pixel_values (B,3,I,I) -> logits (B,V)
func ViTGraph(be backend.Backend, m *model.ViT) *onnx.Model {
	c := m.Config
	g := newGraph(be, "vit", m.Params(), plainSizes(c.Heads, c.Width, c.GELU, c.Epsilon()))
	pixels := g.input("pixel_values", onnx.Float, batchDim, 3, c.Image, c.Image)
	side := int64(c.Patch)
	x := g.nodes("Conv", 1, []string{pixels, g.param("patch.weight", c.Width, 3, c.Patch, c.Patch), g.param("patch.bias")},
		onnx.Attr{Name: "kernel_shape", Value: []int64{side, side}}, onnx.Attr{Name: "strides", Value: []int64{side, side}})[0]
	x = g.node("Reshape", x, g.list(-1, int64(c.Width), int64(c.Patches())))
	x = g.with("perm", []int64{0, 2, 1}, "Transpose", x)
	if !c.MeanPool {
		batch := g.node("Unsqueeze", g.length(pixels, 0), g.list(0))
		cls := g.node("Expand", g.param("cls", 1, 1, c.Width), g.with("axis", int64(0), "Concat", batch, g.list(1, int64(c.Width))))
		x = g.with("axis", int64(1), "Concat", cls, x)
	}
	x = g.fold(g.node("Add", x, g.param("pos")))
	rows := g.list(-1, int64(c.Positions()), int64(c.Heads), int64(c.Width/c.Heads))
	y := x // the other stream
	for k := range c.Layers {
		prefix := fmt.Sprintf("blocks.%d.", k)
		if c.TwoStream {
			x = g.node("Add", x, g.self(y, prefix, rows, "", nil))
			y = g.node("Add", y, g.mlp(x, prefix))
			continue
		}
		x = g.block(x, prefix, rows, "", nil)
	}
	g.scope = ""
	if c.TwoStream {
		x = g.node("Mul", g.node("Add", x, y), g.number(0.5))
	}
	x = g.node("Reshape", x, g.list(-1, int64(c.Positions()), int64(c.Width)))
	if c.MeanPool {
		x = g.nodes("ReduceMean", 1, []string{x}, onnx.Attr{Name: "axes", Value: []int64{1}}, onnx.Attr{Name: "keepdims", Value: int64(0)})[0]
	} else {
		x = g.with("axis", int64(1), "Gather", x, g.index(0))
	}
	g.output("logits", g.linear(g.norm(x, "lnf"), "head"), batchDim, c.Classes)
	return g.model
}

// Seq2SeqGraphs returns an encoder-decoder as two graphs:
//
//	input_ids, attention_mask (B,S) -> last_hidden_state (B,S,C)
//	input_ids (B,T), encoder_attention_mask (B,S), encoder_hidden_states (B,S,C) -> logits (B,T,V)
//
// Sources are padded at their end. If both share a table, each graph has a copy.
func Seq2SeqGraphs(be backend.Backend, m *model.Seq2Seq) (encoder, decoder *onnx.Model) {
	c := m.Config
	s := plainSizes(c.Heads, c.Width, c.GELU, c.Epsilon())
	sourceTable, targetTable := "enc.wte.weight", "dec.wte.weight"
	if c.Shared {
		sourceTable, targetTable = "wte.weight", "wte.weight"
	}

	g := newGraph(be, "encoder", m.Params(), s)
	ids := g.input("input_ids", onnx.Int64, batchDim, sourceDim)
	mask := g.input("attention_mask", onnx.Int64, batchDim, sourceDim)
	bias, rows := g.bias(g.real(mask)), g.rows(ids)
	x := g.sequence(ids, sourceTable, "enc.", c.SourceContext, c.Sinusoidal)
	for k := range c.EncoderLayers {
		x = g.block(x, fmt.Sprintf("enc.blocks.%d.", k), rows, bias, nil)
	}
	g.scope = ""
	g.output("last_hidden_state", g.unfold(g.norm(x, "enc.lnf"), ids, c.Width), batchDim, sourceDim, c.Width)
	encoder = g.model

	g = newGraph(be, "decoder", m.Params(), s)
	ids = g.input("input_ids", onnx.Int64, batchDim, sequenceDim)
	mask = g.input("encoder_attention_mask", onnx.Int64, batchDim, sourceDim)
	memory := g.fold(g.input("encoder_hidden_states", onnx.Float, batchDim, sourceDim, c.Width))
	T := g.length(ids, 1)
	past, bias := g.bias(g.causal(T, T)), g.bias(g.real(mask))
	rows, seen := g.rows(ids), g.rows(mask)
	y := g.sequence(ids, targetTable, "dec.", c.TargetContext, c.Sinusoidal)
	for k := range c.DecoderLayers {
		prefix := fmt.Sprintf("dec.blocks.%d.", k)
		y = g.node("Add", y, g.self(y, prefix, rows, past, nil))
		y = g.node("Add", y, g.cross(y, prefix, rows, memory, seen, bias))
		y = g.node("Add", y, g.mlp(y, prefix))
	}
	head := targetTable
	if c.Untied {
		head = "head.weight"
	}
	g.logits(y, "dec.lnf", head, ids, c.TargetVocab, 1)
	return encoder, g.model
}

// sequence is the embedding (B*T,C) of ids (B,T), like nn.Sequence.
func (g *graph) sequence(ids, table, prefix string, context int, sinusoidal bool) string {
	x := g.node("Gather", g.param(table), ids)
	positions := g.param(prefix + "wpe.weight")
	if sinusoidal {
		x = g.node("Mul", x, g.number(math.Sqrt(float64(g.width))))
		positions = g.constant(onnx.Tensor{Name: "sinusoids", Type: onnx.Float, Shape: []int{context, g.width}, Fill: func(from int, dst []float32) {
			for i := range dst {
				dst[i] = float32(nn.Sinusoid((from+i)/g.width, (from+i)%g.width, g.width))
			}
		}})
	}
	return g.fold(g.node("Add", x, g.node("Gather", positions, g.upTo(g.index(0), g.length(ids, 1)))))
}
