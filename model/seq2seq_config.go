package model

import (
	"cmp"
	"fmt"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/nn"
)

// Seq2SeqConfig describes an encoder-decoder (Vaswani et al., arXiv 1706.03762)
// with pre-norm blocks.
type Seq2SeqConfig struct {
	SourceVocab   int `yaml:"source_vocab"`   // number of source token ids
	TargetVocab   int `yaml:"target_vocab"`   // V: number of target token ids
	SourceContext int `yaml:"source_context"` // S: most source positions
	TargetContext int `yaml:"target_context"` // T: most target positions
	EncoderLayers int `yaml:"encoder_layers"` // K of the encoder: blocks
	DecoderLayers int `yaml:"decoder_layers"` // K of the decoder
	Heads         int `yaml:"heads"`          // H
	Width         int `yaml:"width"`          // C: channels of both residual streams
	MLP           int `yaml:"mlp"`            // hidden width of the MLP; 0 means 4*Width

	Shared     bool             `yaml:"shared"`     // one table of tokens for source and target
	Untied     bool             `yaml:"untied"`     // give the logits a weight of their own
	Sinusoidal bool             `yaml:"sinusoidal"` // positions are sinusoids, not learned
	NoBias     bool             `yaml:"no_bias"`    // leave out the biases of linear layers and norms
	GELU       backend.GELUForm `yaml:"gelu"`
	Eps        float64          `yaml:"eps"` // of the layer norms; 0 means 1e-5

	EmbeddingDropout float64 `yaml:"embedding_dropout"` // of the sums of token and position
	AttentionDropout float64 `yaml:"attention_dropout"` // of the attention weights
	ResidualDropout  float64 `yaml:"residual_dropout"`  // of the outputs of a block's branches
	LabelSmoothing   float64 `yaml:"label_smoothing"`   // of the training loss: probability spread over all tokens
}

// The base size is from Vaswani et al., table 3, and the small one usual for sets of 100,000s of pairs. The BDIA paper
// prints no sizes for its translation experiment; eng-fra is the size of public PyTorch examples for the same table of
// sentences. Vocabularies are placeholders: data has its own.
var seq2SeqPresets = map[string]Seq2SeqConfig{
	"tiny":  seq2SeqPreset(4, 128, 4, 512),
	"small": seq2SeqPreset(6, 256, 4, 1024),
	"base":  seq2SeqPreset(6, 512, 8, 2048),
	"eng-fra": {SourceVocab: 8192, TargetVocab: 8192, SourceContext: 256, TargetContext: 256, EncoderLayers: 3, DecoderLayers: 3,
		Heads: 6, Width: 192, MLP: 192, Untied: true, Sinusoidal: true, EmbeddingDropout: 0.1, AttentionDropout: 0.1, ResidualDropout: 0.1},
}

func seq2SeqPreset(layers, width, heads, mlp int) Seq2SeqConfig {
	return Seq2SeqConfig{SourceVocab: 8192, TargetVocab: 8192, SourceContext: 256, TargetContext: 256, EncoderLayers: layers, DecoderLayers: layers,
		Heads: heads, Width: width, MLP: mlp, Shared: true, ResidualDropout: 0.1, EmbeddingDropout: 0.1, LabelSmoothing: 0.1}
}

// Seq2SeqPresets lists the names that Seq2SeqPreset knows, smallest model first.
func Seq2SeqPresets() []string {
	return presetNames(seq2SeqPresets, func(c Seq2SeqConfig) int { return c.Width })
}

// Seq2SeqPreset returns a named configuration.
func Seq2SeqPreset(name string) (Seq2SeqConfig, error) {
	return preset(seq2SeqPresets, name, Seq2SeqPresets())
}

// MLPWidth returns the hidden width of the MLP.
func (c Seq2SeqConfig) MLPWidth() int {
	return cmp.Or(c.MLP, 4*c.Width)
}

// Epsilon returns the layer norms' epsilon.
func (c Seq2SeqConfig) Epsilon() float64 {
	return cmp.Or(c.Eps, 1e-5)
}

// block returns the configuration of the blocks of both stacks.
func (c Seq2SeqConfig) block() nn.BlockConfig {
	return nn.BlockConfig{Width: c.Width, Heads: c.Heads, MLP: c.MLPWidth(), Bias: !c.NoBias, GELU: c.GELU, Eps: float32(c.Epsilon()),
		AttentionDropout: float32(c.AttentionDropout), ResidualDropout: float32(c.ResidualDropout)}
}

// Validate returns an error for the first invalid setting.
func (c Seq2SeqConfig) Validate() error {
	if err := cmp.Or(
		inRange("source vocabulary", c.SourceVocab, 1<<24),
		inRange("target vocabulary", c.TargetVocab, 1<<24),
		inRange("source context", c.SourceContext, maxDim),
		inRange("target context", c.TargetContext, maxDim),
		checkBlocks(c.EncoderLayers, c.Heads, c.Width, c.MLPWidth()),
		inRange("decoder layers", c.DecoderLayers, maxLayers),
		checkDropouts(c.EmbeddingDropout, c.AttentionDropout, c.ResidualDropout),
		checkEpsilon(c.Eps, c.Epsilon(), "1e-5"),
		checkProbability("label smoothing", c.LabelSmoothing)); err != nil {
		return err
	}
	if c.Shared && c.SourceVocab != c.TargetVocab {
		return fmt.Errorf("model: a shared table of tokens for %d source and %d target ids; share the vocabulary too, or set shared to false", c.SourceVocab, c.TargetVocab)
	}
	return nil
}

// Fits returns an error for the first size beyond the limits of a device. The configuration
// is valid.
func (c Seq2SeqConfig) Fits(l backend.Limits) error {
	return checkLimits(l, c.Width, c.Heads, max(c.SourceContext, c.TargetContext), c.AttentionDropout)
}
