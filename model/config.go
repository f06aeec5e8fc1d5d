package model

import (
	"cmp"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/nn"
)

// GPTConfig describes a GPT-2-like language model.
type GPTConfig struct {
	Vocab   int `yaml:"vocab"`   // V: number of token ids
	Context int `yaml:"context"` // T: most positions
	Layers  int `yaml:"layers"`  // K: blocks
	Heads   int `yaml:"heads"`   // H
	Width   int `yaml:"width"`   // C: channels of the residual stream
	MLP     int `yaml:"mlp"`     // hidden width of the MLP; 0 means 4*Width

	Untied bool             `yaml:"untied"`  // give the logits a weight of their own
	NoBias bool             `yaml:"no_bias"` // leave out the biases of linear layers and norms
	GELU   backend.GELUForm `yaml:"gelu"`    // GPT-2's is the tanh approximation
	Eps    float64          `yaml:"eps"`     // of the layer norms; 0 means 1e-5

	EmbeddingDropout float64 `yaml:"embedding_dropout"` // of the sum of token and position
	AttentionDropout float64 `yaml:"attention_dropout"` // of the attention weights
	ResidualDropout  float64 `yaml:"residual_dropout"`  // of both outputs of a block
}

// GPT-2's sizes (Radford et al., "Language Models are Unsupervised Multitask
// Learners", 2019) and a small one for a laptop.
var gptPresets = map[string]GPTConfig{
	"nano":        {Vocab: 65, Context: 256, Layers: 6, Heads: 6, Width: 384},
	"gpt2":        {Vocab: 50257, Context: 1024, Layers: 12, Heads: 12, Width: 768},
	"gpt2-medium": {Vocab: 50257, Context: 1024, Layers: 24, Heads: 16, Width: 1024},
	"gpt2-large":  {Vocab: 50257, Context: 1024, Layers: 36, Heads: 20, Width: 1280},
	"gpt2-xl":     {Vocab: 50257, Context: 1024, Layers: 48, Heads: 25, Width: 1600},
}

// GPTPresets lists the names that GPTPreset knows, smallest model first.
func GPTPresets() []string {
	return presetNames(gptPresets, func(c GPTConfig) int { return c.Width })
}

// GPTPreset returns a named configuration.
func GPTPreset(name string) (GPTConfig, error) {
	return preset(gptPresets, name, GPTPresets())
}

// MLPWidth returns the hidden width of the MLP.
func (c GPTConfig) MLPWidth() int {
	return cmp.Or(c.MLP, 4*c.Width)
}

// Epsilon returns the layer norms' epsilon.
func (c GPTConfig) Epsilon() float64 {
	return cmp.Or(c.Eps, 1e-5)
}

// block returns the configuration of the blocks.
func (c GPTConfig) block() nn.BlockConfig {
	return nn.BlockConfig{Width: c.Width, Heads: c.Heads, MLP: c.MLPWidth(), Causal: true, Bias: !c.NoBias, GELU: c.GELU, Eps: float32(c.Epsilon()),
		AttentionDropout: float32(c.AttentionDropout), ResidualDropout: float32(c.ResidualDropout)}
}

// Validate returns an error for the first invalid setting.
func (c GPTConfig) Validate() error {
	return cmp.Or(
		c.validateIDs(),
		checkBlocks(c.Layers, c.Heads, c.Width, c.MLPWidth()),
		checkDropouts(c.EmbeddingDropout, c.AttentionDropout, c.ResidualDropout),
		checkEpsilon(c.Eps, c.Epsilon(), "1e-5"),
	)
}

// validateOutside is Validate without what is inside blocks.
func (c GPTConfig) validateOutside() error {
	return cmp.Or(
		c.validateIDs(),
		inRange("layers", c.Layers, maxLayers),
		inRange("width", c.Width, maxDim),
		checkProbability("embedding dropout", c.EmbeddingDropout),
		checkEpsilon(c.Eps, c.Epsilon(), "1e-5"),
	)
}

func (c GPTConfig) validateIDs() error {
	return cmp.Or(inRange("vocabulary", c.Vocab, 1<<24), inRange("context", c.Context, maxDim))
}

// Fits returns an error for the first size beyond the limits of a device. The configuration
// is valid.
func (c GPTConfig) Fits(l backend.Limits) error {
	return checkLimits(l, c.Width, c.Heads, c.Context, c.AttentionDropout)
}
