package plan_test

import (
	"fmt"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/tensor"
)

// Code that runs on a plan allocates and computes nothing. What it would have taken at most is counted by component.
func ExampleNew() {
	be := plan.New(0)
	be.Alloc(backend.Weights, tensor.F32, tensor.Shape{1000, 1000})
	for range 3 {
		mark := be.Mark()
		be.Alloc(backend.Activation, tensor.F32, tensor.Shape{500, 1000})
		be.Release(mark) // the next one takes its place
	}
	peak := be.Peak()
	fmt.Println(peak.ByComponent[backend.Weights], "bytes of weights")
	fmt.Println(peak.ByComponent[backend.Activation], "bytes of activations")
	// Output:
	// 4000000 bytes of weights
	// 2000000 bytes of activations
}
