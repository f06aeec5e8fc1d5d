// Package onnx reads and writes ONNX models: a protobuf ModelProto with one graph of
// operators, and its constant tensors ("initializers"). See
// https://github.com/onnx/onnx/blob/main/docs/IR.md.
//
// It is a subset: IR version 8; operator set 17, the first with LayerNormalization,
// which runtimes have had since 2022; values that are tensors; attributes that are
// numbers. Tensors are raw little-endian data. A protobuf message cannot exceed 2
// GiB, so the data of larger models lie in a second file, for example
// model.onnx_data for model.onnx, where other software looks for it.
//
// Files are untrusted. The reader bounds the memory that a file can ask for, and
// refuses values that are used before they are defined or defined twice, tensors
// whose data do not fit their shape, and data outside the model's folder.
package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"unicode/utf8"
)

var (
	// ErrCorrupt is wrapped by every error about a file that breaks the format.
	ErrCorrupt = errors.New("corrupt file")
	// ErrUnsupported is wrapped by errors about valid files that this package cannot
	// read.
	ErrUnsupported = errors.New("unsupported file")
)

const (
	irVersion = 8
	opset     = 17

	maxName = 1 << 10
	maxRank = 8
)

// Type is the type of the elements of a tensor.
type Type int32

// The types, by their numbers in the format.
const (
	Float Type = 1 // float32
	Int64 Type = 7
	Bool  Type = 9
)

// Size returns the bytes of an element, 0 for a type that is not supported.
func (t Type) Size() int {
	switch t {
	case Float:
		return 4
	case Int64:
		return 8
	case Bool:
		return 1
	}
	return 0
}

// String names the type.
func (t Type) String() string {
	if t.Size() == 0 {
		return fmt.Sprintf("type %d", int32(t))
	}
	return map[Type]string{Float: "float", Int64: "int64", Bool: "bool"}[t]
}

// Model is a graph with its name and the program that wrote it.
type Model struct {
	Producer, Version string
	Doc               string // of the model, for people; empty: none
	Name              string
	Inputs, Outputs   []Value
	Nodes             []Node // in order: a node comes after the nodes that compute its inputs
	Tensors           []Tensor
}

// Value describes an input or output of the graph.
type Value struct {
	Name  string
	Type  Type
	Shape []Dim
}

// Dim is a dimension: a fixed size, or a name such as "batch" if any size will do.
type Dim struct {
	Size int
	Name string
}

// Node is the use of an operator. An input that is left out is "".
type Node struct {
	Name, Op        string
	Inputs, Outputs []string
	Attrs           []Attr
}

// Attr is an attribute of a node: an int64, a float32 or a []int64.
type Attr struct {
	Name  string
	Value any
}

// Attr returns the named attribute, or nil.
func (n Node) Attr(name string) any {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a.Value
		}
	}
	return nil
}

// Tensor is a constant of the graph.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int // empty for a scalar
	// Data are the elements, row-major and little-endian. The Data of a tensor from
	// a file must not be changed.
	Data []byte
	// Fill may take the place of Data in a Float tensor to be written: it sets dst
	// to the elements that start with number from.
	Fill func(from int, dst []float32)
}

// Ints returns a tensor of integers.
func Ints(name string, shape []int, v ...int64) Tensor {
	t := Tensor{Name: name, Type: Int64, Shape: shape}
	for _, i := range v {
		t.Data = binary.LittleEndian.AppendUint64(t.Data, uint64(i))
	}
	return t
}

// Scalar returns a tensor that is one number.
func Scalar(name string, v float32) Tensor {
	return Tensor{Name: name, Type: Float, Data: binary.LittleEndian.AppendUint32(nil, math.Float32bits(v))}
}

// bytes returns the size of the data, or an error if the description is invalid.
func (t Tensor) bytes() (int64, error) {
	if t.Type.Size() == 0 {
		return 0, fmt.Errorf("%w: %v; float, int64 and bool are supported", ErrUnsupported, t.Type)
	}
	if len(t.Shape) > maxRank {
		return 0, fmt.Errorf("%d dimensions, at most %d", len(t.Shape), maxRank)
	}
	n := uint64(t.Type.Size())
	for _, d := range t.Shape {
		hi, lo := bits.Mul64(n, uint64(max(d, 0)))
		if d < 0 || hi != 0 || lo > math.MaxInt/2 {
			return 0, fmt.Errorf("shape %v", t.Shape)
		}
		n = lo
	}
	return int64(n), nil
}

// check returns an error unless m is valid: each value must be defined exactly once,
// before it is used.
func (m *Model) check() error {
	defined := map[string]bool{}
	define := func(what, name string) error {
		switch {
		case name == "" || len(name) > maxName || !utf8.ValidString(name):
			return fmt.Errorf("%s %.64q: a name has 1 to %d bytes of UTF-8", what, name, maxName)
		case defined[name]:
			return fmt.Errorf("%s %.80q: a value of that name is there already", what, name)
		}
		defined[name] = true
		return nil
	}
	for _, t := range m.Tensors {
		if err := define("tensor", t.Name); err != nil {
			return err
		}
		if want, err := t.bytes(); err != nil {
			return fmt.Errorf("tensor %.80q: %w", t.Name, err)
		} else if t.Fill == nil && int64(len(t.Data)) != want {
			return fmt.Errorf("tensor %.80q: %d bytes of data for %v%v", t.Name, len(t.Data), t.Type, t.Shape)
		}
	}
	for _, v := range m.Inputs {
		if err := define("input", v.Name); err != nil {
			return err
		}
	}
	for i, n := range m.Nodes {
		for _, in := range n.Inputs {
			if in != "" && !defined[in] {
				return fmt.Errorf("node %d (%.80s): input %.64q is not defined before it", i, n.Op, in)
			}
		}
		for _, out := range n.Outputs {
			if out == "" {
				continue
			}
			if err := define("output of node", out); err != nil {
				return err
			}
		}
	}
	for _, v := range m.Outputs {
		if !defined[v.Name] {
			return fmt.Errorf("output %.64q is not defined", v.Name)
		}
	}
	return nil
}
