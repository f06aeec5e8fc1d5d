package convert

import (
	"fmt"
	"io"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/format/safetensors"
	"github.com/bdia-go/bdia/internal/jsonfile"
	"github.com/bdia-go/bdia/internal/textfile"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tensor"
)

// Seq2SeqInfo describes an encoder-decoder in a model folder.
type Seq2SeqInfo struct {
	Config               model.Seq2SeqConfig
	SourceEnd, SourcePad int32             // ids of source tokens: the end of a sentence, padding
	Begin, End, Pad      int32             // ids of target tokens
	DType                safetensors.DType // of the weights, when written; zero: F32
}

const (
	seq2SeqArchitecture = "BDIASeq2Seq"
	seq2SeqType         = "bdia-seq2seq"
)

// seq2SeqJSON is the config.json of an encoder-decoder: our own format, since no
// other tool has this decoder block.
type seq2SeqJSON struct {
	Architectures    []string `json:"architectures"`
	ModelType        string   `json:"model_type"`
	SourceVocab      int      `json:"source_vocab_size"`
	TargetVocab      int      `json:"target_vocab_size"`
	SourceContext    int      `json:"max_source_positions"`
	TargetContext    int      `json:"max_target_positions"`
	EncoderLayers    int      `json:"encoder_layers"`
	DecoderLayers    int      `json:"decoder_layers"`
	Heads            int      `json:"attention_heads"`
	Width            int      `json:"d_model"`
	MLP              int      `json:"ffn_dim"`
	Shared           bool     `json:"shared_embeddings"`
	Tied             bool     `json:"tie_word_embeddings"`
	Sinusoidal       bool     `json:"sinusoidal_positions"`
	Bias             bool     `json:"bias"`
	Activation       string   `json:"activation_function"`
	Eps              float64  `json:"layer_norm_epsilon"`
	EmbeddingDropout float64  `json:"embedding_dropout"`
	AttentionDropout float64  `json:"attention_dropout"`
	ResidualDropout  float64  `json:"residual_dropout"`
	LabelSmoothing   float64  `json:"label_smoothing"`
	SourceEnd        int32    `json:"source_eos_token_id"`
	SourcePad        int32    `json:"source_pad_token_id"`
	Begin            int32    `json:"bos_token_id"`
	End              int32    `json:"eos_token_id"`
	Pad              int32    `json:"pad_token_id"`
	TorchType        string   `json:"torch_dtype"`
}

// WriteSeq2SeqConfig writes config.json.
func WriteSeq2SeqConfig(w io.Writer, info Seq2SeqInfo) error {
	c := info.Config
	activation := "gelu_new"
	if c.GELU == backend.GELUErf {
		activation = "gelu"
	}
	return writeJSON(w, "config.json", seq2SeqJSON{Architectures: []string{seq2SeqArchitecture}, ModelType: seq2SeqType,
		SourceVocab: c.SourceVocab, TargetVocab: c.TargetVocab, SourceContext: c.SourceContext, TargetContext: c.TargetContext,
		EncoderLayers: c.EncoderLayers, DecoderLayers: c.DecoderLayers, Heads: c.Heads, Width: c.Width, MLP: c.MLPWidth(),
		Shared: c.Shared, Tied: !c.Untied, Sinusoidal: c.Sinusoidal, Bias: !c.NoBias, Activation: activation, Eps: c.Epsilon(),
		EmbeddingDropout: c.EmbeddingDropout, AttentionDropout: c.AttentionDropout, ResidualDropout: c.ResidualDropout, LabelSmoothing: c.LabelSmoothing,
		SourceEnd: info.SourceEnd, SourcePad: info.SourcePad, Begin: info.Begin, End: info.End, Pad: info.Pad, TorchType: torchType(info.DType)})
}

// ReadSeq2SeqConfig reads the config.json at path. The config of another kind of
// model is ErrUnsupported.
func ReadSeq2SeqConfig(path string) (Seq2SeqInfo, error) {
	text, err := textfile.ReadFile(path, maxConfig)
	if err != nil {
		return Seq2SeqInfo{}, fmt.Errorf("convert: %w", err)
	}
	info, err := parseSeq2SeqConfig(text)
	if err != nil {
		return Seq2SeqInfo{}, fmt.Errorf("convert: %s: %w", path, err)
	}
	return info, nil
}

