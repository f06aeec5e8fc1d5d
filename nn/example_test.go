package nn_test

import (
	"fmt"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/nn"
	"github.com/bdia-go/bdia/tensor"
)

// A layer runs forward and back by hand: there is no automatic differentiation.
func ExampleLinear() {
	var l *nn.Linear
	var x, y, dx tensor.Tensor
	be, err := backend.Fit(backend.Options{}, func(be backend.Backend) error {
		l = nn.NewLinear(be, "fc", 2, 1, false)
		bdia.AllocGrads(be, l.Params())
		x = be.Alloc(backend.Activation, tensor.F32, tensor.Shape{1, 2})
		dx = be.Alloc(backend.Activation, tensor.F32, tensor.Shape{1, 2})
		y = be.Alloc(backend.Activation, tensor.F32, tensor.Shape{1, 1})
		return nil
	}, nil)
	if err != nil {
		panic(err)
	}
	defer be.Close()
	be.Upload(l.Weight.Value, []float32{3, 4})
	be.Upload(x, []float32{1, 2})
	l.Forward(y, x)
	show := func(name string, t tensor.Tensor) {
		v := make([]float32, t.Len())
		be.Download(v, t)
		fmt.Println(name, v)
	}
	show("y", y)
	l.Backward(dx, y, x) // with y as its own gradient, as for a loss of y²/2
	show("dx", dx)
	show("dw", l.Weight.Grad)
	// Output:
	// y [11]
	// dx [33 44]
	// dw [11 22]
}
