package onnxeval

import (
	"math"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/format/onnx"
	"github.com/bdia-go/bdia/internal/testkit"
)

// compute runs one node over inputs in order.
func compute(t *testing.T, n onnx.Node, in ...Value) Value {
	t.Helper()
	out, err := apply(n, in)
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

func node(op string, attrs ...onnx.Attr) onnx.Node {
	return onnx.Node{Name: "it", Op: op, Outputs: []string{"out"}, Attrs: attrs}
}

// TestOperators checks operators with values worked out by hand.
func TestOperators(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		node onnx.Node
		in   []Value
		want []float32
	}{
		{"broadcast both", node("Sub"), []Value{Floats([]float32{1, 2}, 2, 1), Floats([]float32{10, 20, 30}, 3)}, []float32{-9, -19, -29, -8, -18, -28}},
		{"scalar", node("Div"), []Value{Floats([]float32{1, 2}, 2), Floats([]float32{4})}, []float32{0.25, 0.5}},
		{"Erf", node("Erf"), []Value{Floats([]float32{0, 1}, 2)}, []float32{0, 0.8427008}},
		{"Where", node("Where"), []Value{{Type: onnx.Bool, Shape: []int{2, 1}, Ints: []int64{1, 0}}, Floats([]float32{1, 2}, 2), Floats([]float32{9})}, []float32{1, 2, 9, 9}},
		{"Gemm", node("Gemm", onnx.Attr{Name: "transB", Value: int64(1)}), []Value{Floats([]float32{1, 2}, 1, 2), Floats([]float32{3, 4, 5, 6, 7, 8}, 3, 2), Floats([]float32{0, 1, 2}, 3)}, []float32{11, 18, 25}},
		{"MatMul", node("MatMul"), []Value{Floats([]float32{1, 2, 3, 4}, 2, 1, 2), Floats([]float32{1, 2, 3, 4}, 2, 2, 1)}, []float32{5, 25}},
		{"Softmax", node("Softmax"), []Value{Floats([]float32{0, float32(math.Log(3)), 5, -math.MaxFloat32}, 2, 2)}, []float32{0.25, 0.75, 1, 0}},
		{"nothing seen", node("Softmax"), []Value{Floats([]float32{-math.MaxFloat32, -math.MaxFloat32}, 1, 2)}, []float32{0.5, 0.5}},
		{"LayerNormalization", node("LayerNormalization", onnx.Attr{Name: "epsilon", Value: float32(1)}), []Value{Floats([]float32{1, 3}, 1, 2), Floats([]float32{2, 4}, 2)}, []float32{-math.Sqrt2, 2 * math.Sqrt2}},
		{"Transpose", node("Transpose", onnx.Attr{Name: "perm", Value: []int64{1, 0}}), []Value{Floats([]float32{1, 2, 3, 4, 5, 6}, 2, 3)}, []float32{1, 4, 2, 5, 3, 6}},
		{"Concat", node("Concat", onnx.Attr{Name: "axis", Value: int64(1)}), []Value{Floats([]float32{1, 2}, 2, 1), Floats(nil, 2, 0), Floats([]float32{3, 4, 5, 6}, 2, 2)}, []float32{1, 3, 4, 2, 5, 6}},
		{"Gather", node("Gather", onnx.Attr{Name: "axis", Value: int64(1)}), []Value{Floats([]float32{1, 2, 3, 4}, 2, 2), Ints([]int64{1})}, []float32{2, 4}},
		{"Conv", node("Conv", onnx.Attr{Name: "strides", Value: []int64{2, 2}}), []Value{Floats([]float32{1, 2, 3, 4, 5, 6, 7, 8}, 1, 1, 2, 4), Floats([]float32{1, 10, 100, 1000}, 1, 1, 2, 2), Floats([]float32{0.5}, 1)}, []float32{6521.5, 8743.5}},
		{"ReduceMean", node("ReduceMean", onnx.Attr{Name: "axes", Value: []int64{1}}, onnx.Attr{Name: "keepdims", Value: int64(0)}), []Value{Floats([]float32{1, 2, 3, 4}, 1, 2, 2)}, []float32{2, 3}},
		{"mean of the last axis", node("ReduceMean", onnx.Attr{Name: "axes", Value: []int64{-1}}), []Value{Floats([]float32{1, 2, 3, 5}, 2, 2)}, []float32{1.5, 4}},
		{"one matrix for two", node("MatMul"), []Value{Floats([]float32{1, 2, 3, 4}, 1, 2, 1, 2), Floats([]float32{1, 2}, 1, 1, 2, 1)}, []float32{5, 11}},
		{"a matrix for each of two", node("MatMul"), []Value{Floats([]float32{1, 2, 3, 4}, 2, 1, 1, 2), Floats([]float32{1, 2, 3, 4}, 2, 1, 2, 1)}, []float32{5, 25}},
		{"Pow", node("Pow"), []Value{Floats([]float32{-3, 2}, 2), Floats([]float32{2})}, []float32{9, 4}},
		{"Sigmoid", node("Sigmoid"), []Value{Floats([]float32{0, float32(math.Log(3))}, 2)}, []float32{0.5, 0.75}},
		{"integers as floats", node("Cast", onnx.Attr{Name: "to", Value: int64(onnx.Float)}), []Value{Ints([]int64{3, -1}, 2)}, []float32{3, -1}},
		{"the end of an axis", node("Slice"), []Value{Floats([]float32{1, 2, 3, 4, 5, 6}, 2, 3), Ints([]int64{-2}, 1), Ints([]int64{math.MaxInt64}, 1), Ints([]int64{1}, 1)}, []float32{2, 3, 5, 6}},
		{"all of an axis", node("Slice"), []Value{Floats([]float32{1, 2, 3, 4}, 2, 2), Ints([]int64{0}, 1), Ints([]int64{math.MaxInt64}, 1), Ints([]int64{1}, 1)}, []float32{1, 2, 3, 4}},
	} {
		testkit.Near(t, tc.name, compute(t, tc.node, tc.in...).Floats, tc.want, 1e-6)
	}
	parts, err := apply(onnx.Node{Op: "Split", Outputs: []string{"a", "b"}, Attrs: []onnx.Attr{{Name: "axis", Value: int64(1)}}}, []Value{Floats([]float32{1, 2, 3, 4}, 2, 2)})
	if err != nil {
		t.Fatal(err)
	}
	testkit.EqualBits(t, "Split", parts[1].Floats, []float32{2, 4})
	parts, err = apply(onnx.Node{Op: "Split", Outputs: []string{"a", "b"}}, []Value{Floats([]float32{1, 2, 3}, 3), Ints([]int64{1, 2}, 2)})
	if err != nil {
		t.Fatal(err)
	}
	testkit.EqualBits(t, "Split of lengths", parts[1].Floats, []float32{2, 3})
}

