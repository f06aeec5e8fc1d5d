// Package convert translates between models here and the names and layouts of
// other tools. Names such as wte and c_attn live only here.
package convert

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// ErrUnsupported is wrapped by errors about models of a kind not known here.
var ErrUnsupported = errors.New("unsupported model")

// ErrMismatch is wrapped by errors about tensors that do not fit the model.
var ErrMismatch = errors.New("checkpoint does not fit the model")

// gpt2Names maps the names of a block's parts to Hugging Face's GPT-2.
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

// gpt2JSON is Hugging Face's config.json of a GPT-2. NoBias is ours: GPT-2 as
// others know it always has biases.
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
	TorchType     string   `json:"torch_dtype"`
	NoBias        bool     `json:"bdia_no_bias,omitempty"`

	// Variants of the architecture that are not known here.
	ScaleAttention *bool `json:"scale_attn_weights,omitempty"`
	ScaleByLayer   bool  `json:"scale_attn_by_inverse_layer_idx,omitempty"`
	CrossAttention bool  `json:"add_cross_attention,omitempty"`
}

// variant names what in j is not GPT-2 as known here, or is empty.
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

// WriteGPT2Config writes config.json.
func WriteGPT2Config(w io.Writer, c model.GPTConfig) error {
	activation := "gelu_new"
	if c.GELU == backend.GELUErf {
		activation = "gelu"
	}
	tied := !c.Untied
	j := gpt2JSON{Architectures: []string{"GPT2LMHeadModel"}, ModelType: "gpt2", Layers: c.Layers, Heads: c.Heads, Width: c.Width,
		Context: c.Context, ContextOld: c.Context, Vocab: c.Vocab, Eps: c.Epsilon(), Activation: activation,
		EmbdDropout: c.EmbeddingDropout, AttnDropout: c.AttentionDropout, ResidDropout: c.ResidualDropout,
		Tied: &tied, TorchType: "float32", NoBias: c.NoBias}
	if c.MLP != 0 && c.MLP != 4*c.Width {
		j.Inner = &c.MLP
	}
	return writeJSON(w, "config.json", j)
}

// writeJSON writes v, indented, as the file name.
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
	text, err := readLimited(path, maxConfig)
	if err != nil {
		return model.GPTConfig{}, fmt.Errorf("convert: %w", err)
	}
	c, err := parseGPT2Config(text)
	if err != nil {
		return model.GPTConfig{}, fmt.Errorf("convert: %s: %w", path, err)
	}
	return c, nil
}

// parseGPT2Config reads the text of a config.json.
func parseGPT2Config(text []byte) (c model.GPTConfig, err error) {
	var j gpt2JSON
	if err := json.Unmarshal(text, &j); err != nil {
		return c, err
	}
	if j.ModelType != "gpt2" {
		return c, fmt.Errorf("%w: model_type is %.40q; gpt2 is supported", ErrUnsupported, j.ModelType)
	}
	if v := j.variant(); v != "" {
		return c, fmt.Errorf("%w: %s; only plain GPT-2 attention is supported", ErrUnsupported, v)
	}
	gelu, ok := activations[cmp.Or(j.Activation, "gelu_new")]
	if !ok {
		return c, fmt.Errorf("%w: activation_function is %.40q; gelu_new and gelu are supported", ErrUnsupported, j.Activation)
	}
	c = model.GPTConfig{Vocab: j.Vocab, Context: j.Context, Layers: j.Layers, Heads: j.Heads, Width: j.Width, GELU: gelu, Eps: j.Eps,
		Untied: j.Tied != nil && !*j.Tied, NoBias: j.NoBias,
		EmbeddingDropout: j.EmbdDropout, AttentionDropout: j.AttnDropout, ResidualDropout: j.ResidDropout}
	if j.Inner != nil {
		c.MLP = *j.Inner
	}
	return c, c.Validate()
}

func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return text, err
}

