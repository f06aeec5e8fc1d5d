package onnxeval

import (
	"fmt"
	"slices"

	"github.com/bdia-go/bdia/format/onnx"
)

// Operators that move parts of values.

func gather(n onnx.Node, in []Value) []Value {
	x, axis := in[0], axisOf(n, len(in[0].Shape), 0)
	before, size, after := product(x.Shape[:axis]), x.Shape[axis], product(x.Shape[axis+1:])
	out := Value{Type: x.Type, Shape: slices.Concat(x.Shape[:axis], in[1].Shape, x.Shape[axis+1:])}
	for b := range before {
		for _, i := range in[1].Ints {
			if i < 0 || int(i) >= size {
				panic(fmt.Sprintf("index %d of %d", i, size))
			}
			at := b*size + int(i)
			if x.Type == onnx.Float {
				out.Floats = append(out.Floats, x.row(at, after, nil)...)
			} else {
				out.Ints = append(out.Ints, x.Ints[at*after:(at+1)*after]...)
			}
		}
	}
	return one(out)
}

func concat(n onnx.Node, in []Value) []Value {
	axis := axisOf(n, len(in[0].Shape), 0)
	out := Value{Type: in[0].Type, Shape: slices.Clone(in[0].Shape)}
	before := product(in[0].Shape[:axis])
	out.Shape[axis] = 0
	for _, v := range in {
		out.Shape[axis] += v.Shape[axis]
	}
	for b := range before {
		for _, v := range in {
			n := v.elems() / before
			if v.Type == onnx.Float {
				out.Floats = append(out.Floats, v.row(b, n, nil)...)
			} else {
				out.Ints = append(out.Ints, v.Ints[b*n:(b+1)*n]...)
			}
		}
	}
	return one(out.as(out.Shape))
}

// split returns as many parts as the node has outputs: of the lengths in the second input, or equal ones.
func split(n onnx.Node, in []Value) (out []Value) {
	x, axis := in[0].floats(), axisOf(n, len(in[0].Shape), 0)
	whole := in[0].Shape[axis]
	lengths := make([]int, len(n.Outputs))
	for k := range lengths {
		lengths[k] = whole / len(lengths)
	}
	if len(in) > 1 {
		lengths = toInts(in[1].Ints)
	}
	rest := whole
	for _, length := range lengths {
		rest -= length
	}
	if rest != 0 || len(lengths) != len(n.Outputs) {
		panic("parts of other lengths")
	}
	before, after := product(in[0].Shape[:axis]), product(in[0].Shape[axis+1:])
	from := 0
	for _, length := range lengths {
		shape := slices.Clone(in[0].Shape)
		shape[axis] = length
		v := make([]float32, 0, before*length*after)
		for b := range before {
			at := (b*whole + from) * after
			v = append(v, x[at:at+length*after]...)
		}
		out = append(out, Floats(v, shape...))
		from += length
	}
	return out
}

// slice takes a range of one axis, from a place that may be counted from the end.
func slice(_ onnx.Node, in []Value) []Value {
	axis, from, to := int(in[3].Ints[0]), in[1].Ints[0], in[2].Ints[0]
	whole := int64(in[0].Shape[axis])
	if from < 0 {
		from = max(from+whole, 0)
	}
	to = min(to, whole)
	parts := split(onnx.Node{Outputs: make([]string, 3), Attrs: []onnx.Attr{{Name: "axis", Value: int64(axis)}}}, []Value{in[0], Ints([]int64{from, to - from, whole - to}, 3)})
	return parts[1:2]
}

func transpose(n onnx.Node, in []Value) []Value {
	x, perm, s := in[0].floats(), numbers(n, "perm"), strides(in[0].Shape)
	shape, by := make([]int, len(perm)), make([]int, len(perm))
	for i, axis := range perm {
		shape[i], by[i] = in[0].Shape[axis], s[axis]
	}
	out := make([]float32, len(x))
	each(shape, [][]int{by}, func(i int, at []int) { out[i] = x[at[0]] })
	return one(Floats(out, shape...))
}
