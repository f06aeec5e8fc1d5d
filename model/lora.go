package model

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// LoRAConfig describes low-rank adapters (see nn.LoRA).
type LoRAConfig struct {
	Rank    int     `yaml:"rank"`    // r; 0: no adapters
	Alpha   float64 `yaml:"alpha"`   // the output of an adapter is multiplied by alpha/r
	Dropout float64 `yaml:"dropout"` // of an adapter's input
	Targets Targets `yaml:"targets"` // layers that have one
}

// DefaultLoRA returns PEFT's defaults for GPT-2: rank 8, alpha 16, and DefaultTargets.
func DefaultLoRA() LoRAConfig { return LoRAConfig{Rank: 8, Alpha: 16, Targets: DefaultTargets(GPT2)} }

// DefaultTargets are the layers that have adapters unless others are named, as in PEFT: for GPT-2 the product that
// makes queries, keys and values, for a family queries and values.
func DefaultTargets(f Family) Targets {
	if f == GPT2 {
		return Targets{"qkv"}
	}
	return Targets{"q_proj", "v_proj"}
}

// Validate returns an error for the first invalid setting.
func (c LoRAConfig) Validate() error {
	if err := inRange("rank of the adapters", c.Rank, maxDim); err != nil {
		return err
	}
	if s := float32(c.scale()); !(s > 0 && s <= math.MaxFloat32) {
		return fmt.Errorf("model: alpha of the adapters is %v at rank %d; it must be positive, and alpha/rank at most %.2g", c.Alpha, c.Rank, math.MaxFloat32)
	}
	return cmp.Or(checkProbability("dropout of the adapters", c.Dropout),
		c.Targets.validate(append(GPTConfig{}.LoRATargets(), GPTConfig{Family: Llama}.LoRATargets()...)))
}

// ValidateFor is Validate for adapters beside a model of m with so many frozen blocks.
func (c LoRAConfig) ValidateFor(m GPTConfig, frozen int) error {
	if err := cmp.Or(c.Targets.validate(m.LoRATargets()), c.Validate()); err != nil {
		return err
	}
	if c.Rank > m.Width {
		return fmt.Errorf("model: adapters of rank %d beside layers of width %d; use a smaller rank", c.Rank, m.Width)
	}
	if frozen == m.Layers {
		return fmt.Errorf("model: %w: all %d blocks are frozen; leave some for adapters", ErrAdapters, frozen)
	}
	return nil
}

func (c LoRAConfig) scale() float64 { return c.Alpha / float64(c.Rank) }

// ErrAdapters is wrapped by the errors of Freeze and AddLoRA on a model with adapters, or with no block left for them.
var ErrAdapters = errors.New("adapters")

// Freeze makes constants of the first blocks and of the tables of tokens and positions, and with them of a tied head.
// The reverse walk ends above these blocks. Call it before AddLoRA, and before an optimiser or a sink allocates memory
// for trainable parameters. It fails for more blocks than the model has, and with ErrAbility for a block without the
// method Freeze.
func (m *GPT) Freeze(blocks int) error {
	if blocks < 0 || blocks > m.Config.Layers {
		return fmt.Errorf("model: %d frozen blocks; the model has %d", blocks, m.Config.Layers)
	}
	if m.LoRA.Rank > 0 {
		return fmt.Errorf("model: %w: freeze blocks before adapters are added to the others", ErrAdapters)
	}
	first, err := able[freezable](m.blocks[:blocks], 0, "Freeze")
	if err != nil {
		return err
	}
	for _, p := range m.embedding.Params() {
		p.Frozen = true
	}
	m.tables = nil
	for _, b := range first {
		b.Freeze()
	}
	m.frozen = max(m.frozen, blocks)
	return nil
}

// AddLoRA allocates adapters in all blocks that are not frozen and freezes everything else. Their values are
// unspecified until InitLoRA or until they are loaded. Call it before an optimiser or a sink allocates memory for
// trainable parameters. It fails with ErrAdapters, and with ErrAbility for a block that takes no adapters.
func (m *GPT) AddLoRA(c LoRAConfig) error {
	if err := c.ValidateFor(m.Config, m.frozen); err != nil {
		return err
	}
	if m.LoRA.Rank > 0 {
		return fmt.Errorf("model: %w: the model has some already", ErrAdapters)
	}
	blocks, err := able[adaptable](m.blocks[m.frozen:], m.frozen, "AddLoRA")
	if err != nil {
		return err
	}
	for _, p := range append(m.tables, m.end...) {
		p.Frozen = true
	}
	m.tables, m.end, m.LoRA = nil, nil, c
	for _, b := range blocks {
		b.AddLoRA(nn.LoRAConfig{Rank: c.Rank, Scale: float32(c.scale()), Dropout: float32(c.Dropout), Targets: c.Targets.Layers(m.Config)})
		m.adapters = append(m.adapters, b.Params()...)
	}
	return nil
}

// InitLoRA draws the initial adapters from seed; the model computes what it did
// without them.
func (m *GPT) InitLoRA(seed uint64) {
	for _, b := range m.blocks {
		if b, ok := b.(adaptable); ok {
			b.InitLoRA(seed)
		}
	}
}

// MergeLoRA adds the adapters to the weights beside them, for good. No parameter is trainable afterwards. Weights that
// are held in BF16 are rounded to nearest.
func (m *GPT) MergeLoRA() {
	for _, b := range m.blocks {
		if b, ok := b.(adaptable); ok {
			b.MergeLoRA()
		}
	}
	m.adapters, m.LoRA = nil, LoRAConfig{}
}

// Adapters lists the adapters' parameters, in the order of the forward pass: of
// every layer A and B.
func (m *GPT) Adapters() []*tensor.Param { return m.adapters }

// FrozenBlocks returns how many of the first blocks are frozen.
func (m *GPT) FrozenBlocks() int { return m.frozen }

// Trainable lists the parameters that an optimiser updates: what is not frozen, and adapters.
func (m *GPT) Trainable() []*tensor.Param { return append(trainable(m.params), m.adapters...) }

// trainable lists the parameters that are not frozen.
func trainable(params []*tensor.Param) (list []*tensor.Param) {
	for _, p := range params {
		if !p.Frozen {
			list = append(list, p)
		}
	}
	return list
}