// WriteGPT2 writes a model's parameters as Hugging Face's model.safetensors,
// one tensor at a time. A model without biases gets zero biases, so that other
// tools can load it.
func WriteGPT2(w io.Writer, be backend.Backend, m *model.GPT) error {
	params := gpt2Params(m)
	infos := make([]safetensors.Info, len(params))
	for i, p := range params {
		infos[i] = safetensors.Info{Name: p.hf, DType: safetensors.F32, Shape: p.shape.Dims()}
	}
	sw, err := safetensors.NewWriter(w, infos, map[string]string{"format": "pt"})
	if err != nil {
		return err
	}
	var buf, out []float32
	for _, p := range params {
		buf = resize(buf, p.shape.Len())
		clear(buf)
		if p.param != nil {
			be.Download(buf, p.param.Value)
		}
		data := buf
		if p.transposed {
			out = resize(out, len(buf))
			transpose(out, buf, p.shape[1], p.shape[0])
			data = out
		}
		if err := sw.WriteFloat32(p.hf, data); err != nil {
			return err
		}
	}
	return sw.Close()
}

// ReadGPT2 loads a model's parameters from Hugging Face's model.safetensors,
// whose names may have the prefix "transformer.".
func ReadGPT2(be backend.Backend, m *model.GPT, f *safetensors.File) error {
	prefix := ""
	if _, ok := f.Info("transformer.wte.weight"); ok {
		prefix = "transformer."
	}
	if _, ok := f.Info(fmt.Sprintf("%sh.%d.ln_1.weight", prefix, m.Config.Layers)); ok {
		return fmt.Errorf("convert: %w: the file has more than %d blocks", ErrMismatch, m.Config.Layers)
	}
	var buf, out []float32
	for _, p := range gpt2Params(m) {
		if p.param == nil {
			continue
		}
		name := p.hf
		if name != "lm_head.weight" {
			name = prefix + name
		}
		info, ok := f.Info(name)
		if !ok {
			return fmt.Errorf("convert: %w: tensor %s is missing; is this a GPT-2 of %d blocks?", ErrMismatch, name, m.Config.Layers)
		}
		if want := p.shape.Dims(); fmt.Sprint(info.Shape) != fmt.Sprint(want) {
			return fmt.Errorf("convert: %w: tensor %s has shape %v, the configuration asks for %v", ErrMismatch, name, info.Shape, want)
		}
		buf = resize(buf, p.shape.Len())
		if err := f.ReadFloat32(name, buf); err != nil {
			return err
		}
		data := buf
		if p.transposed {
			out = resize(out, len(buf))
			transpose(out, buf, p.shape[0], p.shape[1])
			data = out
		}
		be.Upload(p.param.Value, data)
	}
	return nil
}

// gpt2Param is one tensor of a file: shape as stored there, param nil for a bias
// that the model lacks.
type gpt2Param struct {
	hf         string
	shape      tensor.Shape
	transposed bool
	param      *tensor.Param
}

// gpt2Params lists the tensors of m's file in order.
func gpt2Params(m *model.GPT) []gpt2Param {
	var list []gpt2Param
	for _, p := range m.Params() {
		hf, transposed := gpt2Name(p.Name)
		s := p.Value.Shape
		if transposed {
			s[0], s[1] = s[1], s[0]
		}
		list = append(list, gpt2Param{hf, s, transposed, p})
		base, _ := strings.CutSuffix(hf, ".weight")
		if m.Config.NoBias && (strings.HasPrefix(base, "h.") || base == "ln_f") {
			list = append(list, gpt2Param{hf: base + ".bias", shape: tensor.Shape{p.Value.Shape[0]}})
		}
	}
	return list
}

func resize(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}

// transpose writes dst (cols,rows) from src (rows,cols), by tiles that fit the
// cache.
func transpose(dst, src []float32, rows, cols int) {
	const tile = 32
	for i0 := 0; i0 < rows; i0 += tile {
		for j0 := 0; j0 < cols; j0 += tile {
			for i := i0; i < min(i0+tile, rows); i++ {
				for j := j0; j < min(j0+tile, cols); j++ {
					dst[j*rows+i] = src[i*cols+j]
				}
			}
		}
	}
}
