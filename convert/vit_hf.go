package convert

import (
	"fmt"
	"io"
	"strconv"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/model"
)

// hfViTPrefix is the prefix of names in files written by ViTForImageClassification,
// except the head's.
const hfViTPrefix = "vit."

// HFViT returns ErrUnsupported if Hugging Face's ViT cannot express a model of c.
func HFViT(c model.ViTConfig) error {
	switch {
	case c.TwoStream:
		return fmt.Errorf("convert: %w: Hugging Face has no RevViT", ErrUnsupported)
	case c.MeanPool:
		return fmt.Errorf("convert: %w: a vision transformer without a class token; Hugging Face's ViT classifies by that", ErrUnsupported)
	}
	return nil
}

// WriteHFViTConfig writes the config.json of Hugging Face's ViT with weights of
// type d. Without labels in v, the classes get transformers' default names.
func WriteHFViTConfig(w io.Writer, v ViTInfo, d safetensors.DType) error {
	c := v.Config
	if err := HFViT(c); err != nil {
		return err
	}
	activation := "gelu"
	if c.GELU == backend.GELUTanh {
		activation = "gelu_pytorch_tanh"
	}
	names, ids := map[string]string{}, map[string]int{}
	for k := range c.Classes {
		name := fmt.Sprintf("LABEL_%d", k)
		if k < len(v.Labels) {
			name = v.Labels[k]
		}
		names[strconv.Itoa(k)], ids[name] = name, k
	}
	return writeJSON(w, "config.json", map[string]any{
		"architectures": []string{"ViTForImageClassification"}, "model_type": "vit", "torch_dtype": torchType(d),
		"image_size": c.Image, "patch_size": c.Patch, "num_channels": 3, "hidden_size": c.Width, "num_hidden_layers": c.Layers,
		"num_attention_heads": c.Heads, "intermediate_size": c.MLPWidth(), "hidden_act": activation, "layer_norm_eps": c.Epsilon(), "qkv_bias": true,
		"hidden_dropout_prob": c.ResidualDropout, "attention_probs_dropout_prob": c.AttentionDropout, "id2label": names, "label2id": ids})
}

// WritePreprocessor writes preprocessor_config.json: how to turn an image into the
// pixels that the model of v takes.
func WritePreprocessor(w io.Writer, v ViTInfo) error {
	const bicubic = 3
	return writeJSON(w, "preprocessor_config.json", map[string]any{
		"image_processor_type": "ViTImageProcessor", "do_resize": true, "size": map[string]int{"height": v.Config.Image, "width": v.Config.Image}, "resample": bicubic,
		"do_rescale": true, "rescale_factor": 1.0 / 255, "do_normalize": true, "image_mean": v.Mean, "image_std": v.Std})
}

// WriteHFViT writes a model's parameters as the model.safetensors of Hugging Face's
// ViTForImageClassification.
func WriteHFViT(w io.Writer, be backend.Backend, m *model.ViT, form Form) error {
	if err := HFViT(m.Config); err != nil {
		return err
	}
	var parts []part
	for _, p := range m.Params() {
		name, shape := timmName(m.Config, p)
		own := hfViTName(hfViTPrefix, name) // three tensors hold the rows of qkv
		n := p.Value.Len() / len(own)
		shape[0] /= len(own)
		for i, name := range own {
			parts = append(parts, part{name: name, shape: shape, src: p.Value.Slice(i*n, (i+1)*n)})
		}
	}
	return form.write(w, be, parts)
}

// ViTFormOf returns the types of m's tensors in f. Both f and the files written in
// this form may have timm's or Hugging Face's names.
func ViTFormOf(m *model.ViT, f Tensors) Form {
	if short, err := bare(f); err == nil {
		f = short
	}
	of, types := vitNaming(f), map[string]safetensors.DType{}
	for _, p := range m.Params() {
		name, _ := timmName(m.Config, p)
		d := FormOf(f).DType(of(name)[0])
		for _, own := range append(hfViTName(hfViTPrefix, name), name) {
			types[own] = d
		}
	}
	return Form{DType: func(name string) safetensors.DType { return types[name] }}
}
