package model

import (
	"errors"
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// ErrAbility is wrapped by the error of a call that needs a method which a block of NewGPTWith does not have.
var ErrAbility = errors.New("the blocks cannot do this")

// What blocks may do beyond bdia.Block. nn.Block does it all.

// initialised is a block that draws its own initial weights.
type initialised interface {
	Init(seed uint64, residual float64)
}

// freezable is a block that can be made a constant.
type freezable interface{ Freeze() }

// adaptable is a block that takes adapters.
type adaptable interface {
	freezable
	Params() []*tensor.Param
	AddLoRA(c nn.LoRAConfig)
	InitLoRA(seed uint64)
	MergeLoRA()
}

// nextBlock is a block that goes on from cached keys and values.
type nextBlock interface {
	bdia.Block
	Next(h, x tensor.Tensor, kv nn.KV, pairs, seen tensor.Tensor)
}

// able returns blocks, numbered from first on, as values of A, an interface with the named method. It fails with
// ErrAbility for a block that does not implement A.
func able[A any](blocks []bdia.Block, first int, method string) ([]A, error) {
	list := make([]A, len(blocks))
	for i, b := range blocks {
		a, ok := b.(A)
		if !ok {
			return nil, fmt.Errorf("model: %w: block %d, of type %T, lacks the method %s, or others that go with it (see NewGPTWith)", ErrAbility, first+i, b, method)
		}
		list[i] = a
	}
	return list, nil
}

// PlainBlocks fails with ErrAbility for the first block that is not an nn.Block. Formats of other programs, in which
// the blocks of GPT-2 and the families are written, ask for it.
func (m *GPT) PlainBlocks() error {
	for k, b := range m.blocks {
		if _, ok := b.(*nn.Block); !ok {
			return fmt.Errorf("model: %w: block %d is of type %T, not one of GPT-2 or a family", ErrAbility, k, b)
		}
	}
	return nil
}

// cached is a block with its cache.
type cached struct {
	nextBlock
	cache *KVCache
	k     int
}

// Forward writes h(x) at the positions at hand.
func (b cached) Forward(h, x tensor.Tensor, _ backend.Pass) {
	b.Next(h, x, b.cache.blocks[b.k], b.cache.next, b.cache.seen)
}
