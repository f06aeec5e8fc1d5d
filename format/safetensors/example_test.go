package safetensors_test

import (
	"bytes"
	"fmt"

	"github.com/bdia-go/bdia/format/safetensors"
)

// A file is written from front to back. Numbers are rounded to the type of their tensor.
func ExampleNewWriter() {
	var file bytes.Buffer
	w, err := safetensors.NewWriter(&file, []safetensors.Info{
		{Name: "weight", DType: safetensors.F32, Shape: []int{2, 3}},
		{Name: "bias", DType: safetensors.BF16, Shape: []int{2}},
	}, map[string]string{"format": "pt"})
	if err != nil {
		panic(err)
	}
	w.WriteFloat32("weight", []float32{1, 2, 3, 4, 5, 6})
	w.WriteFloat32("bias", []float32{0.1, 0.2})
	if err := w.Close(); err != nil { // of these calls too
		panic(err)
	}
	header, err := safetensors.Parse(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		panic(err)
	}
	for _, t := range header.Tensors {
		fmt.Println(t.Name, t.DType, t.Shape, t.Size, "bytes")
	}
	// Output:
	// weight F32 [2 3] 24 bytes
	// bias BF16 [2] 4 bytes
}