// parseSeq2SeqConfig reads the text of a config.json.
func parseSeq2SeqConfig(text []byte) (info Seq2SeqInfo, err error) {
	var j seq2SeqJSON
	if err := jsonfile.Decode(text, &j); err != nil {
		return info, err
	}
	if j.ModelType != seq2SeqType {
		return info, otherKind(text, Seq2Seq)
	}
	gelu, ok := activations[j.Activation]
	if !ok {
		return info, fmt.Errorf("%w: activation_function is %.40q; gelu_new and gelu are supported", ErrUnsupported, j.Activation)
	}
	info = Seq2SeqInfo{SourceEnd: j.SourceEnd, SourcePad: j.SourcePad, Begin: j.Begin, End: j.End, Pad: j.Pad,
		Config: model.Seq2SeqConfig{SourceVocab: j.SourceVocab, TargetVocab: j.TargetVocab, SourceContext: j.SourceContext, TargetContext: j.TargetContext,
			EncoderLayers: j.EncoderLayers, DecoderLayers: j.DecoderLayers, Heads: j.Heads, Width: j.Width, MLP: j.MLP,
			Shared: j.Shared, Untied: !j.Tied, Sinusoidal: j.Sinusoidal, NoBias: !j.Bias, GELU: gelu, Eps: j.Eps,
			EmbeddingDropout: j.EmbeddingDropout, AttentionDropout: j.AttentionDropout, ResidualDropout: j.ResidualDropout, LabelSmoothing: j.LabelSmoothing}}
	if err := info.Config.Validate(); err != nil {
		return info, err
	}
	for _, id := range []struct {
		name  string
		id    int32
		vocab int
	}{{"source_eos_token_id", j.SourceEnd, j.SourceVocab}, {"source_pad_token_id", j.SourcePad, j.SourceVocab},
		{"bos_token_id", j.Begin, j.TargetVocab}, {"eos_token_id", j.End, j.TargetVocab}, {"pad_token_id", j.Pad, j.TargetVocab}} {
		if id.id < 0 || int(id.id) >= id.vocab {
			return info, fmt.Errorf("%s is %d; the vocabulary has ids 0 to %d", id.name, id.id, id.vocab-1)
		}
	}
	return info, nil
}

// WriteSeq2Seq writes a model's parameters as model.safetensors, under our own
// names, in F32.
func WriteSeq2Seq(w io.Writer, be backend.Backend, m *model.Seq2Seq) error {
	return WriteSeq2SeqAs(w, be, m, Form{})
}

// WriteSeq2SeqAs is WriteSeq2Seq in a form.
func WriteSeq2SeqAs(w io.Writer, be backend.Backend, m *model.Seq2Seq, form Form) error {
	var parts []part
	for _, p := range m.Params() {
		parts = append(parts, part{name: p.Name, shape: p.Value.Shape.Dims(), src: p.Value})
	}
	return form.write(w, be, parts)
}

// ReadSeq2Seq loads a model's parameters from a file of WriteSeq2Seq. A missing,
// misshapen or unknown tensor is ErrMismatch.
func ReadSeq2Seq(be backend.Backend, m *model.Seq2Seq, f Tensors) error {
	f, err := bare(f)
	if err != nil {
		return err
	}
	params := make(map[string]*tensor.Param, len(m.Params()))
	for _, p := range m.Params() {
		params[p.Name] = p
	}
	for _, name := range f.Names() {
		if params[name] == nil {
			return fmt.Errorf("convert: %w: tensor %s is none of the model that the configuration describes", ErrMismatch, name)
		}
	}
	mover := NewMover(be)
	for _, p := range m.Params() {
		err := fits(f, p.Name, p.Value.Shape.Dims(), "an encoder-decoder of these sizes")
		if err == nil {
			err = mover.Read(p.Value, f, p.Name, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
