//go:build clients

package onnx

import (
	"path/filepath"
	"testing"

	"github.com/bdia-go/bdia/internal/testkit"
)

// TestClientData: onnxruntime and ONNX's checker find the tensors of a model in the
// file beside it.
func TestClientData(t *testing.T) {
	testkit.Clients(t)
	const rows, cols = 400, 3
	m := &Model{Producer: "bdia", Name: "product",
		Inputs:  []Value{{"x", Float, []Dim{{Name: "batch"}, {Size: cols}}}},
		Outputs: []Value{{"y", Float, []Dim{{Name: "batch"}, {Size: rows}}}},
		Nodes:   []Node{{"product", "Gemm", []string{"x", "w", "b"}, []string{"y"}, []Attr{{"transB", int64(1)}}}},
		Tensors: []Tensor{sample().Tensors[0], {Name: "b", Type: Float, Shape: []int{rows}, Fill: func(from int, dst []float32) {
			for i := range dst {
				dst[i] = float32(from + i)
			}
		}}}}
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := create(path, m, 3000); err != nil {
		t.Fatal(err)
	}
	type tensor struct {
		Dims   []int     `json:"dims"`
		Floats []float32 `json:"floats"`
	}
	run := map[string]any{"file": path, "inputs": map[string]tensor{"x": {[]int{1, cols}, []float32{1, 0, 2}}}}
	var answers []struct {
		Outputs map[string]struct{ Data []float32 }
	}
	scripts := filepath.Join("..", "..", "convert", "testdata")
	testkit.Node(t, filepath.Join(scripts, "onnxruntime.mjs"), []any{run}, &answers)
	want := make([]float32, rows)
	for i := range want {
		want[i] = (3*float32(i)+2*(3*float32(i)+2))/4 + float32(i)
	}
	testkit.EqualBits(t, "y", answers[0].Outputs["y"].Data, want)
	var complaints []string
	testkit.Python(t, filepath.Join(scripts, "onnx_check.py"), []string{path}, &complaints)
	if complaints[0] != "" {
		t.Error(complaints[0])
	}
}
