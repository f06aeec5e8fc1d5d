package onnx_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/bdia-go/bdia/format/onnx"
)

// A model is a graph of operators: here y = x + 1, for any number of rows.
func ExampleCreate() {
	dir, err := os.MkdirTemp("", "onnx-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.onnx")
	rows := []onnx.Dim{{Name: "batch"}, {Size: 3}}
	err = onnx.Create(path, &onnx.Model{Producer: "example", Name: "increment",
		Inputs:  []onnx.Value{{Name: "x", Type: onnx.Float, Shape: rows}},
		Outputs: []onnx.Value{{Name: "y", Type: onnx.Float, Shape: rows}},
		Nodes:   []onnx.Node{{Name: "add", Op: "Add", Inputs: []string{"x", "one"}, Outputs: []string{"y"}}},
		Tensors: []onnx.Tensor{onnx.Scalar("one", 1)},
	})
	if err != nil {
		panic(err)
	}
	f, err := onnx.Open(path)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	for _, n := range f.Nodes {
		fmt.Println(n.Op, n.Inputs, n.Outputs)
	}
	// Output: Add [x one] [y]
}
