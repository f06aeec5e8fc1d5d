package cpu_test

import (
	"fmt"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/backend/cpu"
	"github.com/bdia-go/bdia/tensor"
)

// The bits do not depend on threads or on the instruction set. Programs that work on any device open it by
// backend.Open or backend.Fit instead.
func ExampleNew() {
	for _, o := range []cpu.Options{{Threads: 1, ISA: "portable"}, {Threads: 2}} {
		o.ArenaBytes = cpu.ScratchBytes(o.Threads) + 1<<10
		be, err := cpu.New(o)
		if err != nil {
			panic(err)
		}
		x := be.Alloc(backend.Activation, tensor.F32, tensor.Shape{4})
		be.Upload(x, []float32{-2, -1, 1, 2})
		be.GELU(x, x, backend.GELUTanh)
		y := make([]float32, 4)
		be.Download(y, x)
		fmt.Println(y)
		be.Close()
	}
	// Output:
	// [-0.045402307 -0.158808 0.841192 1.9545978]
	// [-0.045402307 -0.158808 0.841192 1.9545978]
}
