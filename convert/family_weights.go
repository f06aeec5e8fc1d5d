package convert

import (
	"strings"

	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// fileNames are what files call the tensors of a language model.
type fileNames struct {
	what    string   // the model, for people
	table   string   // the tokens' table
	norm    string   // the first norm of block %d
	ignored []string // endings of the names of what is no weight
}

func namesOf(c model.GPTConfig) fileNames {
	if c.Family == model.GPT2 {
		return fileNames{"GPT-2", "wte.weight", "h.%d.ln_1.weight", []string{".attn.bias", ".attn.masked_bias"}}
	}
	norm := familyName(c, "blocks.%d.ln1.weight")
	return fileNames{c.Family.String(), familyTable, norm, []string{".rotary_emb.inv_freq"}}
}

// familyPrefix is the prefix of names in files of families, but the head's.
const familyPrefix = "model."

// familyTable is the name of the table of tokens.
const familyTable = "embed_tokens.weight"

// prefix returns the prefix of names in a file.
func (f Form) prefix(c model.GPTConfig) string {
	if c.Family != model.GPT2 {
		return familyPrefix
	}
	return f.Prefix
}

// OfTokens returns the type of a language model's table of tokens.
func (f Form) OfTokens(c model.GPTConfig) safetensors.DType {
	return f.Of(f.prefix(c) + namesOf(c).table)
}

// familyParts maps the names of a block's parts to Hugging Face's.
var familyParts = strings.NewReplacer(
	"blocks.", "layers.", "ln1.", "input_layernorm.", "ln2.", "post_attention_layernorm.", "lnf.", "norm.",
	"attn.qnorm.", "self_attn.q_norm.", "attn.knorm.", "self_attn.k_norm.", "attn.proj.", "self_attn.o_proj.",
	"mlp.fc2.", "mlp.down_proj.", "wte.", "embed_tokens.", "head.weight", "lm_head.weight",
	"attn.q_proj.", "self_attn.q_proj.", "attn.k_proj.", "self_attn.k_proj.", "attn.v_proj.", "self_attn.v_proj.", "attn.o_proj.", "self_attn.o_proj.")

// outputNorms are the names of norms of what attention and MLP give. Norms of what they take have other names.
var outputNorms = strings.NewReplacer("ln1.", "post_attention_layernorm.", "ln2.", "post_feedforward_layernorm.")

// familyName is Hugging Face's name of a parameter of a family's model.
func familyName(c model.GPTConfig, name string) string {
	if families[c.Family].normsOfOutputs {
		name = outputNorms.Replace(name)
	}
	return familyParts.Replace(name)
}

// familyTensors lists the tensors of the file of a model of a family: queries, keys and values are rows of one
// parameter here, and gate and up of another.
func familyTensors(m *model.GPT) (list []gptTensor) {
	c := m.Config
	head := c.HeadWidth
	if head == 0 {
		head = c.Width / c.Heads
	}
	keys := c.KVHeads
	if keys == 0 {
		keys = c.Heads
	}
	cut := func(p *tensor.Param, joined string, parts []string, rows []int) {
		at := 0
		for i, n := range rows {
			v := p.Value.Slice(at, at+n)
			if p.Value.Cols() != p.Value.Len() {
				v = p.Value.RowRange(at, at+n)
			}
			list = append(list, gptTensor{hf: familyName(c, strings.Replace(p.Name, joined, parts[i], 1)), shape: v.Shape, value: v})
			at += n
		}
	}
	for _, p := range m.Params() {
		switch {
		case strings.Contains(p.Name, "attn.qkv."):
			cut(p, "qkv", []string{"q_proj", "k_proj", "v_proj"}, []int{c.Heads * head, keys * head, keys * head})
		case strings.Contains(p.Name, "mlp.fc1."):
			cut(p, "fc1", []string{"gate_proj", "up_proj"}, []int{c.MLPWidth(), c.MLPWidth()})
		default:
			list = append(list, gptTensor{hf: familyName(c, p.Name), shape: p.Value.Shape, value: p.Value})
		}
	}
	return list
}
