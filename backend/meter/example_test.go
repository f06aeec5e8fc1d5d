package meter_test

import (
	"fmt"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/meter"
	"github.com/bdia-go/bdia/backend/plan"
	"github.com/bdia-go/bdia/tensor"
)

// A meter wraps any backend: here a plan, which computes nothing and so takes no time.
func ExampleNew() {
	be := meter.New(plan.New(0))
	w := be.Alloc(backend.Weights, tensor.F32, tensor.Shape{10, 20})
	x := be.Alloc(backend.Activation, tensor.F32, tensor.Shape{5, 20})
	y := be.Alloc(backend.Activation, tensor.F32, tensor.Shape{5, 10})
	for range 3 {
		be.Linear(y, x, w, tensor.Tensor{})
	}
	for _, op := range be.Ops() {
		fmt.Println(op.Name, op.Calls, "calls", op.MatrixFLOPs, "multiplications and additions")
	}
	// Output: linear 3 calls 6000 multiplications and additions
}
