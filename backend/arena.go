package backend

import (
	"fmt"
	"sync/atomic"

	"github.com/bdia-go/bdia/tensor"
)

// Component says what a piece of memory is for; the plan adds up by component.
type Component uint8

const (
	Weights    Component = iota
	Gradients            // of parameters
	Optimiser            // moments
	States               // residual stream x_k kept for the reverse walk
	SideBits             // packed side information s_k
	Activation           // intermediates of blocks, gradients of the residual stream
	Logits               // one chunk of rows of logits
	Data                 // token ids, gammas, losses, guards
	Scratch              // packed panels and attention tiles, per thread
	NumComponents
)

var componentNames = [NumComponents]string{
	"weights", "gradients", "optimiser", "states", "side_bits", "workspace", "logits", "data", "scratch",
}

// String returns the component's name as plans print it.
func (c Component) String() string { return componentNames[c] }

// Usage is an amount of arena memory, split by component.
type Usage struct {
	Total       int64
	ByComponent [NumComponents]int64
}

// alignment of every allocation, in bytes: one cache line, one AVX-512 vector.
const alignment = 64

// Arena lays out the memory of a run. It is a stack: allocations are released
// in reverse order, to a mark. So it never fragments, its peak is exact, and the
// same sequence of calls gives the same layout on every backend.
type Arena struct {
	id    uint32
	limit int64
	now   Usage
	peak  Usage
}

// Mark is a height of the stack, to which Release returns.
type Mark struct{ usage Usage }

// arenas counts the arenas of this process.
var arenas atomic.Uint32

// NewArena returns an arena of limit bytes; limit 0 means unbounded (planning). It
// gets a number that no other arena has.
func NewArena(limit int64) Arena { return Arena{id: arenas.Add(1), limit: limit} }

// Check panics when t lies in another arena: a program that mixes the tensors of two
// backends would read and write memory at random.
func (a *Arena) Check(t tensor.Tensor) {
	if t.Arena != a.id {
		panic(fmt.Sprintf("backend: tensor %v lies in arena %d and was used with arena %d; a tensor belongs to the backend that allocated it",
			t.Shape, t.Arena, a.id))
	}
}

// ArenaError is the value with which Alloc panics when an arena is full. The loop of package train returns it as an
// error.
type ArenaError struct {
	Component     Component
	Shape         tensor.Shape // that did not fit
	Need, Planned int64        // bytes
}

// Error says what did not fit.
func (e *ArenaError) Error() string {
	return fmt.Sprintf("backend: %s %v needs %d bytes, past the planned %d; rehearse the largest use on the plan", e.Component, e.Shape, e.Need, e.Planned)
}

// Alloc returns fresh memory. Its contents are unspecified. It panics with an ArenaError when the arena is full: it is
// as large as its plan, so what was planned and what is done differ.
func (a *Arena) Alloc(c Component, d tensor.DType, s tensor.Shape) tensor.Tensor {
	t := tensor.Tensor{Offset: a.now.Total, Shape: s, Arena: a.id, DType: d}
	size := (t.Bytes() + alignment - 1) &^ (alignment - 1)
	a.now.Total += size
	a.now.ByComponent[c] += size
	if a.limit > 0 && a.now.Total > a.limit {
		panic(&ArenaError{c, s, a.now.Total, a.limit})
	}
	if a.now.Total > a.peak.Total {
		a.peak = a.now
	}
	return t
}

// Mark returns the present height of the stack.
func (a *Arena) Mark() Mark { return Mark{a.now} }

// Release gives back everything allocated since m.
func (a *Arena) Release(m Mark) {
	if m.usage.Total > a.now.Total {
		panic("backend: released to a mark above the top of the arena")
	}
	a.now = m.usage
}

// Peak returns the largest amount in use at once so far, and what it was made of.
func (a *Arena) Peak() Usage { return a.peak }
