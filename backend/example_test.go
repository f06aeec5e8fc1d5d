package backend_test

import (
	"fmt"

	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/tensor"
)

// Fit runs what a program does on a plan first, and then opens a device with exactly the memory that this takes.
func ExampleFit() {
	var w, x, y tensor.Tensor
	be, err := backend.Fit(backend.Options{}, func(be backend.Backend) error {
		w = be.Alloc(backend.Weights, tensor.F32, tensor.Shape{2, 3})
		x = be.Alloc(backend.Activation, tensor.F32, tensor.Shape{1, 3})
		y = be.Alloc(backend.Activation, tensor.F32, tensor.Shape{1, 2})
		return nil
	}, nil)
	if err != nil {
		panic(err)
	}
	defer be.Close()
	be.Upload(w, []float32{1, 0, 0, 0, 1, 1})
	be.Upload(x, []float32{5, 6, 7})
	be.Linear(y, x, w, tensor.Tensor{}) // y = x Wᵀ
	result := make([]float32, 2)
	be.Download(result, y)
	fmt.Println(result)
	// Output: [5 13]
}
