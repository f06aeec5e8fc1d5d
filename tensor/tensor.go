// Package tensor names pieces of device memory: shape, element type, place.
//
// A Tensor is a small value, not storage. Its memory belongs to the arena of one
// backend; only that backend can read or write it.
package tensor

import (
	"fmt"
	"strings"
)

// DType is the type of a tensor's elements.
type DType uint8

const (
	F32  DType = iota // float32
	I32               // int32: token ids, counters
	U8                // bytes: packed side information
	F64               // float64: sums
	BF16              // bfloat16, the upper half of a float32: weights
)

// Size returns the bytes of one element.
func (d DType) Size() int64 {
	switch d {
	case U8:
		return 1
	case BF16:
		return 2
	case F64:
		return 8
	}
	return 4
}

// dtypeNames are the names of the types, in their order.
var dtypeNames = [...]string{"f32", "i32", "u8", "f64", "bf16"}

// String returns the name of the type, for example "bf16".
func (d DType) String() string {
	if int(d) < len(dtypeNames) {
		return dtypeNames[d]
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// Shape holds up to four dimensions, outermost first; unused ones are zero.
type Shape [4]int

// Len returns the number of elements: the product of the dimensions in use.
func (s Shape) Len() int {
	n := 1
	for _, d := range s[:s.Rank()] {
		n *= d
	}
	return n
}

// Rank returns the number of dimensions in use.
func (s Shape) Rank() int {
	r := 0
	for r < len(s) && s[r] != 0 {
		r++
	}
	return r
}

// Last returns the innermost dimension, or 1 for an empty shape.
func (s Shape) Last() int {
	if r := s.Rank(); r > 0 {
		return s[r-1]
	}
	return 1
}

// String formats the shape as (B,T,C).
func (s Shape) String() string {
	parts := make([]string, s.Rank())
	for i := range parts {
		parts[i] = fmt.Sprint(s[i])
	}
	return "(" + strings.Join(parts, ",") + ")"
}

// Dims returns the dimensions in use as a new slice.
func (s Shape) Dims() []int { return append([]int(nil), s[:s.Rank()]...) }

// Tensor is a contiguous, row-major piece of a backend's arena. Its views, such as
// RowRange, lie in the same arena. The zero Tensor means "none".
type Tensor struct {
	Offset int64 // bytes from the start of the arena
	Shape  Shape
	Arena  uint32 // number of the arena in this process, never 0; backends refuse tensors of another arena
	DType  DType
}

// Valid reports whether t has memory: it is false for the zero Tensor.
func (t Tensor) Valid() bool { return t.Shape[0] != 0 }

// Len returns the number of elements.
func (t Tensor) Len() int { return t.Shape.Len() }

// Bytes returns the size of the elements in bytes.
func (t Tensor) Bytes() int64 { return int64(t.Len()) * t.DType.Size() }

// Rows returns the number of rows of t as a matrix: the product of all dimensions but
// the last.
func (t Tensor) Rows() int { return t.Len() / t.Shape.Last() }

// Cols returns the length of a row: the last dimension.
func (t Tensor) Cols() int { return t.Shape.Last() }

// Reshape returns the same memory under another shape of equal or smaller size.
func (t Tensor) Reshape(s Shape) Tensor {
	if s.Len() > t.Len() {
		panic(fmt.Sprintf("tensor: %v does not fit in the memory of %v", s, t.Shape))
	}
	t.Shape = s
	return t
}

// View returns the beginning of the same memory as a tensor of another type and shape, of equal or smaller size.
func (t Tensor) View(d DType, s Shape) Tensor {
	if int64(s.Len())*d.Size() > t.Bytes() {
		panic(fmt.Sprintf("tensor: %v of %v does not fit in the memory of %v of %v", s, d, t.Shape, t.DType))
	}
	t.DType, t.Shape = d, s
	return t
}

// RowRange returns rows [from,to) of t as a matrix, as a (to-from, cols) tensor.
func (t Tensor) RowRange(from, to int) Tensor {
	if from < 0 || to > t.Rows() || from >= to {
		panic(fmt.Sprintf("tensor: rows [%d,%d) of %v", from, to, t.Shape))
	}
	c := t.Cols()
	t.Offset += int64(from*c) * t.DType.Size()
	t.Shape = Shape{to - from, c}
	return t
}

// Slice returns elements [from,to) of t, of any shape, as a vector.
func (t Tensor) Slice(from, to int) Tensor {
	if from < 0 || to > t.Len() || from >= to {
		panic(fmt.Sprintf("tensor: elements [%d,%d) of %v", from, to, t.Shape))
	}
	t.Offset += int64(from) * t.DType.Size()
	t.Shape = Shape{to - from}
	return t
}

// Index returns element i of the outermost dimension, with that dimension dropped.
func (t Tensor) Index(i int) Tensor {
	if i < 0 || i >= t.Shape[0] || t.Shape.Rank() < 2 {
		panic(fmt.Sprintf("tensor: index %d of %v", i, t.Shape))
	}
	s := Shape{t.Shape[1], t.Shape[2], t.Shape[3]}
	t.Offset += int64(i*s.Len()) * t.DType.Size()
	t.Shape = s
	return t
}

// Param is one parameter tensor of a model.
type Param struct {
	Name  string // in the model, for example "blocks.3.attn.qkv.weight"
	Value Tensor
	// Grad is the buffer to which backward passes add the gradient. The sink provides
	// it (see bdia.Sink); between steps it may be unset.
	Grad Tensor
	// Frozen parameters do not change and have no gradient.
	Frozen bool
	// Tied parameters are used twice, as embedding and as output head.
	Tied bool
	// Lookups is the gradient of a tied tensor in its use as embedding, so that the
	// two sums over several micro-batches stay separate. The sink that provides it
	// resets it before a step and adds it to Grad at the end (see bdia.AddLookups).
	// If it is nil, every backward pass adds that gradient to Grad itself.
	Lookups *Rows
	// Decay turns on weight decay: true for matrices, false for norms and biases.
	Decay bool
	// Embedding marks look-up tables, which SET-Adam updates as plain Adam does.
	Embedding bool
}

// Elements adds up the numbers of parameters.
func Elements(params []*Param) (n int64) {
	for _, p := range params {
		n += int64(p.Value.Len())
	}
	return n
}
