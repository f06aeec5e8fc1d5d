// Package onnxeval runs ONNX models with the operators that package convert
// writes. It tests exported files with plain float32 loops that share nothing with
// the kernels, and is slow.
package onnxeval

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/bdia-go/bdia/format/onnx"
)

// Value is a tensor of Float, Int64 or Bool elements. Bools are the integers 0 and
// 1.
type Value struct {
	Type   onnx.Type
	Shape  []int
	Floats []float32
	Ints   []int64

	raw []byte // instead of Floats, for a tensor of the file
}

// Floats and Ints return a value of the given shape.
func Floats(v []float32, shape ...int) Value {
	return Value{Type: onnx.Float, Shape: shape, Floats: v}
}

func Ints(v []int64, shape ...int) Value { return Value{Type: onnx.Int64, Shape: shape, Ints: v} }

// maxElems limits the elements of a value.
const maxElems = math.MaxInt32

// elems returns the number of elements.
func (v Value) elems() int { return product(v.Shape) }

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		if n > 0 && d > maxElems/n {
			panic(fmt.Sprintf("a value of shape %v", shape))
		}
		n *= d
	}
	return n
}

// floats returns the elements.
func (v Value) floats() []float32 {
	if v.raw == nil {
		return v.Floats
	}
	return v.row(0, v.elems(), nil)
}

// row returns row i of rows of n elements, in buf if it has to be decoded.
func (v Value) row(i, n int, buf []float32) []float32 {
	if v.raw == nil {
		return v.Floats[i*n : (i+1)*n]
	}
	if buf == nil {
		buf = make([]float32, n)
	}
	for j := range buf {
		buf[j] = math.Float32frombits(binary.LittleEndian.Uint32(v.raw[4*(i*n+j):]))
	}
	return buf
}

func fromTensor(t onnx.Tensor) Value {
	v := Value{Type: t.Type, Shape: t.Shape}
	if t.Type == onnx.Float {
		v.raw = t.Data
		return v
	}
	size := t.Type.Size()
	for i := 0; i < len(t.Data); i += size {
		if size == 1 {
			v.Ints = append(v.Ints, int64(t.Data[i]))
		} else {
			v.Ints = append(v.Ints, int64(binary.LittleEndian.Uint64(t.Data[i:])))
		}
	}
	return v
}

// Run computes the outputs of m. It fails if the inputs do not match m's, or if
// shapes do not fit each other.
func Run(m *onnx.Model, inputs map[string]Value) (map[string]Value, error) {
	values := make(map[string]Value, len(m.Tensors))
	for _, t := range m.Tensors {
		values[t.Name] = fromTensor(t)
	}
	free := map[string]int{}
	for _, in := range m.Inputs {
		v, ok := inputs[in.Name]
		if !ok {
			return nil, fmt.Errorf("onnxeval: input %s is missing", in.Name)
		}
		if err := fits(in, v, free); err != nil {
			return nil, err
		}
		values[in.Name] = v
	}
	if len(inputs) > len(m.Inputs) {
		return nil, fmt.Errorf("onnxeval: %d inputs, the model has %d", len(inputs), len(m.Inputs))
	}
	last := map[string]int{} // last node that uses each value
	for i, n := range m.Nodes {
		for _, in := range n.Inputs {
			last[in] = i
		}
	}
	for _, out := range m.Outputs {
		last[out.Name] = len(m.Nodes)
	}
	for i, n := range m.Nodes {
		in := make([]Value, len(n.Inputs))
		for j, name := range n.Inputs {
			in[j] = values[name]
		}
		out, err := apply(n, in)
		if err != nil {
			return nil, err
		}
		for j, name := range n.Outputs {
			values[name] = out[j]
		}
		for _, name := range n.Inputs {
			if last[name] == i {
				delete(values, name)
			}
		}
	}
	outputs := map[string]Value{}
	for _, out := range m.Outputs {
		v := values[out.Name]
		if err := fits(out, v, free); err != nil {
			return nil, err
		}
		outputs[out.Name] = v
	}
	return outputs, nil
}

// fits checks a value against its declaration in the model. A free dimension must
// have the same size wherever its name occurs.
func fits(want onnx.Value, v Value, free map[string]int) error {
	bad := v.Type != want.Type || len(v.Shape) != len(want.Shape)
	for i := 0; i < len(want.Shape) && !bad; i++ {
		size := want.Shape[i].Size
		if name := want.Shape[i].Name; name != "" {
			if _, ok := free[name]; !ok {
				free[name] = v.Shape[i]
			}
			size = free[name]
		}
		bad = v.Shape[i] != size
	}
	if !bad && v.raw == nil {
		bad = len(v.Floats)+len(v.Ints) != v.elems()
	}
	if bad {
		return fmt.Errorf("onnxeval: %s is %v%v with %d elements, the model says %v%v, where %v", want.Name, v.Type, v.Shape, len(v.Floats)+len(v.Ints), want.Type, want.Shape, free)
	}
	return nil
}

// apply computes a node. Shapes are not checked in advance: if they do not fit
// each other, an index is out of range, and that becomes the error.
func apply(n onnx.Node, in []Value) (out []Value, err error) {
	f := operators[n.Op]
	if f == nil {
		return nil, fmt.Errorf("onnxeval: node %s: operator %s is not known here", n.Name, n.Op)
	}
	defer func() {
		if problem := recover(); problem != nil {
			var shapes []string
			for _, v := range in {
				shapes = append(shapes, fmt.Sprint(v.Type, v.Shape))
			}
			err = fmt.Errorf("onnxeval: node %s of %v: %v", n.Name, shapes, problem)
		}
	}()
	return f(n, in), nil
}

// attribute returns an integer attribute of the node, or otherwise by default.
func attribute(n onnx.Node, name string, otherwise int64) int {
	if v, ok := n.Attr(name).(int64); ok {
		return int(v)
	}
	return int(otherwise)
}

// numbers returns a list attribute of the node.
func numbers(n onnx.Node, name string) []int {
	v, _ := n.Attr(name).([]int64)
	return toInts(v)
}

func toInts(v []int64) []int {
	out := make([]int, len(v))
	for i, x := range v {
		out[i] = int(x)
	}
	return out
}

// axisOf returns the attribute axis, counted from the front.
func axisOf(n onnx.Node, rank int, otherwise int64) int {
	axis := attribute(n, "axis", otherwise)
	if axis < 0 {
		axis += rank
	}
	return axis
}
