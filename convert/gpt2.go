package convert

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/internal/jsonfile"
	"github.com/bdia-go/bdia/model"
)

// gpt2Names maps the names of a block's parts to Hugging Face's names.
var gpt2Names = strings.NewReplacer(
	"blocks.", "h.", "ln1.", "ln_1.", "ln2.", "ln_2.", "lnf.", "ln_f.",
	"attn.qkv.", "attn.c_attn.", "attn.proj.", "attn.c_proj.",
	"mlp.fc1.", "mlp.c_fc.", "mlp.fc2.", "mlp.c_proj.", "head.weight", "lm_head.weight")

// gpt2Name returns Hugging Face's name of a parameter and whether its layout is
// Conv1D's: (in,out), the transpose of ours.
func gpt2Name(name string) (hf string, transposed bool) {
	hf = gpt2Names.Replace(name)
	return hf, strings.HasPrefix(hf, "h.") && strings.HasSuffix(hf, ".weight") && !strings.Contains(hf, ".ln_")
}

// gpt2JSON is Hugging Face's config.json of a GPT-2. NoBias is our own key:
// elsewhere GPT-2 always has biases.
type gpt2JSON struct {
	Architectures []string `json:"architectures"`
	ModelType     string   `json:"model_type"`
	Layers        int      `json:"n_layer"`
	Heads         int      `json:"n_head"`
	Width         int      `json:"n_embd"`
	Context       int      `json:"n_positions"`
	ContextOld    int      `json:"n_ctx"`
	Inner         *int     `json:"n_inner"`
	Vocab         int      `json:"vocab_size"`
	Eps           float64  `json:"layer_norm_epsilon"`
	Activation    string   `json:"activation_function"`
	EmbdDropout   float64  `json:"embd_pdrop"`
	AttnDropout   float64  `json:"attn_pdrop"`
	ResidDropout  float64  `json:"resid_pdrop"`
	Tied          *bool    `json:"tie_word_embeddings,omitempty"`
	Begin         tokenIDs `json:"bos_token_id"`
	End           tokenIDs `json:"eos_token_id"`
	TorchType     string   `json:"torch_dtype"`
	NoBias        bool     `json:"bdia_no_bias,omitempty"`

	// Variants of the architecture that are not supported.
	Quantised      anyValue `json:"quantization_config,omitempty"`
	ScaleAttention *bool    `json:"scale_attn_weights,omitempty"`
	ScaleByLayer   bool     `json:"scale_attn_by_inverse_layer_idx,omitempty"`
	CrossAttention bool     `json:"add_cross_attention,omitempty"`
}

// isGPT2 reports whether the file describes a GPT-2. Training loops of one's own leave out model_type at times.
func (j gpt2JSON) isGPT2() bool {
	if j.ModelType == "" && len(j.Architectures) > 0 {
		return strings.HasPrefix(j.Architectures[0], "GPT2")
	}
	return strings.EqualFold(j.ModelType, model.GPT2.String())
}

// variant returns the first setting in j that is not supported, or "".
func (j gpt2JSON) variant() string {
	switch {
	case j.ScaleAttention != nil && !*j.ScaleAttention:
		return "scale_attn_weights is false"
	case j.ScaleByLayer:
		return "scale_attn_by_inverse_layer_idx is true"
	case j.CrossAttention:
		return "add_cross_attention is true"
	}
	return ""
}

// activations are Hugging Face's names of the two forms of GELU.
var activations = map[string]backend.GELUForm{
	"gelu_new": backend.GELUTanh, "gelu_pytorch_tanh": backend.GELUTanh, "gelu": backend.GELUErf,
}

// writeGPT2 writes config.json of a GPT-2.
func writeGPT2(w io.Writer, info GPTInfo) error {
	c := info.Config
	activation := "gelu_new"
	if c.GELU == backend.GELUErf {
		activation = "gelu"
	}
	tied, begin := !c.Untied, tokenIDs(nil)
	if info.End != nil {
		begin = tokenIDs{*info.End}
	}
	j := gpt2JSON{Architectures: []string{"GPT2LMHeadModel"}, ModelType: "gpt2", Layers: c.Layers, Heads: c.Heads, Width: c.Width,
		Context: c.Context, ContextOld: c.Context, Vocab: c.Vocab, Eps: c.Epsilon(), Activation: activation,
		EmbdDropout: c.EmbeddingDropout, AttnDropout: c.AttentionDropout, ResidDropout: c.ResidualDropout,
		Begin: begin, End: info.StopIDs(), Tied: &tied, TorchType: torchType(info.DType), NoBias: c.NoBias}
	if c.MLP != 0 && c.MLP != 4*c.Width {
		j.Inner = &c.MLP
	}
	return writeJSON(w, "config.json", withOthers{j, info.Others})
}

// parseGPT2 reads the text of a GPT-2's config.json.
func parseGPT2(text []byte) (info GPTInfo, err error) {
	var j gpt2JSON
	if err := jsonfile.Decode(text, &j); err != nil {
		return info, err
	}
	if !j.isGPT2() {
		return info, otherKind(text, GPT)
	}
	if !slices.Contains([]string{"", "null", "{}"}, string(j.Quantised)) {
		return info, fmt.Errorf("%w: quantization_config: %s", ErrUnsupported, quantisedAdvice)
	}
	if v := j.variant(); v != "" {
		return info, fmt.Errorf("%w: %s; only plain GPT-2 attention is supported", ErrUnsupported, v)
	}
	gelu, ok := activations[cmp.Or(j.Activation, "gelu_new")]
	if !ok {
		return info, fmt.Errorf("%w: activation_function is %.40q; gelu_new and gelu are supported", ErrUnsupported, j.Activation)
	}
	c := model.GPTConfig{Vocab: j.Vocab, Context: j.Context, Layers: j.Layers, Heads: j.Heads, Width: j.Width, GELU: gelu, Eps: j.Eps,
		Untied: j.Tied != nil && !*j.Tied, NoBias: j.NoBias,
		EmbeddingDropout: j.EmbdDropout, AttentionDropout: j.AttnDropout, ResidualDropout: j.ResidDropout}
	if j.Inner != nil {
		c.MLP = *j.Inner
	}
	info.endAt(j.End.of(c.Vocab))
	if !slices.Equal(j.End, tokenIDs{50256}) { // the default of Hugging Face's GPT2Config
		info.Outside = j.End.outside("config.json: eos_token_id", c.Vocab)
	}
	if info.Others, err = otherKeys(text, j); err != nil {
		return info, err
	}
	info.Config = c
	return info, inFile(c.Validate(), map[string]string{"vocabulary": "vocab_size", "context": "n_positions", "layers": "n_layer", "heads": "n_head", "width": "n_embd", "MLP width": "n_inner",
		"layer norm epsilon": "layer_norm_epsilon", "embedding dropout": "embd_pdrop", "attention dropout": "attn_pdrop", "residual dropout": "resid_pdrop"})
}
