package model

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/nn"
)

// GPTConfig describes a language model: GPT-2's kind, or a Family's.
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

	// What follows is for a Family, which in turn has no NoBias and no GELU.
	Family        Family `yaml:"family,omitzero"`
	KVHeads       int    `yaml:"kv_heads,omitzero"`       // heads of keys and values, which Heads share; 0: Heads
	HeadWidth     int    `yaml:"head_width,omitzero"`     // 0: Width/Heads
	Rope          Rope   `yaml:"rope,omitzero"`           // turns queries and keys by their positions
	AttentionBias bool   `yaml:"attention_bias,omitzero"` // biases of all four products of attention
	MLPBias       bool   `yaml:"mlp_bias,omitzero"`       // biases of the three of the MLP
	Window        int    `yaml:"window,omitzero"`         // positions that one attends to at most, itself included; 0: all
	FullLayers    int    `yaml:"full_layers,omitzero"`    // first blocks that attend to all positions in spite of Window

	// Of the family granite alone.
	EmbeddingScale float64 `yaml:"embedding_scale,omitzero"` // multiplies the embedding; 0: 1
	AttentionScale float64 `yaml:"attention_scale,omitzero"` // multiplies the scores of attention; 0: 1/sqrt(width of a head)
	BranchScale    float64 `yaml:"branch_scale,omitzero"`    // multiplies both branches of a block; 0: 1
	LogitsDivisor  float64 `yaml:"logits_divisor,omitzero"`  // divides the logits; 0: 1

	Weights WeightType `yaml:"weights,omitzero"` // of the matrices in memory
}

// Family is a kind of language model by the name that Hugging Face has for it. They share Llama's block: RMS norms,
// queries and keys that turn by their positions in place of learned positions, and a gated SiLU.
type Family string

// The families.
const (
	GPT2    Family = ""      // none of them: GPT-2's block
	Llama   Family = "llama" // Llama 2 and 3, TinyLlama, SmolLM
	Qwen2   Family = "qwen2" // with biases of queries, keys and values; Qwen2.5 too
	Qwen3   Family = "qwen3" // with norms of the heads of queries and keys
	Mistral Family = "mistral"
	Granite Family = "granite" // Granite 3, dense: with scales of embedding, scores, branches and logits
	OLMo2   Family = "olmo2"   // with norms after attention and MLP, and of all heads of queries, or of keys, together
)

// Families lists the families beside GPT2.
func Families() []Family { return []Family{Llama, Qwen2, Qwen3, Mistral, Granite, OLMo2} }

// String is the family's name: gpt2 for GPT2.
func (f Family) String() string { return cmp.Or(string(f), "gpt2") }

