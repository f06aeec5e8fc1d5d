// Package model puts embedding, block stack and head together: whole networks
// that train by reversible back-propagation.
package model

import (
	"fmt"
	"sort"
	"strings"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/kernel"
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
	names := make([]string, 0, len(gptPresets))
	for n := range gptPresets {
		names = append(names, n)
	}
	sort.Slice(names, func(i, j int) bool { return gptPresets[names[i]].Width < gptPresets[names[j]].Width })
	return names
}

// GPTPreset returns a named configuration.
func GPTPreset(name string) (GPTConfig, error) {
	c, ok := gptPresets[name]
	if !ok {
		return c, fmt.Errorf("model: unknown preset %q; there are %s", name, strings.Join(GPTPresets(), ", "))
	}
	return c, nil
}

// MLPWidth returns the hidden width of the MLP.
func (c GPTConfig) MLPWidth() int {
	if c.MLP == 0 {
		return 4 * c.Width
	}
	return c.MLP
}

// Epsilon returns the layer norms' epsilon.
func (c GPTConfig) Epsilon() float64 {
	if c.Eps == 0 {
		return 1e-5
	}
	return c.Eps
}

// Sizes beyond these are taken for mistakes (or hostile files) rather than
// models: they keep every index within range.
const (
	maxDim    = 1 << 20
	maxLayers = 1 << 16
)

// Validate reports the first thing that cannot be.
func (c GPTConfig) Validate() error {
	for _, d := range []struct {
		name string
		v    int
		most int
	}{{"vocabulary", c.Vocab, 1 << 24}, {"context", c.Context, maxDim}, {"layers", c.Layers, maxLayers},
		{"heads", c.Heads, maxDim}, {"width", c.Width, maxDim}, {"MLP width", c.MLPWidth(), 8 * maxDim}} {
		if d.v < 1 || d.v > d.most {
			return fmt.Errorf("model: %s is %d; it must be from 1 to %d", d.name, d.v, d.most)
		}
	}
	if c.Width%c.Heads != 0 {
		return fmt.Errorf("model: width %d is not divisible by %d heads; %s", c.Width, c.Heads, nearestWidths(c.Width, c.Heads))
	}
	if d := c.Width / c.Heads; d > kernel.MaxHeadDim {
		return fmt.Errorf("model: heads of width %d (%d/%d) are wider than %d; use more heads", d, c.Width, c.Heads, kernel.MaxHeadDim)
	}
	for _, d := range []struct {
		name string
		p    float64
	}{{"embedding", c.EmbeddingDropout}, {"attention", c.AttentionDropout}, {"residual", c.ResidualDropout}} {
		if !(d.p >= 0 && d.p < 1) {
			return fmt.Errorf("model: %s dropout is %v; it must be at least 0 and below 1", d.name, d.p)
		}
	}
	if weights := int64(c.Heads) * int64(c.Context) * int64((c.Context+63)&^63); c.AttentionDropout > 0 && weights > 1<<32 {
		return fmt.Errorf("model: attention dropout numbers the weights of a sample with 32 bits, and %d heads over %d positions have %d; "+
			"use a shorter context or no attention dropout", c.Heads, c.Context, weights)
	}
	if e := float32(c.Epsilon()); !(e > 0 && e <= 1) {
		return fmt.Errorf("model: layer norm epsilon is %v; it must be positive (0 means 1e-5) and at most 1", c.Eps)
	}
	return nil
}

// nearestWidths suggests widths that the heads divide.
func nearestWidths(width, heads int) string {
	low := width / heads * heads
	if low == 0 {
		return fmt.Sprintf("use width %d", heads)
	}
	return fmt.Sprintf("use width %d or %d", low, low+heads)
}
