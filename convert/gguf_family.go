package convert

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/bdia-go/bdia/format/gguf"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// ggufFamilyKeys appends the keys of a family's model.
func ggufFamilyKeys(keys []gguf.KV, prefix string, c model.GPTConfig) (all []gguf.KV, notes []string, err error) {
	add := func(key string, value any) { keys = append(keys, gguf.KV{Key: prefix + key, Value: value}) }
	head := cmp.Or(c.HeadWidth, c.Width/c.Heads)
	if c.AttentionBias && !ggufPairs(c.Family) {
		return nil, nil, fmt.Errorf("%w: the four products of attention have biases, which llama.cpp does not read in the architecture %s; export to another format", ErrUnsupported, c.Family)
	}
	if c.Family == model.OLMo2 && c.Heads*head != c.Width {
		return nil, nil, fmt.Errorf("%w: the heads of queries are %d wide together and the model %d, which llama.cpp does not read in the architecture olmo2; export to another format", ErrUnsupported, c.Heads*head, c.Width)
	}
	add("attention.head_count_kv", uint32(cmp.Or(c.KVHeads, c.Heads)))
	add("attention.layer_norm_rms_epsilon", float32(c.Epsilon()))
	add("rope.freq_base", float32(c.Rope.Theta))
	add("rope.dimension_count", uint32(head))
	add("vocab_size", uint32(c.Vocab))
	if c.HeadWidth > 0 {
		add("attention.key_length", uint32(head))
		add("attention.value_length", uint32(head))
	}
	if n := GGUFContext(c); n < c.Context {
		for i := range keys {
			if keys[i].Key == prefix+"context_length" {
				keys[i].Value = uint32(n)
			}
		}
		differs := fmt.Sprintf("positions attend to a window of %d others", n)
		if n == c.CacheContext() {
			differs = "the rotation of longer texts is scaled by their length"
		}
		notes = append(notes, fmt.Sprintf("%s, which llama.cpp does not know: the file's context is %d tokens in place of %d, and up to there the model is the same", differs, n, c.Context))
	}
	if c.Family == model.Granite {
		embedding, attention, branch, divisor := c.Scales()
		add("embedding_scale", float32(embedding))
		add("attention.scale", float32(attention))
		add("residual_scale", float32(branch))
		add("logit_scale", float32(divisor)) // by which llama.cpp divides
	}
	if err := ggufScaling(add, c); err != nil {
		return nil, nil, err
	}
	return keys, notes, nil
}

// ggufPairs reports whether llama.cpp wants the rows of queries and keys that turn together side by side, as in Llama's
// blocks, for which it also reads biases and the divisors of Llama 3's scaling.
func ggufPairs(f model.Family) bool {
	return f == model.Llama || f == model.Mistral || f == model.Granite
}

// GGUFContext returns the context of the file of a model: the model's, or what llama.cpp computes alike of it.
func GGUFContext(c model.GPTConfig) int {
	if c.Window > 0 && c.FullLayers < c.Layers {
		return min(c.Window, c.CacheContext())
	}
	return c.CacheContext()
}

// ggufScaling adds the keys of a scaled rotation. Llama 3's is a tensor, and within GGUFContext the dynamic one changes
// nothing.
func ggufScaling(add func(string, any), c model.GPTConfig) error {
	r := c.Rope
	switch r.Kind {
	case model.RopeLinear:
		add("rope.scaling.type", "linear")
		add("rope.scaling.factor", float32(r.Factor))
	case model.RopeLlama3:
		if !ggufPairs(c.Family) {
			return fmt.Errorf("%w: the rotation is scaled as Llama 3's, which llama.cpp does not read in the architecture %s; export to another format", ErrUnsupported, c.Family)
		}
	case model.RopeYarn:
		if r.NoTruncate || r.BetaFast != 32 || r.BetaSlow != 1 {
			return fmt.Errorf("%w: the rotation is scaled by yarn with beta_fast %v, beta_slow %v and truncate %v; llama.cpp knows 32, 1 and true; export to another format",
				ErrUnsupported, r.BetaFast, r.BetaSlow, !r.NoTruncate)
		}
		add("rope.scaling.type", "yarn")
		add("rope.scaling.factor", float32(r.Factor))
		add("rope.scaling.original_context_length", uint32(r.OriginalContext))
		_, factor := r.Frequencies(2)
		r.AttentionFactor, r.MScale = 0, 0
		if _, usual := r.Frequencies(2); factor != usual { // which llama.cpp multiplies by itself
			add("rope.scaling.attn_factor", factor/usual)
		}
	}
	return nil
}

// ggufFamilyTensors lists the tensors of the file of a family's model. A tied head is left out, but for OLMo2:
// llama.cpp asks for it there.
func ggufFamilyTensors(m *model.GPT) (list []ggufTensor) {
	c := m.Config
	head := cmp.Or(c.HeadWidth, c.Width/c.Heads)
	for _, p := range familyTensors(m) {
		names := ggufFamilyNames
		if families[c.Family].normsOfOutputs {
			names = ggufOutputNames
		}
		t := ggufTensor{name: names.Replace(p.hf), shape: p.shape, value: p.value}
		if ggufPairs(c.Family) && (strings.Contains(p.hf, "q_proj") || strings.Contains(p.hf, "k_proj")) {
			t.pairs = head
		}
		list = append(list, t)
	}
	if c.Family == model.OLMo2 && !c.Untied {
		tokens := m.Params()[0].Value
		list = append(list, ggufTensor{name: "output.weight", shape: tokens.Shape, value: tokens})
	}
	if c.Rope.Kind == model.RopeLlama3 {
		list = append(list, ggufTensor{name: "rope_freqs.weight", shape: tensor.Shape{head / 2}, host: ropeDivisors(c.Rope, head)})
	}
	return list
}

// ropeDivisors are what unscaled frequencies are divided by to give r's.
func ropeDivisors(r model.Rope, head int) []float32 {
	scaled, _ := r.Frequencies(head)
	by := nn.Frequencies(r.Theta, head)
	for i, f := range by {
		by[i] = float32(float64(f) / float64(scaled[i]))
	}
	return by
}

// ggufFamilyNames maps Hugging Face's names of a family's parts to llama.cpp's; ggufOutputNames does so if the norms
// are of what attention and MLP give.
var (
	ggufFamilyNames = strings.NewReplacer(ggufFamilyParts...)
	ggufOutputNames = strings.NewReplacer(append([]string{"post_attention_layernorm.", "post_attention_norm.", "post_feedforward_layernorm.", "post_ffw_norm."}, ggufFamilyParts...)...)
)

var ggufFamilyParts = []string{
	"embed_tokens.", "token_embd.", "lm_head.", "output.", "layers.", "blk.", "input_layernorm.", "attn_norm.", "post_attention_layernorm.", "ffn_norm.",
	"self_attn.q_norm.", "attn_q_norm.", "self_attn.k_norm.", "attn_k_norm.", "self_attn.q_proj.", "attn_q.", "self_attn.k_proj.", "attn_k.",
	"self_attn.v_proj.", "attn_v.", "self_attn.o_proj.", "attn_output.", "mlp.gate_proj.", "ffn_gate.", "mlp.up_proj.", "ffn_up.", "mlp.down_proj.", "ffn_down.",
	"norm.", "output_norm."}