// GPT-2's sizes (Radford et al., "Language Models are Unsupervised Multitask
// Learners", 2019), some of SmolLM2, Qwen and Llama, with a context for training from nothing, and two small ones for a
// laptop.
var gptPresets = map[string]GPTConfig{
	"nano":         {Vocab: 65, Context: 256, Layers: 6, Heads: 6, Width: 384},
	"llama-nano":   {Family: Llama, Vocab: 65, Context: 256, Layers: 6, Heads: 6, KVHeads: 2, Width: 384, MLP: 1024, Eps: 1e-5, Rope: Rope{Theta: 1e4}},
	"smollm2-135m": {Family: Llama, Vocab: 49152, Context: 2048, Layers: 30, Heads: 9, KVHeads: 3, Width: 576, MLP: 1536, Eps: 1e-5, Rope: Rope{Theta: 1e5}},
	"qwen3-0.6b":   {Family: Qwen3, Vocab: 151936, Context: 2048, Layers: 28, Heads: 16, KVHeads: 8, HeadWidth: 128, Width: 1024, MLP: 3072, Eps: 1e-6, Rope: Rope{Theta: 1e6}},
	"qwen2.5-0.5b": {Family: Qwen2, Vocab: 151936, Context: 2048, Layers: 24, Heads: 14, KVHeads: 2, Width: 896, MLP: 4864, Eps: 1e-6, Rope: Rope{Theta: 1e6}},
	"qwen3-1.7b":   {Family: Qwen3, Vocab: 151936, Context: 2048, Layers: 28, Heads: 16, KVHeads: 8, HeadWidth: 128, Width: 2048, MLP: 6144, Eps: 1e-6, Rope: Rope{Theta: 1e6}},
	"llama-3.2-1b": {Family: Llama, Vocab: 128256, Context: 2048, Layers: 16, Heads: 32, KVHeads: 8, Width: 2048, MLP: 8192, Eps: 1e-5, Rope: Rope{Theta: 5e5}},
	"llama-3.2-3b": {Family: Llama, Vocab: 128256, Context: 2048, Layers: 28, Heads: 24, KVHeads: 8, Width: 3072, MLP: 8192, Eps: 1e-5, Rope: Rope{Theta: 5e5}},
	"gpt2":         {Vocab: 50257, Context: 1024, Layers: 12, Heads: 12, Width: 768},
	"gpt2-medium":  {Vocab: 50257, Context: 1024, Layers: 24, Heads: 16, Width: 1024},
	"gpt2-large":   {Vocab: 50257, Context: 1024, Layers: 36, Heads: 20, Width: 1280},
	"gpt2-xl":      {Vocab: 50257, Context: 1024, Layers: 48, Heads: 25, Width: 1600},
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

// CacheContext returns the most positions of a Decoding. It is the context, unless the rotation is scaled by the length
// of the text: a cache takes texts up to which it is not.
func (c GPTConfig) CacheContext() int {
	if c.Rope.Kind == RopeDynamic && c.Rope.OriginalContext > 0 {
		return min(c.Context, c.Rope.OriginalContext)
	}
	return c.Context
}

// Epsilon returns the layer norms' epsilon.
func (c GPTConfig) Epsilon() float64 {
	return cmp.Or(c.Eps, 1e-5)
}

// block returns the configuration of the blocks, without the rotation.
func (c GPTConfig) block() nn.BlockConfig {
	b := nn.BlockConfig{Width: c.Width, Heads: c.Heads, MLP: c.MLPWidth(), Causal: true, Eps: float32(c.Epsilon()),
		AttentionDropout: float32(c.AttentionDropout), ResidualDropout: float32(c.ResidualDropout), Weights: c.Weights.DType()}
	if c.Family == GPT2 {
		b.Bias, b.GELU = !c.NoBias, c.GELU
		return b
	}
	b.RMS, b.Gated, b.Separate = true, true, true
	b.KVHeads, b.HeadWidth = c.KVHeads, c.HeadWidth
	b.HeadNorm, b.JointNorm, b.NormAfter = c.Family == Qwen3 || c.Family == OLMo2, c.Family == OLMo2, c.Family == OLMo2
	b.AttentionScale, b.BranchScale = float32(c.AttentionScale), float32(c.BranchScale)
	b.QKVBias, b.ProjBias, b.MLPBias = c.AttentionBias || c.Family == Qwen2, c.AttentionBias, c.MLPBias
	return b
}

// Scales returns Granite's four scales with what 0 stands for: the factors of the embedding, of the scores of attention
// and of both branches, and the divisor of the logits.
func (c GPTConfig) Scales() (embedding, attention, branch, divisor float64) {
	attention = c.AttentionScale
	if attention == 0 {
		attention = 1 / math.Sqrt(float64(c.block().Head()))
	}
	return cmp.Or(c.EmbeddingScale, 1), attention, cmp.Or(c.BranchScale, 1), cmp.Or(c.LogitsDivisor, 1)
}

// blocks returns the configuration of each block, with the rotation of its queries and keys.
func (c GPTConfig) blocks(rotation *nn.Rotation) func(k int) nn.BlockConfig {
	return func(k int) nn.BlockConfig {
		b := c.block()
		b.Rotation = rotation
		if k >= c.FullLayers && c.Window < c.Context {
			b.Window = c.Window
		}
		return b
	}
}

// LoRATargets lists the names of the linear layers of a block that can have adapters.
func (c GPTConfig) LoRATargets() []string { return c.block().LoRATargets() }

// Validate returns an error for the first invalid setting.
func (c GPTConfig) Validate() error {
	return cmp.Or(
		c.validateIDs(),
		c.validateFamily(),
		c.Weights.validate(),
		checkBlocks(c.Layers, c.Heads, c.dividedWidth(), c.MLPWidth()),
		c.validateHeads(),
		inRange("width", c.Width, maxDim),
		checkDropouts(c.EmbeddingDropout, c.AttentionDropout, c.ResidualDropout),
		checkEpsilon(c.Eps, c.Epsilon(), "1e-5"),
	)
}

// dividedWidth is what the heads divide: the width, unless they have a width of their own.
func (c GPTConfig) dividedWidth() int {
	if c.HeadWidth > 0 {
		return min(c.Heads, maxDim) * min(c.HeadWidth, maxDim)
	}
	return c.Width
}

// validateFamily checks what only families have.
func (c GPTConfig) validateFamily() error {
	if c.Family == GPT2 {
		only := GPTConfig{KVHeads: c.KVHeads, HeadWidth: c.HeadWidth, Rope: c.Rope, AttentionBias: c.AttentionBias, MLPBias: c.MLPBias, Window: c.Window, FullLayers: c.FullLayers}
		if only != (GPTConfig{}) {
			return errors.New("model: settings of a family (kv_heads, head_width, rope, attention_bias, mlp_bias, window, full_layers) without its name")
		}
		return c.validateScales()
	}
	if !slices.Contains(Families(), c.Family) {
		return fmt.Errorf("model: unknown family %.40q; there are %v", string(c.Family), Families())
	}
	if c.NoBias || c.GELU != 0 {
		return fmt.Errorf("model: no_bias and gelu are for GPT-2's block, and the model is %s", c.Family)
	}
	if c.HeadWidth != 0 {
		return inRange("head_width", c.HeadWidth, maxDim)
	}
	return nil
}

// validateHeads checks how the heads of a family share keys and values, see and turn. Their number and the width that
// they divide are valid.
func (c GPTConfig) validateHeads() error {
	if c.Family == GPT2 {
		return nil
	}
	head := c.block().Head()
	bad := func(reason string) error {
		if c.HeadWidth > 0 {
			return &SettingError{"head_width", head, reason}
		}
		return &SettingError{"width", c.Width, fmt.Sprintf("its %d heads are %d wide, and %s", c.Heads, head, reason)}
	}
	switch {
	case c.KVHeads < 0 || c.KVHeads > 0 && c.Heads%c.KVHeads != 0:
		return &SettingError{"kv_heads", c.KVHeads, fmt.Sprintf("%d heads cannot share so many heads of keys and values, but a divisor of it", c.Heads)}
	case c.Window < 0:
		return &SettingError{"window", c.Window, "it must not be negative"}
	case c.FullLayers < 0:
		return &SettingError{"full_layers", c.FullLayers, "it must not be negative"}
	case head%2 != 0:
		return bad("only heads of an even width can turn")
	case head == 2 && c.Rope.Kind == RopeDynamic:
		return bad("dynamic scaling of the rotation needs a width of 4 at least")
	}
	return cmp.Or(c.validateScales(), c.Rope.validate())
}

// validateScales checks Granite's four scales, which float32 must be able to hold, and their reciprocals too.
func (c GPTConfig) validateScales() error {
	const most = 1 << 32
	for _, s := range []struct {
		name  string
		value float64
	}{{"embedding_scale", c.EmbeddingScale}, {"attention_scale", c.AttentionScale}, {"branch_scale", c.BranchScale}, {"logits_divisor", c.LogitsDivisor}} {
		switch {
		case s.value == 0:
		case c.Family != Granite:
			return fmt.Errorf("model: %s is for %s, and the model is %s", s.name, Granite, c.Family)
		case !(s.value >= 1.0/most && s.value <= most):
			return &SettingError{s.name, s.value, fmt.Sprintf("it must be from %.2g to %.2g", 1.0/most, float64(most))}
		}
	}
	return nil
}

// validateOutside is Validate without what is inside blocks.
func (c GPTConfig) validateOutside() error {
	return cmp.Or(
		c.validateIDs(),
		inRange("layers", c.Layers, maxLayers),
		inRange("width", c.Width, maxDim),
		c.validateScales(),
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
	return checkLimits(l, c.dividedWidth(), c.Heads, c.Context, c.AttentionDropout)
}
