package model

import (
	"cmp"
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/nn"
)

// ViTConfig describes a vision transformer for classification (Dosovitskiy et
// al., arXiv 2010.11929) of square images with three channels.
type ViTConfig struct {
	Image   int `yaml:"image"`   // I: pixels of a side
	Patch   int `yaml:"patch"`   // P: pixels of a patch's side; it divides Image
	Classes int `yaml:"classes"` // V
	Layers  int `yaml:"layers"`  // K: blocks; with TwoStream pairs of branches
	Heads   int `yaml:"heads"`   // H
	Width   int `yaml:"width"`   // C: channels of the residual stream
	MLP     int `yaml:"mlp"`     // hidden width of the MLP; 0 means 4*Width

	MeanPool  bool             `yaml:"mean_pool"`  // classify the mean of the patches; there is no class token then
	TwoStream bool             `yaml:"two_stream"` // RevViT: see bdia.TwoStream; gamma must be 0 and the grid none
	GELU      backend.GELUForm `yaml:"gelu"`       // the presets have erf, as published models
	Eps       float64          `yaml:"eps"`        // of the layer norms; 0 means 1e-6, as in timm

	EmbeddingDropout float64 `yaml:"embedding_dropout"` // of the sum of patch and position
	AttentionDropout float64 `yaml:"attention_dropout"` // of the attention weights
	ResidualDropout  float64 `yaml:"residual_dropout"`  // of both outputs of a block
	StochasticDepth  float64 `yaml:"stochastic_depth"`  // of the last block's branches; rises linearly from 0 at the first
}

// The paper's model for CIFAR (arXiv 2407.09093), a narrower one that two cores
// train, and the sizes of ViT for ImageNet by timm's names and numbers.
var vitPresets = map[string]ViTConfig{
	"tiny":      {Image: 32, Patch: 4, Classes: 10, Layers: 6, Heads: 3, Width: 96, MLP: 96, GELU: backend.GELUErf},
	"vit-paper": {Image: 32, Patch: 4, Classes: 10, Layers: 6, Heads: 8, Width: 512, MLP: 512, GELU: backend.GELUErf},
	"vit-ti":    {Image: 224, Patch: 16, Classes: 1000, Layers: 12, Heads: 3, Width: 192, GELU: backend.GELUErf},
	"vit-s":     {Image: 224, Patch: 16, Classes: 1000, Layers: 12, Heads: 6, Width: 384, GELU: backend.GELUErf},
	"vit-b":     {Image: 224, Patch: 16, Classes: 1000, Layers: 12, Heads: 12, Width: 768, GELU: backend.GELUErf},
}

// ViTPresets lists the names that ViTPreset knows, narrowest model first.
func ViTPresets() []string {
	return presetNames(vitPresets, func(c ViTConfig) int { return c.Width })
}

// ViTPreset returns a named configuration.
func ViTPreset(name string) (ViTConfig, error) {
	return preset(vitPresets, name, ViTPresets())
}

// MLPWidth returns the hidden width of the MLP.
func (c ViTConfig) MLPWidth() int {
	return cmp.Or(c.MLP, 4*c.Width)
}

// Epsilon returns the layer norms' epsilon.
func (c ViTConfig) Epsilon() float64 {
	return cmp.Or(c.Eps, 1e-6)
}

// Patches returns the number N of patches of an image.
func (c ViTConfig) Patches() int { return (c.Image / c.Patch) * (c.Image / c.Patch) }

// Positions returns the length T of the residual stream: the patches, after the
// class token if there is one.
func (c ViTConfig) Positions() int {
	if c.MeanPool {
		return c.Patches()
	}
	return c.Patches() + 1
}

// Pixels returns the number of values of an image: 3*I*I.
func (c ViTConfig) Pixels() int { return channels * c.Image * c.Image }

// channels of a pixel: red, green, blue.
const channels = 3

// depth returns the probability with which stochastic depth drops a branch of
// block k: the linear rule of Huang et al., ECCV 2016, as timm has it.
func (c ViTConfig) depth(k int) float64 {
	return c.StochasticDepth * float64(k) / float64(max(c.Layers-1, 1))
}

// block returns the configuration of block k.
func (c ViTConfig) block(k int) nn.BlockConfig {
	return nn.BlockConfig{Width: c.Width, Heads: c.Heads, MLP: c.MLPWidth(), Bias: true, GELU: c.GELU, Eps: float32(c.Epsilon()),
		AttentionDropout: float32(c.AttentionDropout), ResidualDropout: float32(c.ResidualDropout), StochasticDepth: float32(c.depth(k))}
}

// Validate returns an error for the first invalid setting.
func (c ViTConfig) Validate() error {
	const maxImage = 1 << 13
	if err := cmp.Or(inRange("image size", c.Image, maxImage), inRange("patch size", c.Patch, maxImage), inRange("number of classes", c.Classes, maxDim)); err != nil {
		return err
	}
	if c.Image < c.Patch {
		return fmt.Errorf("model: an image of %d pixels is smaller than a patch of %d; use larger images or smaller patches", c.Image, c.Patch)
	}
	if c.Image%c.Patch != 0 {
		low := c.Image / c.Patch * c.Patch
		return fmt.Errorf("model: an image of %d pixels cannot be cut into patches of %d; use images of %d or %d", c.Image, c.Patch, low, low+c.Patch)
	}
	return cmp.Or(
		inRange("number of positions", c.Positions(), maxDim),
		checkBlocks(c.Layers, c.Heads, c.Width, c.MLPWidth()),
		checkDropouts(c.EmbeddingDropout, c.AttentionDropout, c.ResidualDropout),
		checkProbability("stochastic depth", c.StochasticDepth),
		checkEpsilon(c.Eps, c.Epsilon(), "1e-6"),
	)
}

// Fits returns an error for the first size beyond the limits of a device. The configuration
// is valid.
func (c ViTConfig) Fits(l backend.Limits) error {
	return checkLimits(l, c.Width, c.Heads, c.Positions(), c.AttentionDropout)
}

// ValidateMethod reports a choice of memory, gamma and grid that this model does
// not train with.
func (c ViTConfig) ValidateMethod(opt bdia.Options) error {
	if c.TwoStream {
		return opt.ValidateTwoStream()
	}
	return opt.Validate()
}