// TestRunErrors: inputs that are not the model's, and values that do not go together.
func TestRunErrors(t *testing.T) {
	t.Parallel()
	x := onnx.Value{Name: "x", Type: onnx.Float, Shape: []onnx.Dim{{Name: "n"}, {Size: 2}}}
	y := onnx.Value{Name: "y", Type: onnx.Float, Shape: []onnx.Dim{{Name: "n"}, {Size: 3}}}
	model := func(n onnx.Node) *onnx.Model {
		n.Name, n.Inputs, n.Outputs = "it", []string{"x", "w"}, []string{"y"}
		return &onnx.Model{Inputs: []onnx.Value{x}, Outputs: []onnx.Value{y}, Nodes: []onnx.Node{n},
			Tensors: []onnx.Tensor{{Name: "w", Type: onnx.Float, Shape: []int{3, 2}, Data: make([]byte, 24)}}}
	}
	good, in := node("Gemm", onnx.Attr{Name: "transB", Value: int64(1)}), map[string]Value{"x": Floats(make([]float32, 8), 4, 2)}
	out, err := Run(model(good), in)
	if err != nil || len(out["y"].Floats) != 12 {
		t.Fatalf("%v, %v", out, err)
	}
	for want, tc := range map[string]struct {
		node onnx.Node
		in   map[string]Value
	}{
		"input x is missing":        {good, nil},
		"2 inputs, the model has 1": {good, map[string]Value{"x": in["x"], "z": {}}},
		"the model says float":      {good, map[string]Value{"x": Ints(make([]int64, 8), 4, 2)}},
		"x is float[4 3]":           {good, map[string]Value{"x": Floats(make([]float32, 12), 4, 3)}},
		"with 7 elements":           {good, map[string]Value{"x": Floats(make([]float32, 7), 4, 2)}},
		"operator Relu is not":      {node("Relu"), in},
		"not A Bᵀ":                  {node("Gemm"), in},
		"do not go together":        {node("Add"), in},
		"y is float[4 2]":           {node("Erf"), in},
	} {
		if _, err := Run(model(tc.node), tc.in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
