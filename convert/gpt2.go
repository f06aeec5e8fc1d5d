// Package convert translates between models here and the names and layouts of
// other tools. Names such as wte and c_attn live only here.
package convert

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/jsonfile"
	"github.com/bdia-go/bdia/internal/textfile"
	"github.com/bdia-go/bdia/model"
)

// ErrUnsupported is wrapped by errors about models that this package does not know.
var ErrUnsupported = errors.New("unsupported model")

// ErrMismatch is wrapped by errors about tensors that do not fit the model.
var ErrMismatch = errors.New("checkpoint does not fit the model")

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
	ScaleAttention *bool `json:"scale_attn_weights,omitempty"`
	ScaleByLayer   bool  `json:"scale_attn_by_inverse_layer_idx,omitempty"`
	CrossAttention bool  `json:"add_cross_attention,omitempty"`
}

// tokenIDs are one or several tokens: a number, a list of numbers, or null for none.
type tokenIDs []int32

// MarshalJSON writes one token as a number.
func (ids tokenIDs) MarshalJSON() ([]byte, error) {
	switch len(ids) {
	case 0:
		return []byte("null"), nil
	case 1:
		return json.Marshal(ids[0])
	}
	return json.Marshal([]int32(ids))
}

// UnmarshalJSON reads what MarshalJSON writes, and numbers as texts.
func (ids *tokenIDs) UnmarshalJSON(text []byte) error {
	if text[0] == '[' {
		return jsonfile.Unmarshal(text, (*[]int32)(ids))
	}
	var one *int32
	if err := jsonfile.Unmarshal(text, &one); err != nil || one == nil {
		return err
	}
	*ids = tokenIDs{*one}
	return nil
}

// of returns the first tokens of a vocabulary of so many, at most maxEnds. GPT2Config's default may be larger.
func (ids tokenIDs) of(vocab int) (list []int32) {
	for _, id := range ids {
		if id >= 0 && int(id) < vocab && len(list) < maxEnds && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return list
}

const maxEnds = 64

// isGPT2 reports whether the file describes a GPT-2. Training loops of one's own leave out model_type at times.
func (j gpt2JSON) isGPT2() bool {
	if j.ModelType == "" && len(j.Architectures) > 0 {
		return strings.HasPrefix(j.Architectures[0], "GPT2")
	}
	return strings.EqualFold(j.ModelType, string(GPT2))
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

// GPT2Info describes a language model, GPT-2 or of a family, in a model folder.
type GPT2Info struct {
	Config model.GPTConfig
	Begin  *int32            // the token that begins a text, in a family; nil if there is none
	End    *int32            // the token that ends a text, and in a GPT-2 begins one; nil if there is none
	Ends   []int32           // all tokens at which a text ends, if there are several: End and others
	DType  safetensors.DType // of the weights, when written; zero: F32
	// Others are keys of config.json that mean nothing here. They are written again.
	Others map[string]json.RawMessage
	// Source is the config.json of a family that the model was read from, or that the run which made it started from. It
	// is written again as it is, if it describes Config.
	Source []byte
}

// endAt sets the tokens at which a text ends.
func (i *GPT2Info) endAt(ends []int32) {
	if len(ends) > 0 {
		i.End = &ends[0]
	}
	if len(ends) > 1 {
		i.Ends = ends
	}
}

// StopIDs are the tokens at which a text ends: Ends, or End.
func (i GPT2Info) StopIDs() []int32 {
	if len(i.Ends) == 0 && i.End != nil {
		return []int32{*i.End}
	}
	return slices.Clone(i.Ends)
}

// WriteGPT2Config writes config.json of a model without a token that ends a text,
// in F32.
func WriteGPT2Config(w io.Writer, c model.GPTConfig) error {
	return WriteGPT2Info(w, GPT2Info{Config: c})
}

// WriteGPT2Info writes config.json.
func WriteGPT2Info(w io.Writer, info GPT2Info) error {
	c := info.Config
	if c.Family != model.GPT2 {
		return writeFamily(w, info)
	}
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

// withOthers is a description with further keys after its own.
type withOthers struct {
	of     any
	others map[string]json.RawMessage
}

// MarshalJSON puts the keys into one object, the further ones in the order of their names.
func (v withOthers) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(v.of)
	if err != nil || len(v.others) == 0 {
		return text, err
	}
	more, err := json.Marshal(v.others)
	if err != nil || len(text) == 2 {
		return more, err
	}
	return append(append(text[:len(text)-1], ','), more[1:]...), nil
}

// torchType is PyTorch's name of a type.
func torchType(d safetensors.DType) string {
	switch d {
	case safetensors.F16:
		return "float16"
	case safetensors.BF16:
		return "bfloat16"
	}
	return "float32"
}

// writeJSON writes v as indented JSON. name is the file's name, for errors.
func writeJSON(w io.Writer, name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		_, err = w.Write(append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("convert: %s: %w", name, err)
	}
	return nil
}

// maxConfig bounds the size of a config.json.
const maxConfig = 1 << 20

// ReadGPT2Config reads the config.json at path.
func ReadGPT2Config(path string) (model.GPTConfig, error) {
	info, err := ReadGPT2Info(path)
	return info.Config, err
}

// ReadGPT2Info reads the config.json at path. DType is not set: only the weights'
// own file has their type. End is the first of the ends, of which there may be a list.
func ReadGPT2Info(path string) (GPT2Info, error) {
	text, err := textfile.ReadFile(path, maxConfig)
	if err != nil {
		return GPT2Info{}, fmt.Errorf("convert: %w", err)
	}
	info, err := parseGPT2Info(text)
	if err != nil {
		return GPT2Info{}, fmt.Errorf("convert: %s: %w", path, err)
	}
	return info, nil
}

// parseGPT2Info reads the text of a config.json.
func parseGPT2Info(text []byte) (info GPT2Info, err error) {
	kind, err := parseKind(text)
	if err != nil {
		return info, err
	}
	if family, ok := familyOf(kind.ModelType, kind.Architectures); ok {
		return parseFamily(text, family)
	}
	var j gpt2JSON
	if err := jsonfile.Decode(text, &j); err != nil {
		return info, err
	}
	if !j.isGPT2() {
		return info, otherKind(text, GPT2)
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
	if info.Others, err = otherKeys(text, j); err != nil {
		return info, err
	}
	info.Config = c
	return info, c.Validate()
}
